// SPDX-License-Identifier: Apache-2.0
// The composition of everything that is not appending (see parts.h): index, cache, segments, reader,
// checkpoints, roll-over. Only passes on.
#include "store/parts.h"

#include "base/memory.h"
#include "base/must.h"
#include "store/parts_internal.h"

static void message_gone(void *owner, uint32_t file, uint32_t count);

struct parts *parts_new(struct store_context *context)
{
    struct parts *parts = mem_alloc_zero(sizeof(*parts));
    parts->context = context;
    index_init(&parts->index, context->options.memory ? message_gone : NULL, parts);
    tail_init(&parts->tail, context->options.cache_bytes);
    segment_set_init(&parts->segments, context);
    reader_init(&parts->reader, context, &parts->index, &parts->tail, &parts->segments);
    checkpoint_init(&parts->checkpoint, context, &parts->segments);
    rollover_init(&parts->rollover, context, &parts->index, &parts->segments, &parts->checkpoint);
    return parts;
}

void parts_free(struct parts *parts)
{
    if (!parts) {
        return;
    }
    rollover_deinit(&parts->rollover);
    checkpoint_deinit(&parts->checkpoint);
    reader_deinit(&parts->reader);
    segment_set_deinit(&parts->segments);
    index_deinit(&parts->index);
    tail_deinit(&parts->tail);
    mem_free(parts);
}

int parts_load(struct parts *parts, uint64_t first_index, struct parts_loaded *ret_loaded)
{
    struct checkpoint_loaded loaded;
    int result = checkpoint_load(&parts->checkpoint, first_index, &loaded);
    if (result == 0) {
        *ret_loaded = (struct parts_loaded){loaded.begin_index, loaded.end_index, loaded.rolled_index};
    }
    return result;
}

void parts_recovered(struct parts *parts, uint64_t first_index, uint64_t last_index, bool damaged)
{
    const struct log_view *log = &parts->context->log;
    rollover_recover(&parts->rollover, first_index, last_index, damaged);
    // What was replayed as new is not in a checkpoint and counts towards the next.
    bool much = log->retained_bytes(log->owner) > parts->context->options.checkpoint_bytes;
    if (last_index > parts->checkpoint.covered_index && much) {
        checkpoint_request(&parts->checkpoint, true);
    }
}

void parts_add_durable(struct parts *parts, uint64_t file, uint64_t offset, struct bytes bytes, struct chunk *chunk)
{
    must(file <= UINT32_MAX);
    tail_add(&parts->tail, (uint32_t)file, offset, bytes.ptr, bytes.len, chunk);
}

bool parts_step(struct parts *parts)
{
    if (parts->context->options.memory) {
        return false;
    }
    bool rolling = rollover_step(&parts->rollover), writing = checkpoint_step(&parts->checkpoint);
    return rolling || writing;
}

uint64_t parts_next_deadline_ms(const struct parts *parts)
{
    if (parts->context->options.memory) {
        return UINT64_MAX;
    }
    uint64_t rollover = rollover_next_deadline_ms(&parts->rollover);
    uint64_t checkpoint = checkpoint_next_deadline_ms(&parts->checkpoint);
    return rollover < checkpoint ? rollover : checkpoint;
}

bool parts_is_behind(const struct parts *parts)
{
    return !parts->context->options.memory && rollover_is_behind(&parts->rollover);
}

void parts_quiesce(struct parts *parts)
{
    parts->context->closing = true;
}

bool parts_is_busy(const struct parts *parts)
{
    return parts->context->requests > 0;
}

uint64_t parts_memory_bytes(const struct parts *parts)
{
    return parts->tail.memory_bytes;
}

void parts_stats(const struct parts *parts, struct store_stats *stats)
{
    stats->segments = parts->segments.count;
    stats->segment_bytes = parts->segments.file_bytes;
    stats->checkpoints = parts->checkpoint.written;
    stats->checkpoint_index = parts->checkpoint.covered_index;
    stats->index_bytes = parts->index.bytes + parts->segments.bytes;
    stats->cache_bytes = tail_bytes(&parts->tail);
}

// Memory store: messages left the index, their chunk may go.
static void message_gone(void *owner, uint32_t file, uint32_t count)
{
    struct parts *parts = owner;
    tail_memory_gone(&parts->tail, file, count);
}
