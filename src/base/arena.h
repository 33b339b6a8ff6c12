// SPDX-License-Identifier: Apache-2.0
// Arena: many small allocations that live and die together (a request, a turn of the loop). One thread.
// Memory comes in chunks of chunk_size; what does not fit one gets a chunk of its own. arena_reset() keeps one ordinary
// chunk, so that an arena in a loop settles without touching the heap.
#pragma once

#include <stddef.h>

#include "base/bytes.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; // owned, linked in no particular order
    char *at;                   // next free byte of the chunk being filled
    char *end;                  // behind its last
    size_t chunk_size;          // bytes
    size_t used;                // bytes handed out since the last reset, rounded
    size_t max;                 // bytes that may be handed out between resets
};

// No allocation. chunk_size and max in bytes.
void arena_init(struct arena *arena, size_t chunk_size, size_t max);
// Frees everything; the arena is then as after arena_init().
void arena_deinit(struct arena *arena);
// Uninitialised memory, aligned to 8 bytes, valid until the next reset; NULL when it would pass max.
void *arena_alloc(struct arena *arena, size_t size);
// A copy of the bytes in the arena; its ptr is NULL when it would pass max.
struct bytes arena_copy(struct arena *arena, struct bytes bytes);
// Everything handed out is invalid from here on.
void arena_reset(struct arena *arena);
