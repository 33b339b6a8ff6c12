// SPDX-License-Identifier: Apache-2.0
// A pointer that moves through a chunk; the list of chunks is only for freeing them. A large allocation gets a chunk of
// its own and leaves the pointer where it is, so that the rest of the current chunk is not lost.
#include "base/arena.h"

#include "base/memory.h"
#include "base/poison.h"

#define ALIGNMENT 8

struct arena_chunk {
    struct arena_chunk *next; // list link
    size_t size;              // bytes behind this header
};

static struct arena_chunk *chunk_new(size_t size);
static void *alloc_large(struct arena *arena, size_t size);
static void fill_from(struct arena *arena, struct arena_chunk *chunk);

void arena_init(struct arena *arena, size_t chunk_size, size_t max)
{
    size_t rounded = (chunk_size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *arena = (struct arena){.chunk_size = rounded ? rounded : ALIGNMENT, .max = max};
}

void arena_deinit(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *next = arena->chunks->next;
        mem_free(arena->chunks);
        arena->chunks = next;
    }
    arena_init(arena, arena->chunk_size, arena->max);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > arena->max - arena->used) {
        return NULL;
    }
    size_t rounded = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    if (rounded > arena->max - arena->used) {
        return NULL;
    }
    arena->used += rounded;
    if (rounded > arena->chunk_size) {
        return alloc_large(arena, rounded);
    }
    if ((size_t)(arena->end - arena->at) < rounded) {
        struct arena_chunk *chunk = chunk_new(arena->chunk_size);
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        fill_from(arena, chunk);
    }
    void *ptr = arena->at;
    arena->at += rounded;
    unpoison(ptr, size);
    return ptr;
}

struct bytes arena_copy(struct arena *arena, struct bytes bytes)
{
    char *copy = arena_alloc(arena, bytes.len);
    if (!copy) {
        return bytes_make(NULL, 0);
    }
    if (bytes.len != 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    return bytes_make(copy, bytes.len);
}

void arena_reset(struct arena *arena)
{
    struct arena_chunk *kept = NULL;
    while (arena->chunks) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        if (!kept && chunk->size == arena->chunk_size) {
            kept = chunk;
        } else {
            mem_free(chunk);
        }
    }
    arena_init(arena, arena->chunk_size, arena->max);
    if (kept) {
        kept->next = NULL;
        arena->chunks = kept;
        fill_from(arena, kept);
    }
}

static struct arena_chunk *chunk_new(size_t size)
{
    struct arena_chunk *chunk = mem_alloc(sizeof(*chunk) + size);
    chunk->next = NULL;
    chunk->size = size;
    return chunk;
}

static void *alloc_large(struct arena *arena, size_t size)
{
    struct arena_chunk *chunk = chunk_new(size);
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk + 1;
}

static void fill_from(struct arena *arena, struct arena_chunk *chunk)
{
    arena->at = (char *)(chunk + 1);
    arena->end = arena->at + chunk->size;
    poison(arena->at, chunk->size);
}
