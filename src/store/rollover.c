// SPDX-License-Identifier: Apache-2.0
// Decides what rolls over when, and takes each file through the states (see rollover.h). rollover_copy.c moves the messages,
// rollover_sweep.c removes segments of which nothing is wanted.
#include "base/memory.h"
#include "base/must.h"
#include "store/rollover_internal.h"

enum {
    ROLLOVER_PACE_NS = 8 * 1000 * 1000, // between slices while the log is not much above its budget: 125 MiB/s
    ROLLOVER_RETRY_MS = 500,            // after a failure; doubles up to 64 times
    ROLLOVER_DROP_BUDGET = 1024,        // streams whose index is dropped in one turn
};

static uint64_t unrolled_bytes(const struct rollover *rollover);
static bool must_not_begin(const struct rollover *rollover);
static void rollover_begin(struct rollover *rollover);
static bool rollover_write(struct rollover *rollover);
static bool rollover_attach(struct rollover *rollover);
static void rolled_add(struct rollover *rollover, const struct log_file_info *info);
static void rolled_release(struct rollover *rollover);

void rollover_init(struct rollover *rollover, struct store_context *context, struct index *index,
                   struct segment_set *segments, struct checkpoint *checkpoint)
{
    *rollover = (struct rollover){
        .context = context, .index = index, .segments = segments, .checkpoint = checkpoint, .look = &segments->all};
    buffer_init(&rollover->summaries, UINT32_MAX);
}

void rollover_deinit(struct rollover *rollover)
{
    file_writer_drop(rollover->writer);
    mem_free(rollover->husk_ids);
    mem_free(rollover->extents);
    mem_free(rollover->items);
    mem_free(rollover->spans);
    mem_free(rollover->keys);
    mem_free(rollover->rolled);
    buffer_deinit(&rollover->summaries);
    *rollover = (struct rollover){0};
}

void rollover_recover(struct rollover *rollover, uint64_t first_index, uint64_t last_index, bool damaged)
{
    const struct log_view *log = &rollover->context->log;
    struct log_file_info info = {0};
    segment_set_settle(rollover->segments);
    while (log->next_closed(log->owner, info.id, &info) && info.last_index <= rollover->checkpoint->rolled_index) {
        rolled_add(rollover, &info);
    }
    rollover_sweep_orphans(rollover, first_index, last_index, damaged);
}

bool rollover_step(struct rollover *rollover)
{
    const struct store_context *context = rollover->context;
    struct file_writer *writer = rollover->writer;
    if (context->closing || context->failed) {
        return false;
    }
    if (writer && writer->state == FILE_WRITER_BROKEN && rollover->state != ROLLOVER_READING) {
        rollover_failed(rollover, writer->error);
        return false;
    }
    switch (rollover->state) {
    case ROLLOVER_IDLE:
        rolled_release(rollover);
        rollover_sweep_dead(rollover);
        rollover_begin(rollover);
        return rollover->state != ROLLOVER_IDLE;
    case ROLLOVER_COLLECTING: return rollover_collect(rollover);
    case ROLLOVER_READING: return false;
    case ROLLOVER_TAKING: return rollover_take(rollover);
    case ROLLOVER_WRITING: return rollover_write(rollover);
    case ROLLOVER_SEALING:
        if (writer->state == FILE_WRITER_SEALED) {
            rollover->state = ROLLOVER_ATTACHING;
            return true;
        }
        return false;
    case ROLLOVER_ATTACHING: return rollover->husk ? rollover_husk_attach(rollover) : rollover_attach(rollover);
    case ROLLOVER_DROPPING:
        if (index_drop_file(rollover->index, (uint32_t)rollover->file.id, ROLLOVER_DROP_BUDGET)) {
            rollover->state = ROLLOVER_IDLE;
        }
        return true;
    }
    return false;
}

