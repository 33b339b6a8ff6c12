// SPDX-License-Identifier: Apache-2.0
// Linear probing over slots that keep the hash, so that growing and shifting never look at keys, and a look-up compares
// bytes only where all 64 bits of the hash agree. Removal shifts the entries behind the gap back to where they belong.
#include "base/map.h"

#include "base/hash.h"
#include "base/memory.h"
#include "base/must.h"

#define FIRST_CAP   16
#define MAX_ENTRIES ((size_t)1 << 30)

static size_t find_slot(const struct map *map, uint64_t hash, struct bytes key);
static bool make_room(struct map *map);
static void resize(struct map *map, size_t cap);
static void close_gap(struct map *map, size_t gap);
static size_t first_free(const struct map *map);

void map_init(struct map *map, size_t max)
{
    map_init_seeded(map, max, 0);
}

void map_init_seeded(struct map *map, size_t max, uint64_t seed)
{
    *map = (struct map){.max = max < MAX_ENTRIES ? max : MAX_ENTRIES, .seed = seed};
}

void map_deinit(struct map *map)
{
    mem_free(map->slots);
    map_init_seeded(map, map->max, map->seed);
}

void *map_find(const struct map *map, struct bytes key)
{
    if (map->count == 0) {
        return NULL;
    }
    return map->slots[find_slot(map, hash_bytes(key, map->seed), key)].value;
}

// First the slots are called for, then what the slots point at, then all of it is looked at.
void map_find_many(const struct map *map, const struct bytes *keys, size_t count, void **ret_values)
{
    uint64_t hashes[MAP_MANY_MAX];
    must(count <= MAP_MANY_MAX);
    if (map->count == 0) {
        memset(ret_values, 0, count * sizeof(*ret_values));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_bytes(keys[i], map->seed);
        __builtin_prefetch(&map->slots[hashes[i] & (map->cap - 1)]);
    }
    for (size_t i = 0; i < count; i++) {
        const struct map_slot *slot = &map->slots[hashes[i] & (map->cap - 1)];
        __builtin_prefetch(slot->key.ptr);
        __builtin_prefetch(slot->value);
    }
    for (size_t i = 0; i < count; i++) {
        ret_values[i] = map->slots[find_slot(map, hashes[i], keys[i])].value;
    }
}

int map_add(struct map *map, struct bytes key, void *value)
{
    must(value);
    uint64_t hash = hash_bytes(key, map->seed);
    size_t slot = map->cap ? find_slot(map, hash, key) : 0;
    if (map->cap && map->slots[slot].value) {
        return ERR_EXISTS;
    }
    if (map->count >= map->max) {
        return ERR_LIMIT;
    }
    if (make_room(map)) {
        slot = find_slot(map, hash, key);
    }
    map->slots[slot] = (struct map_slot){hash, key, value};
    map->count++;
    return 0;
}

void *map_remove(struct map *map, struct bytes key)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t slot = find_slot(map, hash_bytes(key, map->seed), key);
    void *value = map->slots[slot].value;
    if (value) {
        close_gap(map, slot);
        map->count--;
    }
    return value;
}

// Goes backwards from a free slot. Removing the entry just returned moves only entries that were passed already, and no
// run of entries reaches across the starting point; so nothing is missed or seen twice. The position is the starting
// slot in the upper half, and how far behind it the next slot lies in the lower.
void *map_next(const struct map *map, size_t *pos, struct bytes *ret_key)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t start = *pos ? *pos >> 32 : first_free(map);
    for (size_t behind = *pos ? *pos & UINT32_MAX : 1; behind < map->cap; behind++) {
        const struct map_slot *slot = &map->slots[(start - behind) & (map->cap - 1)];
        if (slot->value) {
            *pos = start << 32 | (behind + 1);
            if (ret_key) {
                *ret_key = slot->key;
            }
            return slot->value;
        }
    }
    *pos = start << 32 | map->cap;
    return NULL;
}

void map_check(const struct map *map)
{
    size_t count = 0;
    must((map->cap & (map->cap - 1)) == 0 && map->count <= map->cap / 4 * 3 && map->count <= map->max);
    for (size_t i = 0; i < map->cap; i++) {
        const struct map_slot *slot = &map->slots[i];
        count += slot->value != NULL;
        must(!slot->value || slot->hash == hash_bytes(slot->key, map->seed));
        must(!slot->value || find_slot(map, slot->hash, slot->key) == i);
    }
    must(count == map->count);
}

// Where the key is, or the free slot where it would go. There is always a free slot.
static size_t find_slot(const struct map *map, uint64_t hash, struct bytes key)
{
    size_t mask = map->cap - 1;
    size_t i = hash & mask;
    while (map->slots[i].value && !(map->slots[i].hash == hash && bytes_equal(map->slots[i].key, key))) {
        i = (i + 1) & mask;
    }
    return i;
}

// Sees to it that one more entry leaves a quarter free, and that storage long unused goes. True when entries moved.
static bool make_room(struct map *map)
{
    size_t count = map->count + 1;
    if (count > map->cap / 4 * 3) {
        resize(map, map->cap ? map->cap * 2 : FIRST_CAP);
        return true;
    }
    if (map->cap == FIRST_CAP || count > map->cap / 8) {
        map->sparse_adds = 0;
        return false;
    }
    if (++map->sparse_adds < map->cap) {
        return false;
    }
    size_t cap = FIRST_CAP;
    while (count > cap / 2) {
        cap *= 2;
    }
    resize(map, cap);
    return true;
}

static void resize(struct map *map, size_t cap)
{
    struct map_slot *old = map->slots;
    size_t old_cap = map->cap;
    map->slots = mem_alloc_zero(cap * sizeof(*map->slots));
    map->cap = cap;
    map->sparse_adds = 0;
    for (size_t i = 0; i < old_cap; i++) {
        size_t to = old[i].hash & (cap - 1);
        if (old[i].value) {
            while (map->slots[to].value) {
                to = (to + 1) & (cap - 1);
            }
            map->slots[to] = old[i];
        }
    }
    mem_free(old);
}

// Empties the slot: each entry behind it that may not stay behind a gap moves into it and leaves the next one.
static void close_gap(struct map *map, size_t gap)
{
    size_t mask = map->cap - 1;
    for (size_t i = (gap + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
        size_t probed = (i - map->slots[i].hash) & mask;
        if (probed >= ((i - gap) & mask)) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap] = (struct map_slot){0};
}

static size_t first_free(const struct map *map)
{
    size_t i = 0;
    while (map->slots[i].value) {
        i++;
    }
    return i;
}
