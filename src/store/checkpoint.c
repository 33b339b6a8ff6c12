// SPDX-License-Identifier: Apache-2.0
// Writes checkpoints (see checkpoint.h); checkpoint_load.c reads them. A checkpoint that fails costs nothing but disk space:
// the log it would have replaced is still there.
#include "store/checkpoint.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"

enum {
    CHECKPOINT_SLICE = 256 * 1024, // of images taken in one turn
    CHECKPOINT_DELTAS_MAX = 2,     // on a base: so that the older generation does not hold back the log for long
    CHECKPOINT_RETRY_MS = 500,     // after a failure; doubles up to 64 times
};

static void checkpoint_begin(struct checkpoint *checkpoint);
static bool checkpoint_is_due(const struct checkpoint *checkpoint);
static bool checkpoint_fill(struct checkpoint *checkpoint);
static void checkpoint_wake(void *owner);
static void checkpoint_failed(struct checkpoint *checkpoint);
static void checkpoint_sealed(struct checkpoint *checkpoint);
static void cleaning_submit(struct checkpoint *checkpoint, enum disk_op op);
static void cleaning_done(struct disk_request *request);
static void cleaning_next(struct checkpoint *checkpoint);

void checkpoint_init(struct checkpoint *checkpoint, struct store_context *context, struct segment_set *segments)
{
    *checkpoint = (struct checkpoint){.context = context, .segments = segments};
}

void checkpoint_deinit(struct checkpoint *checkpoint)
{
    file_writer_drop(checkpoint->writer);
    mem_free(checkpoint->names.names);
    *checkpoint = (struct checkpoint){0};
}

void checkpoint_request(struct checkpoint *checkpoint, bool base)
{
    checkpoint->wanted = true;
    checkpoint->base_wanted = checkpoint->base_wanted || base;
}

bool checkpoint_step(struct checkpoint *checkpoint)
{
    struct file_writer *writer = checkpoint->writer;
    if (checkpoint->state == CHECKPOINT_IDLE) {
        if (checkpoint_is_due(checkpoint)) {
            checkpoint_begin(checkpoint);
        }
        return false;
    }
    if (!writer || checkpoint->context->closing || checkpoint->context->failed) {
        return false;
    }
    if (writer->state == FILE_WRITER_BROKEN) {
        checkpoint_failed(checkpoint);
    } else if (writer->state == FILE_WRITER_SEALED) {
        checkpoint_sealed(checkpoint);
    } else if (writer->state == FILE_WRITER_READY) {
        bool more = file_writer_pending(writer) < STORE_SLICE && checkpoint_fill(checkpoint);
        if (more && file_writer_pending(writer) < STORE_SLICE) {
            return true;
        }
        if (file_writer_pending(writer) > 0) {
            file_writer_write(writer);
        } else if (checkpoint->state == CHECKPOINT_SEALING) {
            file_writer_seal(writer);
        }
    }
    return false;
}

uint64_t checkpoint_next_deadline_ms(const struct checkpoint *checkpoint)
{
    const struct file_writer *writer = checkpoint->writer;
    if (checkpoint->context->closing || checkpoint->context->failed) {
        return UINT64_MAX;
    }
    if (checkpoint->state == CHECKPOINT_IDLE && checkpoint->wanted) {
        if (checkpoint->context->claims > 0) {
            return UINT64_MAX; // whoever claims has a deadline, or a request under way
        }
        return checkpoint->retry_ns / 1000000 + 1;
    }
    if (writer && writer->state == FILE_WRITER_READY && writer->retry_ns > checkpoint->context->now.mono_ns) {
        return writer->retry_ns / 1000000 + 1;
    }
    if (writer && writer->state == FILE_WRITER_READY && checkpoint->state < CHECKPOINT_WAITING) {
        return checkpoint->context->now.mono_ns / 1000000;
    }
    if (checkpoint->state == CHECKPOINT_WAITING) {
        return checkpoint->context->now.mono_ns / 1000000 + 10;
    }
    return UINT64_MAX;
}

uint64_t checkpoint_safe(const struct checkpoint *checkpoint)
{
    return checkpoint->previous > 0 ? checkpoint->previous_number : 0;
}

static bool checkpoint_is_due(const struct checkpoint *checkpoint)
{
    const struct store_context *context = checkpoint->context;
    // A roll-over that found no space has what was kept for both.
    if (context->closing || context->failed || context->now.mono_ns < checkpoint->retry_ns || context->claims > 0) {
        return false;
    }
    uint64_t grown = context->log.appended_bytes(context->log.owner) - checkpoint->appended_mark;
    return checkpoint->wanted || grown >= context->options.checkpoint_bytes;
}

