// SPDX-License-Identifier: Apache-2.0
// Pool of objects of one size, for what is made and dropped per message. Objects come from slabs that are only freed by
// pool_deinit(); so after warm-up pool_get() and pool_put() never touch the heap. One thread. Under AddressSanitizer an
// object that was put back is poisoned.
#pragma once

#include <stddef.h>

struct pool_slab;
struct pool_free;

struct pool {
    struct pool_slab *slabs; // owned, list link
    struct pool_free *free;  // objects in slabs, linked through their own first bytes
    size_t object_size;      // bytes, rounded up to 16
    size_t count;            // objects in use
    size_t total;            // objects in all slabs
    size_t max;              // objects
};

// No allocation. Objects are aligned to 16 bytes.
void pool_init(struct pool *pool, size_t object_size, size_t max);
// Frees all slabs; objects not put back are gone as well.
void pool_deinit(struct pool *pool);
// An object with unspecified content; NULL when max are in use.
void *pool_get(struct pool *pool);
// The object must come from this pool; NULL is fine.
void pool_put(struct pool *pool, void *object);

// Bytes of all slabs.
static inline size_t pool_memory(const struct pool *pool)
{
    return pool->total * pool->object_size;
}

// Objects in use.
static inline size_t pool_count(const struct pool *pool)
{
    return pool->count;
}
