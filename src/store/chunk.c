// SPDX-License-Identifier: Apache-2.0
#include "store/chunk.h"

#include "base/memory.h"
#include "base/must.h"

static struct chunk *chunk_begin(struct chunk *chunk, size_t capacity);

struct chunk *chunk_new(size_t capacity)
{
    must(capacity <= UINT32_MAX);
    return chunk_begin(mem_alloc_aligned(64, sizeof(struct chunk) + capacity), capacity);
}

struct chunk *chunk_ref(struct chunk *chunk)
{
    must(chunk->refs > 0);
    chunk->refs++;
    return chunk;
}

void chunk_unref(struct chunk *chunk)
{
    if (!chunk)
        return;
    must(chunk->refs > 0);
    if (--chunk->refs == 0)
        mem_free(chunk);
}

void chunk_spares_init(struct chunk_spares *spares, size_t capacity, uint32_t max)
{
    *spares = (struct chunk_spares){.capacity = capacity, .max = max};
    list_init(&spares->chunks);
}

void chunk_spares_deinit(struct chunk_spares *spares)
{
    struct list *link;
    while ((link = list_pop_front(&spares->chunks)))
        mem_free(container_of(link, struct chunk, link));
    spares->count = 0;
}

// The one kept last, which a cache may still know.
struct chunk *chunk_spares_take(struct chunk_spares *spares, size_t capacity)
{
    if (spares->count == 0 || capacity != spares->capacity)
        return chunk_new(capacity);
    struct chunk *chunk = container_of(list_pop_front(&spares->chunks), struct chunk, link);
    spares->count--;
    return chunk_begin(chunk, capacity);
}

void chunk_spares_give(struct chunk_spares *spares, struct chunk *chunk)
{
    if (chunk->refs > 1 || chunk->capacity != spares->capacity || spares->count >= spares->max) {
        chunk_unref(chunk);
        return;
    }
    must(chunk->refs == 1);
    chunk->refs = 0;
    list_push_front(&spares->chunks, &chunk->link);
    spares->count++;
}

static struct chunk *chunk_begin(struct chunk *chunk, size_t capacity)
{
    chunk->refs = 1;
    chunk->used = 0;
    chunk->capacity = (uint32_t)capacity;
    chunk->live = 0;
    chunk->number = 0;
    list_init(&chunk->link);
    return chunk;
}
