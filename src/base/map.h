// SPDX-License-Identifier: Apache-2.0
// Hash map from bytes to a pointer. Open addressing with linear probing and backward-shift deletion: no tombstones, so
// a map under churn stays as fast as a fresh one. One thread. At most three quarters full; grows by doubling;
// shrinks when it has been less than an eighth full for as many map_add() as it has slots: so a spike gives its memory
// back, while a working set that comes and goes does not allocate.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

enum { MAP_MANY_MAX = 16 };

struct map_slot {
    uint64_t hash;
    struct bytes key; // borrowed from the value
    void *value;      // borrowed; NULL marks a free slot
};

struct map {
    struct map_slot *slots; // owned; NULL while cap is 0
    size_t cap;             // slots, 0 or a power of two
    size_t count;           // entries
    size_t max;             // entries
    size_t sparse_adds;     // map_add() since the map was last an eighth full
    uint64_t seed;
};

// No allocation until the first add. max entries; 2^30 at most, more counts as that.
void map_init(struct map *map, size_t max);
// The same with a hash seed, for keys that strangers choose.
void map_init_seeded(struct map *map, size_t max, uint64_t seed);
// Frees the storage, not the values; the map is then as after map_init_seeded().
void map_deinit(struct map *map);

// The value; NULL when the key is not there.
void *map_find(const struct map *map, struct bytes key);
// The same for up to MAP_MANY_MAX keys at once: in a table larger than the caches they are waited for together.
void map_find_many(const struct map *map, const struct bytes *keys, size_t count, void **ret_values);
// The key's bytes are borrowed (usually from the value) and must stay in place until removed; value is not NULL.
// ERR_EXISTS when the key is there already, ERR_LIMIT when max entries are in.
int map_add(struct map *map, struct bytes key, void *value) MUST_USE;
// Takes the entry out and returns its value; NULL when the key is not there.
void *map_remove(struct map *map, struct bytes key);

// Iterates in no particular order: start with *pos = 0 and call until NULL. ret_key may be NULL. In between, the
// entry just returned may be removed, nothing else may change.
void *map_next(const struct map *map, size_t *pos, struct bytes *ret_key);
// Asserts the invariants of the table; for tests and checked builds.
void map_check(const struct map *map);

static inline size_t map_count(const struct map *map)
{
    return map->count;
}
