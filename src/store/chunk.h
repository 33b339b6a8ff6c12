// SPDX-License-Identifier: Apache-2.0
// A block of log memory that many own: entries being built, entries being written, the read cache, and whoever is still
// sending a message from it. Immutable but for its unused end. Refcounted; one thread.
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

// refs = 1.
struct chunk *chunk_new(size_t capacity);
struct chunk *chunk_ref(struct chunk *chunk);
// Frees at 0. NULL is fine.
void chunk_unref(struct chunk *chunk);
