// SPDX-License-Identifier: Apache-2.0
#include "store/chunk.h"

#include "base/memory.h"
#include "base/must.h"

struct chunk *chunk_new(size_t capacity)
{
    must(capacity <= UINT32_MAX);
    struct chunk *chunk = mem_alloc_aligned(64, sizeof(*chunk) + capacity);
    chunk->refs = 1;
    chunk->used = 0;
    chunk->capacity = (uint32_t)capacity;
    chunk->live = 0;
    chunk->number = 0;
    list_init(&chunk->link);
    return chunk;
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