static void checkpoint_begin(struct checkpoint *checkpoint)
{
    struct store_context *context = checkpoint->context;
    bool base = !checkpoint->has_base || checkpoint->base_wanted || checkpoint->step >= CHECKPOINT_DELTAS_MAX ||
                checkpoint->delta_bytes > checkpoint->base_bytes;
    checkpoint->header = (struct checkpoint_header){
        .generation = checkpoint->generation + base,
        .step = base ? 0 : checkpoint->step + 1,
        .begin_index = context->log.applied_index(context->log.owner),
        .previous = base ? 0 : checkpoint->check,
        .created_ns = context->now.wall_ns,
    };
    checkpoint->end = (struct checkpoint_end){.rolled_index = checkpoint->rolled_index};
    checkpoint->manifest = (struct segment_manifest){0};
    must(base || checkpoint->generation == checkpoint->complete);
    checkpoint->begun++;
    checkpoint->wanted = checkpoint->base_wanted = false;
    checkpoint->appended_mark = context->log.appended_bytes(context->log.owner);
    context->handler.checkpoint_begin(context->handler.owner, base);
    char path[STORE_PATH_BYTES];
    checkpoint_name(checkpoint->header.generation, checkpoint->header.step, path);
    checkpoint->writer = file_writer_new(context, STORE_CHECKPOINT_FOLDER, path, checkpoint_wake, checkpoint);
    checkpoint->writer->worth = FILE_WRITER_VITAL; // without it nothing is ever given back
    checkpoint_header_encode(&checkpoint->header, context->options.identity, &checkpoint->writer->out,
                             &checkpoint->running);
    checkpoint->state = CHECKPOINT_TAKING_IMAGES;
}

// Counts the records of a slice of images, which the handler has just written.
static uint64_t records_count(struct bytes content)
{
    uint64_t count = 0;
    struct record record;
    for (size_t used; content.len > 0; content = bytes_skip(content, used), count++) {
        must(record_get(content, false, &record, &used) == 0);
    }
    return count;
}

static bool images_fill(struct checkpoint *checkpoint)
{
    struct store_context *context = checkpoint->context;
    struct buffer *out = &checkpoint->writer->out;
    size_t at;
    checkpoint_slice_begin(out, &at);
    bool more = context->handler.checkpoint_next(context->handler.owner, out, CHECKPOINT_SLICE) > 0;
    checkpoint->end.records += records_count(bytes_skip(buffer_bytes(out), at + CHECKPOINT_SLICE_HEADER));
    checkpoint_slice_end(out, at, CHECKPOINT_IMAGES, &checkpoint->running);
    if (!more) {
        checkpoint->end.end_index = context->log.applied_index(context->log.owner);
        checkpoint->state = CHECKPOINT_TAKING_MANIFEST;
    }
    return true;
}

static bool manifest_fill(struct checkpoint *checkpoint)
{
    struct buffer *out = &checkpoint->writer->out;
    size_t at;
    checkpoint_slice_begin(out, &at);
    bool more = segment_manifest_encode(checkpoint->segments, &checkpoint->manifest, checkpoint->header.step == 0,
                                        checkpoint->end.rolled_index, CHECKPOINT_SLICE, out);
    checkpoint_slice_end(out, at, CHECKPOINT_MANIFEST, &checkpoint->running);
    if (!more) {
        checkpoint->state = CHECKPOINT_WAITING;
    }
    return true;
}

// Appends one slice to what is to be written. True: there is more to append now.
static bool checkpoint_fill(struct checkpoint *checkpoint)
{
    struct log_view *log = &checkpoint->context->log;
    if (checkpoint->state == CHECKPOINT_TAKING_IMAGES) {
        return images_fill(checkpoint);
    }
    if (checkpoint->state == CHECKPOINT_TAKING_MANIFEST) {
        return manifest_fill(checkpoint);
    }
    if (checkpoint->state == CHECKPOINT_WAITING) {
        if (log->synced_index(log->owner) < checkpoint->end.end_index) {
            log->sync_soon(log->owner);
            return false;
        }
        checkpoint->end.next_segment_id = checkpoint->segments->next_id;
        checkpoint_end_encode(&checkpoint->end, &checkpoint->writer->out, &checkpoint->running);
        checkpoint->state = CHECKPOINT_SEALING;
    }
    return false;
}

