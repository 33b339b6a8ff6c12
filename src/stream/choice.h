// SPDX-License-Identifier: Apache-2.0
// Who gets the next message: the members of a consumer, grouped by load (messages in flight and reserved). A list of buckets by
// rising load, each with its members in the order in which they came; so the member with the fewest is the first of the first
// bucket, equals take turns, and a change of load by one is a step to the neighbour: all O(1) with ten thousand members.
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/pool.h"

// Members are kept apart by what they can be chosen for.
enum choice_kind {
    CHOICE_FREE,         // below their max in flight
    CHOICE_SUSPECT_FREE, // the same with a failed heartbeat
    CHOICE_STALLED,      // at or above it: only for redeliveries
    CHOICE_SUSPECT_STALLED,
    CHOICE_KINDS,
};

struct choice {
    struct list buckets; // choice_bucket, by load
};

struct choice_bucket {
    struct list link;    // choice's
    struct list entries; // choice_entry, never empty
    uint64_t load;
    struct choice *choice; // borrowed
};

// Embedded in a member; small, because there may be ten thousand.
struct choice_entry {
    struct choice_bucket *bucket; // borrowed; NULL: in no choice
    struct list link;             // bucket's
};

void choice_init(struct choice *choice);
// Puts an entry in with its load, takes it out, moves it to another choice or load: whatever is needed. choice NULL: out.
// Buckets come from the pool.
void choice_place(struct choice_entry *entry, struct choice *choice, uint64_t load, struct pool *buckets);
// The entry with the smallest load, other than `not` (may be NULL). NULL: none.
struct choice_entry *choice_first(const struct choice *choice, const struct choice_entry * not );
// The one that comes next with the same load; NULL: none.
struct choice_entry *choice_after(const struct choice_entry *entry);
void choice_check(const struct choice *choice);
