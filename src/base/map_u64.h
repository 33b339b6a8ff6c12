// SPDX-License-Identifier: Apache-2.0
// Hash map from a 64-bit number to a pointer; the twin of base/map.h, with the same behaviour and rules. Any number is
// a fine key, 0 included.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct map_u64_slot {
    uint64_t key;
    void *value; // borrowed; NULL marks a free slot
};

struct map_u64 {
    struct map_u64_slot *slots; // owned; NULL while cap is 0
    size_t cap;                 // slots, 0 or a power of two
    size_t count;               // entries
    size_t max;                 // entries
    size_t sparse_adds;         // map_u64_add() since the map was last an eighth full
};

// No allocation until the first add. max entries; 2^30 at most, more counts as that.
void map_u64_init(struct map_u64 *map, size_t max);
// Frees the storage, not the values; the map is then as after map_u64_init().
void map_u64_deinit(struct map_u64 *map);

// value is not NULL. ERR_EXISTS when the key is there already, ERR_LIMIT when max entries are in.
int map_u64_add(struct map_u64 *map, uint64_t key, void *value) MUST_USE;
// Takes the entry out and returns its value; NULL when the key is not there.
void *map_u64_remove(struct map_u64 *map, uint64_t key);
// Iterates in no particular order: start with *pos = 0 and call until NULL. ret_key may be NULL. In between, the
// entry just returned may be removed, nothing else may change.
void *map_u64_next(const struct map_u64 *map, size_t *pos, uint64_t *ret_key);
// Asserts the invariants of the table; for tests and checked builds.
void map_u64_check(const struct map_u64 *map);

static inline size_t map_u64_count(const struct map_u64 *map)
{
    return map->count;
}

// The finaliser of MurmurHash3: neighbours (sequences, ids) spread over the table.
static inline uint64_t map_u64_hash(uint64_t key)
{
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccdULL;
    key ^= key >> 33;
    key *= 0xc4ceb9fe1a85ec53ULL;
    return key ^ (key >> 33);
}

// The value; NULL when the key is not there.
static inline void *map_u64_find(const struct map_u64 *map, uint64_t key)
{
    if (map->cap == 0) {
        return NULL;
    }
    size_t mask = map->cap - 1;
    for (size_t i = map_u64_hash(key) & mask; map->slots[i].value; i = (i + 1) & mask) {
        if (map->slots[i].key == key) {
            return map->slots[i].value;
        }
    }
    return NULL;
}

// A hint: this key is looked up before long.
static inline void map_u64_prefetch(const struct map_u64 *map, uint64_t key)
{
    if (map->cap > 0)
        __builtin_prefetch(&map->slots[map_u64_hash(key) & (map->cap - 1)]);
}