static void checkpoint_wake(void *owner)
{
    (void)checkpoint_step(owner);
}

static void checkpoint_failed(struct checkpoint *checkpoint)
{
    struct store_context *context = checkpoint->context;
    int error = checkpoint->writer->error;
    logger_write(context->options.logger, LOG_WARN, "writing checkpoint %s failed: %s; it will be tried again",
                 checkpoint->writer->name, error_text(error));
    file_writer_free(checkpoint->writer);
    checkpoint->writer = NULL;
    uint32_t shift = checkpoint->failures < 6 ? checkpoint->failures : 6;
    checkpoint->retry_ns = context->now.mono_ns + ((uint64_t)CHECKPOINT_RETRY_MS << shift) * 1000000;
    checkpoint->failures++;
    checkpoint->wanted = true;
    checkpoint->has_base = false;
    // The name may exist, complete but not durable: never the same again.
    checkpoint->generation = checkpoint->header.generation;
    checkpoint->state = CHECKPOINT_IDLE;
    if (error == ERR_NO_SPACE && checkpoint->previous > 0 && !context->closing) {
        // Only a checkpoint gives space back, and it needs some: that of the older generation. Until the next one is
        // complete there is one generation, and nothing is released.
        logger_write(context->options.logger, LOG_WARN,
                     "the disk is full: the older generation of checkpoints gives way");
        checkpoint->previous = 0;
        checkpoint->state = CHECKPOINT_CLEANING;
        cleaning_submit(checkpoint, DISK_LIST);
    }
}

static void checkpoint_sealed(struct checkpoint *checkpoint)
{
    bool base = checkpoint->header.step == 0;
    uint64_t bytes = checkpoint->writer->offset;
    file_writer_free(checkpoint->writer);
    checkpoint->writer = NULL;
    if (base) {
        checkpoint->previous = checkpoint->complete;
        checkpoint->previous_number = checkpoint->tip_number;
        checkpoint->complete = checkpoint->generation = checkpoint->header.generation;
        checkpoint->base_bytes = bytes;
        checkpoint->delta_bytes = 0;
    } else {
        checkpoint->delta_bytes += bytes;
    }
    checkpoint->step = checkpoint->header.step;
    checkpoint->has_base = true;
    checkpoint->check = checkpoint->running;
    checkpoint->tip_number = checkpoint->begun;
    checkpoint->covered_index = checkpoint->header.begin_index;
    checkpoint->failures = 0;
    checkpoint->written++;
    segment_set_recorded(checkpoint->segments, checkpoint->end.rolled_index);
    checkpoint->state = CHECKPOINT_IDLE;
    if (base && checkpoint->previous > 0) {
        checkpoint->state = CHECKPOINT_CLEANING;
        cleaning_submit(checkpoint, DISK_LIST);
    }
}

static void cleaning_submit(struct checkpoint *checkpoint, enum disk_op op)
{
    struct store_context *context = checkpoint->context;
    checkpoint->request = (struct disk_request){
        .op = op,
        .path = op == DISK_LIST ? STORE_CHECKPOINT_FOLDER : checkpoint->path,
        .done = cleaning_done,
    };
    context->requests++;
    disk_submit(context->disk, DISK_POOL, &checkpoint->request);
}

static void cleaning_done(struct disk_request *request)
{
    struct checkpoint *checkpoint = container_of(request, struct checkpoint, request);
    checkpoint->context->requests--;
    if (request->op == DISK_LIST && request->result == 0) {
        checkpoint->names = request->names;
        checkpoint->name = request->names.names;
        checkpoint->name_count = request->names.count;
    }
    cleaning_next(checkpoint);
}

// Removes the next file of a generation that is not kept any more; one that stays by an error is removed the next time.
static void cleaning_next(struct checkpoint *checkpoint)
{
    while (checkpoint->name_count > 0 && !checkpoint->context->closing) {
        const char *name = checkpoint->name;
        uint64_t generation;
        uint32_t step;
        checkpoint->name += strlen(name) + 1;
        checkpoint->name_count--;
        if (checkpoint_parse_name(name, &generation, &step) == 0 && generation != checkpoint->previous &&
            generation < checkpoint->complete) {
            checkpoint_name(generation, step, checkpoint->path);
            cleaning_submit(checkpoint, DISK_UNLINK);
            return;
        }
    }
    mem_free(checkpoint->names.names);
    checkpoint->names = (struct disk_names){0};
    checkpoint->name_count = 0;
    checkpoint->state = CHECKPOINT_IDLE;
}
