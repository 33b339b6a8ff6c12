// SPDX-License-Identifier: Apache-2.0
// tidy: prefix rollover
// Copies what is wanted of one log file into a segment: looks up a gather of messages, has them read to where they will be
// written from (rollover_gather.c), verifies each, closes blocks and extents. A damaged message is left out and reported.
#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/rollover_internal.h"

enum { ROLLOVER_TURN = 1024 }; // messages looked up, or verified, in one turn

static bool is_gathered(const struct rollover *rollover);
static void item_add(struct rollover *rollover, uint32_t stream, const struct index_place *place);
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
    rollover->item_bytes = 0;
    rollover->damage_counted = rollover->damage_file == rollover->file.id ? rollover->damage_counted : 0;
    rollover->damage_file = rollover->file.id;
    rollover->damage_seen = 0;
    rollover->block = (struct segment_summary){0};
    rollover->items = mem_alloc(ROLLOVER_ITEMS * sizeof(*rollover->items));
    rollover->spans = mem_alloc(ROLLOVER_ITEMS * sizeof(*rollover->spans));
    rollover->keys = mem_alloc(2 * ROLLOVER_ITEMS * sizeof(*rollover->keys));
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
    for (int i = 0; i < ROLLOVER_TURN && !rollover->collected && !is_gathered(rollover); i++) {
        if (!index_file_next(rollover->index, (uint32_t)rollover->file.id, &rollover->cursor, &stream, &place)) {
            rollover->collected = true;
        } else if (handler->is_wanted(handler->owner, stream, place.sequence)) {
            item_add(rollover, stream, &place);
        }
    }
    if (rollover->item_count > 0 && (rollover->collected || is_gathered(rollover))) {
        rollover_gather_read(rollover);
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

// Behind `out->len` lies what is still to be verified.
bool rollover_take(struct rollover *rollover)
{
    struct buffer *out = &rollover->writer->out;
    if (rollover->taken == 0) {
        out->len = rollover->items[0].at;
    }
    uint32_t left = rollover->item_count - rollover->taken;
    for (uint32_t i = left < ROLLOVER_TURN ? left : ROLLOVER_TURN; i > 0; i--) {
        const struct rollover_item *item = &rollover->items[rollover->taken++];
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
    if (rollover->taken < rollover->item_count) {
        return true;
    }
    rollover->item_count = 0;
    rollover->item_bytes = 0;
    rollover->state = ROLLOVER_COLLECTING;
    if (file_writer_pending(rollover->writer) >= STORE_SLICE) {
        block_close(rollover);
        rollover->state = ROLLOVER_WRITING;
    }
    return rollover_step(rollover);
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
    mem_free(rollover->keys);
    mem_free(rollover->extents);
    rollover->items = NULL;
    rollover->spans = NULL;
    rollover->keys = NULL;
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

// Neighbours are read together, so a gather is a slice where what is wanted lies close together in the log file, and larger where
// it is spread over it: else each message would be a read of its own.
static bool is_gathered(const struct rollover *rollover)
{
    if (rollover->item_count == 0) {
        return false;
    }
    size_t bytes = rollover->item_bytes;
    bool close = rollover->item_end - rollover->item_begin < 2 * (uint64_t)bytes;
    return bytes >= (close ? STORE_SLICE : ROLLOVER_GATHER) || rollover->item_count == ROLLOVER_ITEMS;
}

// With its place in the writer's buffer.
static void item_add(struct rollover *rollover, uint32_t stream, const struct index_place *place)
{
    rollover_writer_ensure(rollover);
    struct buffer *out = &rollover->writer->out;
    size_t padded = record_padded(place->size);
    must(buffer_reserve(out, padded));
    if (rollover->item_count == 0 || place->offset < rollover->item_begin) {
        rollover->item_begin = place->offset;
    }
    if (rollover->item_count == 0 || place->offset + padded > rollover->item_end) {
        rollover->item_end = place->offset + padded;
    }
    rollover->items[rollover->item_count++] =
        (struct rollover_item){place->sequence, place->offset, out->len, stream, place->size};
    rollover->item_bytes += padded;
    buffer_commit(out, padded);
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