uint64_t rollover_next_deadline_ms(const struct rollover *rollover)
{
    const struct store_context *context = rollover->context;
    const struct file_writer *writer = rollover->writer;
    if (context->closing || context->failed) {
        return UINT64_MAX;
    }
    if (rollover->state == ROLLOVER_IDLE) {
        bool waits = rollover->failures > 0 && unrolled_bytes(rollover) > context->options.log_bytes &&
                     !must_not_begin(rollover);
        if (rollover->removed) {
            return context->now.mono_ns / 1000000 + 10;
        }
        if (context->starved) {
            return rollover_sweep_waits(rollover) ? UINT64_MAX : rollover->look_ns / 1000000 + 1;
        }
        return waits ? rollover->retry_ns / 1000000 + 1 : UINT64_MAX;
    }
    if (rollover->state == ROLLOVER_COLLECTING || rollover->state == ROLLOVER_TAKING ||
        rollover->state == ROLLOVER_DROPPING) {
        return context->now.mono_ns / 1000000;
    }
    if (rollover->state == ROLLOVER_ATTACHING) {
        return context->now.mono_ns / 1000000 + 10;
    }
    if (rollover->state == ROLLOVER_WRITING && writer->state == FILE_WRITER_READY) {
        uint64_t pace = rollover->slice_ns + ROLLOVER_PACE_NS;
        return (writer->retry_ns > pace ? writer->retry_ns : pace) / 1000000 + 1;
    }
    return UINT64_MAX;
}

bool rollover_is_behind(const struct rollover *rollover)
{
    const struct store_options *options = &rollover->context->options;
    // While it fails, the log grows until the disk is full: that error says what is wrong.
    bool fails = rollover->failures > 0 || rollover->checkpoint->failures > 0;
    return !fails && unrolled_bytes(rollover) > options->log_bytes + 2 * options->file_bytes;
}

void rollover_failed(struct rollover *rollover, int error)
{
    struct store_context *context = rollover->context;
    const struct segment *husk = rollover->husk;
    logger_write(context->options.logger, LOG_WARN, "%s %016llx failed: %s; it will be tried again",
                 husk ? "copying the dedupe ids of segment" : "rolling over log file",
                 (unsigned long long)(husk ? husk->info.id : rollover->file.id), error_text(error));
    file_writer_free(rollover->writer);
    rollover->writer = NULL;
    if (husk) {
        rollover_husk_end(rollover);
    } else {
        rollover_copy_end(rollover);
    }
    uint32_t most = error == ERR_NO_SPACE ? 4 : 6, shift = rollover->failures < most ? rollover->failures : most;
    rollover->retry_ns = context->now.mono_ns + ((uint64_t)ROLLOVER_RETRY_MS << shift) * 1000000;
    rollover->failures++;
    rollover->state = ROLLOVER_IDLE;
}

void rollover_wake(void *owner)
{
    (void)rollover_step(owner);
}

// What the budget bounds: retained and not in segments yet.
static uint64_t unrolled_bytes(const struct rollover *rollover)
{
    const struct log_view *log = &rollover->context->log;
    return log->retained_bytes(log->owner) - rollover->rolled_bytes;
}

// Checkpoints give space back; a segment would take what they need. The turn in which they are through calls again.
static bool must_not_begin(const struct rollover *rollover)
{
    const struct store_context *context = rollover->context;
    const struct checkpoint *checkpoint = rollover->checkpoint;
    bool first =
        checkpoint->failures > 0 || (context->starved && (checkpoint->wanted || checkpoint_is_writing(checkpoint)));
    return first || context->ids_awaited;
}

static void rollover_begin(struct rollover *rollover)
{
    const struct store_context *context = rollover->context;
    const struct log_view *log = &context->log;
    if (context->now.mono_ns < rollover->retry_ns || must_not_begin(rollover)) {
        rollover->husk = NULL;
        return;
    }
    if (rollover->husk) {
        rollover_husk_begin(rollover);
        return;
    }
    if ((unrolled_bytes(rollover) <= context->options.log_bytes && !context->starved) ||
        !log->next_closed(log->owner, rollover->last_file, &rollover->file) ||
        log->hold(log->owner, rollover->file.id, &rollover->handle) != 0) {
        return;
    }
    rollover_copy_begin(rollover);
    rollover->state = ROLLOVER_COLLECTING;
}

