// SPDX-License-Identifier: Apache-2.0
// The twin of base/map.c for numbers: the same table and the same algorithms, with the key in place of the stored hash,
// which is cheap to compute again. Two short files rather than one generic one that neither reads nor runs as well.
#include "base/map_u64.h"

#include "base/memory.h"
#include "base/must.h"

#define FIRST_CAP   16
#define MAX_ENTRIES ((size_t)1 << 30)

static size_t find_slot(const struct map_u64 *map, uint64_t key);
static bool make_room(struct map_u64 *map);
static void resize(struct map_u64 *map, size_t cap);
static void close_gap(struct map_u64 *map, size_t gap);
static size_t first_free(const struct map_u64 *map);

void map_u64_init(struct map_u64 *map, size_t max)
{
    *map = (struct map_u64){.max = max < MAX_ENTRIES ? max : MAX_ENTRIES};
}

void map_u64_deinit(struct map_u64 *map)
{
    mem_free(map->slots);
    map_u64_init(map, map->max);
}

int map_u64_add(struct map_u64 *map, uint64_t key, void *value)
{
    must(value);
    size_t slot = map->cap ? find_slot(map, key) : 0;
    if (map->cap && map->slots[slot].value) {
        return ERR_EXISTS;
    }
    if (map->count >= map->max) {
        return ERR_LIMIT;
    }
    if (make_room(map)) {
        slot = find_slot(map, key);
    }
    map->slots[slot] = (struct map_u64_slot){key, value};
    map->count++;
    return 0;
}

void *map_u64_remove(struct map_u64 *map, uint64_t key)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t slot = find_slot(map, key);
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
void *map_u64_next(const struct map_u64 *map, size_t *pos, uint64_t *ret_key)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t start = *pos ? *pos >> 32 : first_free(map);
    for (size_t behind = *pos ? *pos & UINT32_MAX : 1; behind < map->cap; behind++) {
        const struct map_u64_slot *slot = &map->slots[(start - behind) & (map->cap - 1)];
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

void map_u64_check(const struct map_u64 *map)
{
    size_t count = 0;
    must((map->cap & (map->cap - 1)) == 0 && map->count <= map->cap / 4 * 3 && map->count <= map->max);
    for (size_t i = 0; i < map->cap; i++) {
        const struct map_u64_slot *slot = &map->slots[i];
        count += slot->value != NULL;
        must(!slot->value || find_slot(map, slot->key) == i);
    }
    must(count == map->count);
}

// Where the key is, or the free slot where it would go. There is always a free slot.
static size_t find_slot(const struct map_u64 *map, uint64_t key)
{
    size_t mask = map->cap - 1;
    size_t i = map_u64_hash(key) & mask;
    while (map->slots[i].value && map->slots[i].key != key) {
        i = (i + 1) & mask;
    }
    return i;
}

// Sees to it that one more entry leaves a quarter free, and that storage long unused goes. True when entries moved.
static bool make_room(struct map_u64 *map)
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

static void resize(struct map_u64 *map, size_t cap)
{
    struct map_u64_slot *old = map->slots;
    size_t old_cap = map->cap;
    map->slots = mem_alloc_zero(cap * sizeof(*map->slots));
    map->cap = cap;
    map->sparse_adds = 0;
    for (size_t i = 0; i < old_cap; i++) {
        size_t to = map_u64_hash(old[i].key) & (cap - 1);
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
static void close_gap(struct map_u64 *map, size_t gap)
{
    size_t mask = map->cap - 1;
    for (size_t i = (gap + 1) & mask; map->slots[i].value; i = (i + 1) & mask) {
        size_t probed = (i - map_u64_hash(map->slots[i].key)) & mask;
        if (probed >= ((i - gap) & mask)) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap] = (struct map_u64_slot){0};
}

static size_t first_free(const struct map_u64 *map)
{
    size_t i = 0;
    while (map->slots[i].value) {
        i++;
    }
    return i;
}
