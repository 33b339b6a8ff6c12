// SPDX-License-Identifier: Apache-2.0
// tidy: prefix rollover
// Copies what is wanted of one log file into a segment: looks up up to 1,024 messages, reads them in one gather directly to
// where they will be written from, verifies each, closes blocks and extents. A damaged message is left out and reported; so is one that the disk cannot read, after a while of
// trying, alone too: else one bad sector would keep the file, and with it the log, for ever.
#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/rollover_internal.h"

enum {
    ROLLOVER_ITEMS = 1024, // looked up, and read, in one turn
    ROLLOVER_PATIENCE = 6, // tries, half a minute, until what cannot be read is given up
    ROLLOVER_DEAD = 8,     // of so many items not one can be read: it is not a sector but the disk
};

struct rollover_item {
    uint64_t sequence;
    uint64_t offset; // in the log file
    size_t at;       // in the writer's buffer
    uint32_t stream;
    uint32_t size;
};

static void items_read(struct rollover *rollover);
static void items_done(struct disk_request *request);
static void items_take(struct rollover *rollover);
static void item_read_alone(struct rollover *rollover);
static void item_read_alone_done(struct disk_request *request);
static bool item_verify(struct rollover *rollover, const struct rollover_item *item);
static void message_append(struct rollover *rollover, uint32_t stream, uint64_t sequence, uint64_t time_ns, size_t at,
                           size_t size);
static void block_close(struct rollover *rollover);
static void extent_begin(struct rollover *rollover, uint32_t stream, uint64_t sequence, uint64_t time_ns);

void rollover_copy_begin(struct rollover *rollover)
{
    rollover->cursor = (struct index_cursor){0};
    rollover->collected = rollover->footed = false;
    rollover->item_count = rollover->span_count = rollover->extent_cap = 0;
    rollover->damage_counted = rollover->damage_file == rollover->file.id ? rollover->damage_counted : 0;
    rollover->damage_file = rollover->file.id;
    rollover->damage_seen = 0;
    rollover->block = (struct segment_summary){0};
    rollover->items = mem_alloc(ROLLOVER_ITEMS * sizeof(*rollover->items));
    rollover->spans = mem_alloc(ROLLOVER_ITEMS * sizeof(*rollover->spans));
    rollover->info = (struct segment_info){
        .id = rollover->segments->next_id,
        .first_index = rollover->file.first_index,
        .last_index = rollover->file.last_index,
    };
}

bool rollover_collect(struct rollover *rollover)
{
    const struct store_handler *handler = &rollover->context->handler;
    struct index_place place;
    uint32_t stream;
    size_t pending = rollover->writer ? file_writer_pending(rollover->writer) : 0;
    rollover->item_count = 0;
    for (int i = 0; i < ROLLOVER_ITEMS && pending < STORE_SLICE && !rollover->collected; i++) {
        if (!index_file_next(rollover->index, (uint32_t)rollover->file.id, &rollover->cursor, &stream, &place)) {
            rollover->collected = true;
        } else if (handler->is_wanted(handler->owner, stream, place.sequence)) {
            rollover_writer_ensure(rollover);
            struct buffer *out = &rollover->writer->out;
            size_t padded = record_padded(place.size);
            must(buffer_reserve(out, padded));
            rollover->items[rollover->item_count++] =
                (struct rollover_item){place.sequence, place.offset, out->len, stream, place.size};
            buffer_commit(out, padded);
            pending += padded;
        }
    }
    if (rollover->item_count > 0) {
        items_read(rollover);
        return false;
    }
    if (!rollover->collected) {
        return true;
    }
    if (rollover->writer) {
        block_close(rollover);
        rollover->state = ROLLOVER_WRITING;
    } else {
        // No message; perhaps dedupe ids.
        rollover_copy_foot(rollover);
        rollover->state = rollover->writer ? ROLLOVER_WRITING : ROLLOVER_ATTACHING;
    }
    return true;
}

void rollover_copy_foot(struct rollover *rollover)
{
    const struct store_handler *handler = &rollover->context->handler;
    struct buffer ids;
    buffer_init(&ids, UINT32_MAX);
    handler->save_ids(handler->owner, rollover->info.first_index, rollover->info.last_index,
                      &rollover->info.ids_until_ns, &ids);
    if (ids.len > 0) {
        rollover_writer_ensure(rollover);
    }
    if (rollover->writer) {
        struct file_writer *writer = rollover->writer;
        uint64_t offset = writer->offset + file_writer_pending(writer);
        must(segment_footer_encode(&rollover->info, rollover->extents, buffer_bytes(&rollover->summaries),
                                   buffer_bytes(&ids), offset, &writer->out) == 0);
    }
    rollover->footed = true;
    buffer_deinit(&ids);
}

