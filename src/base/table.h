// SPDX-License-Identifier: Apache-2.0
// Hash table of other people's things, for millions of them: 12 bytes a slot, and on average 72 of 100 in use. What a thing is found by is
// its owner's business: he hashes it, gets all things with that hash, and compares.
//
// Things stand in the order of their hashes, each at or behind its home (linear probing in a table of any size, whose homes grow with the
// hash). So a look-up ends at the first higher hash; growing, which is by a quarter, copies from front to back and touches no
// thing; and the last can be taken off without a search. One thread. base/map.h is for those who would rather be asked for a key.
//
//     const struct table_slot *slot = table_find(&table, hash);
//     while (slot->item && slot->hash == hash && !is_it(slot->item))
//         slot++;
#pragma once

#include <stdint.h>

#include "base/bytes.h"

// Packed: so that it takes 12 bytes and not 16.
struct __attribute__((packed, aligned(4))) table_slot {
    uint32_t hash;
    void *item; // borrowed; NULL: free
};

// All zero is an empty one, which owns nothing.
struct table {
    struct table_slot *slots; // owned; NULL while cap is 0. The one behind the last is always free
    uint32_t cap;             // homes; behind them are some slots for what does not fit at the end
    uint32_t count;           // things
    uint32_t end;             // all slots from here on are free
};

// Frees the storage, not the things; the table is then empty.
void table_deinit(struct table *table);

// The first slot with that hash, or one with another or without a thing: there is none then. Those with the same hash follow. Until
// the table changes.
static inline const struct table_slot *table_find(const struct table *table, uint32_t hash);
// The thing is not in there, not NULL. At most 2^30 things.
void table_add(struct table *table, uint32_t hash, void *item);
// It is in there, with that hash.
void table_remove(struct table *table, uint32_t hash, const void *item);
// Takes out one of them, at next to no cost; NULL: there is none.
void *table_pop(struct table *table);

// The next one from place *at on, in the order of hashes; begin with 0. NULL: no more. The table must not change in between.
void *table_next(const struct table *table, uint32_t *at);

// Asserts the invariants.
void table_check(const struct table *table);

static inline uint32_t table_home(const struct table *table, uint32_t hash)
{
    return (uint32_t)(((uint64_t)hash * table->cap) >> 32);
}

static inline const struct table_slot *table_find(const struct table *table, uint32_t hash)
{
    static const struct table_slot none;
    if (table->cap == 0)
        return &none;
    const struct table_slot *slot = table->slots + table_home(table, hash);
    while (slot->item && slot->hash < hash)
        slot++;
    return slot;
}