// Writes what is in the buffer, in whole slices while there is more to come; the footer follows the last message at once.
static bool rollover_write(struct rollover *rollover)
{
    const struct store_context *context = rollover->context;
    struct file_writer *writer = rollover->writer;
    if (writer->state != FILE_WRITER_READY) {
        return false;
    }
    size_t pending = file_writer_pending(writer);
    if (rollover->collected && !rollover->footed && pending < STORE_SLICE) {
        rollover_copy_foot(rollover);
        return true;
    }
    if (pending >= STORE_SLICE || (pending > 0 && rollover->footed)) {
        bool hurry =
            context->starved || unrolled_bytes(rollover) > context->options.log_bytes + context->options.file_bytes;
        if (hurry || context->now.mono_ns >= rollover->slice_ns + ROLLOVER_PACE_NS) {
            bool gains = rollover->footed && writer->offset + pending <= rollover->file.bytes / 4;
            writer->worth = rollover->husk || gains ? FILE_WRITER_VITAL : FILE_WRITER_USUAL;
            rollover->slice_ns = context->now.mono_ns;
            file_writer_write(writer);
        }
        return false;
    }
    if (!rollover->collected) {
        // Else the buffer would grow to the whole file.
        buffer_consume(&writer->out, writer->flushed);
        writer->flushed = 0;
        rollover->state = ROLLOVER_COLLECTING;
        return true;
    }
    file_writer_seal(writer);
    rollover->state = ROLLOVER_SEALING;
    return false;
}

// The segment, if there is one, is durable: it is in force, the file only waits for the checkpoints.
static bool rollover_attach(struct rollover *rollover)
{
    struct checkpoint *checkpoint = rollover->checkpoint;
    if (rollover->writer) {
        struct segment *segment;
        struct segment_extent *extents = rollover->extents;
        rollover->extents = NULL;
        must(segment_set_add(rollover->segments, &rollover->info, extents, &segment) == 0);
        const struct store_handler *handler = &rollover->context->handler;
        for (uint32_t i = 0; i < rollover->info.extent_count; i++) {
            uint32_t stream = extents[i].stream;
            segment_set_trim(rollover->segments, stream, handler->first_wanted(handler->owner, stream));
        }
        file_writer_free(rollover->writer);
        rollover->writer = NULL;
    }
    rollover_copy_end(rollover);
    rolled_add(rollover, &rollover->file);
    rollover->failures = 0;
    if (checkpoint->rolled_index < rollover->file.last_index) {
        checkpoint->rolled_index = rollover->file.last_index;
    }
    checkpoint_request(checkpoint, rollover->rolled_count > 1);
    rollover->state = ROLLOVER_DROPPING;
    return true;
}

static void rolled_add(struct rollover *rollover, const struct log_file_info *info)
{
    if (rollover->rolled_count == rollover->rolled_cap) {
        rollover->rolled_cap = rollover->rolled_cap ? rollover->rolled_cap * 2 : 8;
        rollover->rolled = mem_realloc(rollover->rolled, rollover->rolled_cap * sizeof(*rollover->rolled));
    }
    rollover->rolled[rollover->rolled_count++] =
        (struct rolled_file){*info, checkpoint_next_number(rollover->checkpoint)};
    rollover->rolled_bytes += info->bytes;
    rollover->last_file = info->id;
}

// Files that no kept checkpoint needs any more go back to the log.
static void rolled_release(struct rollover *rollover)
{
    const struct log_view *log = &rollover->context->log;
    while (rollover->rolled_count > 0 && rollover->rolled[0].stamp <= checkpoint_safe(rollover->checkpoint)) {
        rollover->rolled_bytes -= rollover->rolled[0].info.bytes;
        log->release(log->owner, rollover->rolled[0].info.id);
        rollover->retry_ns = 0; // there is more space than before
        rollover->rolled_count--;
        memmove(rollover->rolled, rollover->rolled + 1, rollover->rolled_count * sizeof(*rollover->rolled));
    }
}