void rollover_copy_end(struct rollover *rollover)
{
    const struct log_view *log = &rollover->context->log;
    log->drop(log->owner, rollover->file.id);
    rollover->handle = NULL;
    mem_free(rollover->items);
    mem_free(rollover->spans);
    mem_free(rollover->extents);
    rollover->items = NULL;
    rollover->spans = NULL;
    rollover->extents = NULL;
    buffer_deinit(&rollover->summaries);
}

void rollover_writer_ensure(struct rollover *rollover)
{
    if (rollover->writer) {
        return;
    }
    char path[STORE_PATH_BYTES];
    segment_name(rollover->info.id, path);
    rollover->segments->next_id++;
    rollover->writer = file_writer_new(rollover->context, STORE_SEGMENT_FOLDER, path, rollover_wake, rollover);
    char *block = buffer_reserve(&rollover->writer->out, STORE_BLOCK);
    must(block);
    segment_header_encode(&rollover->info, rollover->context->options.identity, block);
    buffer_commit(&rollover->writer->out, STORE_BLOCK);
}

// One gather; neighbours in the log are one span.
static void items_read(struct rollover *rollover)
{
    struct store_context *context = rollover->context;
    char *base = rollover->writer->out.ptr;
    rollover->span_count = 0;
    for (uint32_t i = 0; i < rollover->item_count; i++) {
        const struct rollover_item *item = &rollover->items[i];
        struct disk_span *last = rollover->span_count > 0 ? &rollover->spans[rollover->span_count - 1] : NULL;
        size_t padded = record_padded(item->size);
        if (last && last->offset + last->len == item->offset) {
            last->len += padded;
        } else {
            rollover->spans[rollover->span_count++] =
                (struct disk_span){.ptr = base + item->at, .len = padded, .offset = item->offset};
        }
    }
    rollover->request = (struct disk_request){
        .op = DISK_READ_EACH,
        .file = rollover->handle,
        .spans = rollover->spans,
        .span_count = rollover->span_count,
        .done = items_done,
    };
    rollover->state = ROLLOVER_READING;
    context->requests++;
    disk_submit(context->disk, DISK_POOL, &rollover->request);
}

static void items_done(struct disk_request *request)
{
    struct rollover *rollover = container_of(request, struct rollover, request);
    rollover->context->requests--;
    rollover->state = ROLLOVER_COLLECTING;
    if (request->result == 0) {
        items_take(rollover);
    } else if (request->result == ERR_IO && rollover->failures >= ROLLOVER_PATIENCE) {
        rollover->alone = rollover->unreadable = 0;
        item_read_alone(rollover);
    } else {
        rollover_failed(rollover, request->result);
    }
}

static void item_read_alone(struct rollover *rollover)
{
    struct store_context *context = rollover->context;
    const struct rollover_item *item = &rollover->items[rollover->alone];
    rollover->spans[0] = (struct disk_span){
        .ptr = rollover->writer->out.ptr + item->at, .len = record_padded(item->size), .offset = item->offset};
    rollover->request = (struct disk_request){
        .op = DISK_READ_EACH,
        .file = rollover->handle,
        .spans = rollover->spans,
        .span_count = 1,
        .done = item_read_alone_done,
    };
    rollover->state = ROLLOVER_READING;
    context->requests++;
    disk_submit(context->disk, DISK_POOL, &rollover->request);
}

// What cannot be read becomes zeros, which do not verify.
static void item_read_alone_done(struct disk_request *request)
{
    struct rollover *rollover = container_of(request, struct rollover, request);
    rollover->context->requests--;
    if (request->result != 0) {
        memset(rollover->spans[0].ptr, 0, rollover->spans[0].len);
        rollover->unreadable++;
    }
    rollover->alone++;
    rollover->state = ROLLOVER_COLLECTING;
    if (rollover->context->closing || rollover->context->failed) {
        return;
    }
    if (rollover->alone < rollover->item_count) {
        item_read_alone(rollover);
    } else if (rollover->unreadable == rollover->item_count && rollover->item_count >= ROLLOVER_DEAD) {
        rollover_failed(rollover, ERR_IO);
    } else {
        items_take(rollover);
    }
}

