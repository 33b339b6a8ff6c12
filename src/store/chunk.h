// SPDX-License-Identifier: Apache-2.0
// A block of log memory that many own: entries being built, entries being written, the read cache, and whoever is still
// sending a message from it. Immutable but for its unused end. Refcounted; one thread.
//
// Chunks of the log are large and come and go all the time: as many come as the cache lets go. Some of those that go are kept to be
// used again (struct chunk_spares), so that neither the heap nor the kernel is asked; all beyond go back to the system at once,
// which the heap would not do (64 MiB may wait for a slow disk, once a day).
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct chunk {
    uint32_t refs;
    uint32_t used;     // bytes of data filled
    uint32_t capacity; // bytes of data
    uint32_t live;     // memory store: messages in it that are still wanted
    uint64_t number;   // memory store: key of the index
    struct list link;  // the cache's
    char data[];       // 64-byte aligned relative to the chunk's start
};

struct chunk_spares {
    size_t capacity; // of each
    uint32_t count;
    uint32_t max;
    struct list chunks; // owned; refs = 0
};

// refs = 1.
struct chunk *chunk_new(size_t capacity);
struct chunk *chunk_ref(struct chunk *chunk);
// Frees at 0. NULL is fine.
void chunk_unref(struct chunk *chunk);

// No allocation. max 0: none are kept.
void chunk_spares_init(struct chunk_spares *spares, size_t capacity, uint32_t max);
void chunk_spares_deinit(struct chunk_spares *spares);
// As chunk_new(); one of those kept, if there is one of that capacity.
struct chunk *chunk_spares_take(struct chunk_spares *spares, size_t capacity);
// As chunk_unref(); kept, if it was the last reference and there is room. In no list.
void chunk_spares_give(struct chunk_spares *spares, struct chunk *chunk);
