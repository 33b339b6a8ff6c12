// SPDX-License-Identifier: Apache-2.0
// The composition of everything that is not appending (see parts.h): index, cache, segments, reader. Only passes on.
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
    return parts;
}

void parts_free(struct parts *parts)
{
    if (!parts) {
        return;
    }
    reader_deinit(&parts->reader);
    segment_set_deinit(&parts->segments);
    index_deinit(&parts->index);
    tail_deinit(&parts->tail);
    mem_free(parts);
}

int parts_load(struct parts *parts, uint64_t first_index, struct parts_loaded *ret_loaded)
{
    *ret_loaded = (struct parts_loaded){ 0 };
    return 0;
}

void parts_recovered(struct parts *parts, uint64_t first_index, uint64_t last_index, bool damaged)
{
}

void parts_add_durable(struct parts *parts, uint64_t file, uint64_t offset, struct bytes bytes, struct chunk *chunk)
{
    must(file <= UINT32_MAX);
    tail_add(&parts->tail, (uint32_t)file, offset, bytes.ptr, bytes.len, chunk);
}

bool parts_step(struct parts *parts)
{
    return false;
}

uint64_t parts_next_deadline_ms(const struct parts *parts)
{
    return UINT64_MAX;
}

bool parts_is_behind(const struct parts *parts)
{
    return false;
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
    stats->index_bytes = parts->index.bytes + parts->segments.bytes;
    stats->cache_bytes = tail_bytes(&parts->tail);
}

// Memory store: messages left the index, their chunk may go.
static void message_gone(void *owner, uint32_t file, uint32_t count)
{
    struct parts *parts = owner;
    tail_memory_gone(&parts->tail, file, count);
}