// All are in the buffer: those that verify become part of the segment.
static void items_take(struct rollover *rollover)
{
    struct buffer *out = &rollover->writer->out;
    out->len = rollover->items[0].at;
    for (uint32_t i = 0; i < rollover->item_count; i++) {
        const struct rollover_item *item = &rollover->items[i];
        if (!item_verify(rollover, item)) {
            continue;
        }
        size_t padded = record_padded(item->size), at = out->len;
        if (at != item->at) {
            memmove(out->ptr + at, out->ptr + item->at, padded);
        }
        message_append(rollover, item->stream, item->sequence, get_u64(out->ptr + at + 24), at, padded);
        out->len += padded;
    }
    if (file_writer_pending(rollover->writer) >= STORE_SLICE) {
        block_close(rollover);
        rollover->state = ROLLOVER_WRITING;
    }
    rollover_wake(rollover);
}

static bool item_verify(struct rollover *rollover, const struct rollover_item *item)
{
    const char *at = rollover->writer->out.ptr + item->at;
    struct record record;
    size_t used;
    if (record_get(bytes_make(at, record_padded(item->size)), true, &record, &used) == 0 &&
        record.whole.len == item->size && record.kind == RECORD_MESSAGE && record.object == item->stream &&
        item->size >= RECORD_MESSAGE_SIZE && get_u64(at + 16) == item->sequence) {
        return true;
    }
    if (++rollover->damage_seen <= rollover->damage_counted) {
        return false;
    }
    rollover->damage_counted = rollover->damage_seen;
    rollover->context->damaged_areas++;
    logger_write(rollover->context->options.logger, LOG_ERROR,
                 "log file %016llx: message %llu of stream %u at %llu is damaged; it is not carried over",
                 (unsigned long long)rollover->file.id, (unsigned long long)item->sequence, item->stream,
                 (unsigned long long)item->offset);
    return false;
}

// The verified record at `at` of the buffer belongs to the open block, or opens one.
static void message_append(struct rollover *rollover, uint32_t stream, uint64_t sequence, uint64_t time_ns, size_t at,
                           size_t size)
{
    struct segment_summary *block = &rollover->block;
    const struct file_writer *writer = rollover->writer;
    if (block->count > 0 && (block->stream != stream || block->bytes + size > SEGMENT_BLOCK_BYTES)) {
        block_close(rollover);
    }
    if (rollover->info.extent_count == 0 || rollover->extents[rollover->info.extent_count - 1].stream != stream) {
        extent_begin(rollover, stream, sequence, time_ns);
    }
    if (block->count == 0) {
        *block = (struct segment_summary){
            .first = sequence,
            .time_ns = time_ns,
            .offset = writer->offset + at - writer->flushed,
            .stream = stream,
        };
    }
    struct segment_extent *extent = &rollover->extents[rollover->info.extent_count - 1];
    block->bytes += (uint32_t)size;
    block->count++;
    extent->count++;
    extent->bytes += size;
    extent->last = sequence;
}

static void extent_begin(struct rollover *rollover, uint32_t stream, uint64_t sequence, uint64_t time_ns)
{
    if (rollover->info.extent_count == rollover->extent_cap) {
        rollover->extent_cap = rollover->extent_cap ? rollover->extent_cap * 2 : 16;
        rollover->extents = mem_realloc(rollover->extents, rollover->extent_cap * sizeof(*rollover->extents));
    }
    rollover->extents[rollover->info.extent_count++] = (struct segment_extent){
        .stream = stream, .block = rollover->info.block_count, .first = sequence, .last = sequence, .time_ns = time_ns};
}

static void block_close(struct rollover *rollover)
{
    struct segment_summary *block = &rollover->block;
    const struct file_writer *writer = rollover->writer;
    if (block->count == 0) {
        return;
    }
    size_t at = block->offset - writer->offset + writer->flushed;
    block->check = hash_bytes32(bytes_make(writer->out.ptr + at, block->bytes), 0);
    char *to = buffer_reserve(&rollover->summaries, SEGMENT_SUMMARY_SIZE);
    must(to);
    segment_summary_encode(block, rollover->info.id, to);
    buffer_commit(&rollover->summaries, SEGMENT_SUMMARY_SIZE);
    rollover->extents[rollover->info.extent_count - 1].block_count++;
    rollover->info.block_count++;
    block->count = 0;
    block->bytes = 0;
}
