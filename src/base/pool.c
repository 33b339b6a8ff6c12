// SPDX-License-Identifier: Apache-2.0
// Slabs that double, up to about 64 KiB each, cut into objects that are linked through their own first bytes while free.
// The last object put back is the first handed out: it is the one still in the cache.
#include "base/pool.h"

#include "base/memory.h"
#include "base/must.h"
#include "base/poison.h"

#define ALIGNMENT     16
#define FIRST_OBJECTS 16
#define SLAB_SIZE     65536

struct pool_slab {
    _Alignas(ALIGNMENT) struct pool_slab *next; // list link
};

struct pool_free {
    struct pool_free *next; // list link
};

static void add_slab(struct pool *pool);

void pool_init(struct pool *pool, size_t object_size, size_t max)
{
    must(object_size > 0);
    *pool = (struct pool){.object_size = (object_size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, .max = max};
}

void pool_deinit(struct pool *pool)
{
    while (pool->slabs) {
        struct pool_slab *next = pool->slabs->next;
        mem_free(pool->slabs);
        pool->slabs = next;
    }
    pool_init(pool, pool->object_size, pool->max);
}

void *pool_get(struct pool *pool)
{
    if (pool->count >= pool->max) {
        return NULL;
    }
    if (!pool->free) {
        add_slab(pool);
    }
    struct pool_free *object = pool->free;
    unpoison(object, pool->object_size);
    pool->free = object->next;
    __builtin_prefetch(pool->free, 1); // whoever had it is long gone, and so are its lines from the caches
    pool->count++;
    return object;
}

void pool_put(struct pool *pool, void *object)
{
    if (!object) {
        return;
    }
    must(pool->count > 0);
    struct pool_free *freed = object;
    freed->next = pool->free;
    pool->free = freed;
    pool->count--;
    poison(object, pool->object_size);
}

static void add_slab(struct pool *pool)
{
    size_t objects = pool->total < FIRST_OBJECTS ? FIRST_OBJECTS : pool->total;
    size_t fitting = SLAB_SIZE / pool->object_size;
    objects = objects < fitting ? objects : fitting < FIRST_OBJECTS ? FIRST_OBJECTS : fitting;
    objects = objects < pool->max - pool->total ? objects : pool->max - pool->total;
    struct pool_slab *slab = mem_alloc(sizeof(*slab) + objects * pool->object_size);
    slab->next = pool->slabs;
    pool->slabs = slab;
    pool->total += objects;
    char *base = (char *)(slab + 1);
    for (size_t i = objects; i-- > 0;) {
        struct pool_free *object = (struct pool_free *)(void *)(base + i * pool->object_size);
        object->next = pool->free;
        pool->free = object;
        poison(object, pool->object_size);
    }
}
