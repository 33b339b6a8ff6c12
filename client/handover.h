// SPDX-License-Identifier: Apache-2.0
// Entries on their way from one thread to another, without a lock: a ring of bounded size with one place to put in and one to take out.
// Whoever puts in excludes others who do, and whoever takes out excludes others who do, by locks of their own; the two may go on at the same time
// and share nothing but two counters. What was written to an entry before it was put in is seen by who takes it out. Pure.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { WEIR_HANDOVER_MAX = 1024, WEIR_HANDOVER_LINE_BYTES = 64 };

struct weir_inflight_entry;

// All 0 is an empty one. `put` and `taken` count from the beginning on. What one end writes is not on a cache line with what the other does.
struct weir_handover {
    char gap[WEIR_HANDOVER_LINE_BYTES];
    atomic_size_t put;
    size_t taken_seen; // by who puts in
    char put_gap[WEIR_HANDOVER_LINE_BYTES];
    atomic_size_t taken;
    size_t put_seen; // by who takes out
    char taken_gap[WEIR_HANDOVER_LINE_BYTES];
    struct weir_inflight_entry *entries[WEIR_HANDOVER_MAX]; // owned by the ring while they are in it
};

// False: it is full, and the entry is still the caller's.
static inline bool weir_handover_put(struct weir_handover *handover, struct weir_inflight_entry *entry)
{
    size_t put = atomic_load_explicit(&handover->put, memory_order_relaxed);
    if (put - handover->taken_seen == WEIR_HANDOVER_MAX)
        handover->taken_seen = atomic_load_explicit(&handover->taken, memory_order_acquire);
    if (put - handover->taken_seen == WEIR_HANDOVER_MAX)
        return false;
    handover->entries[put % WEIR_HANDOVER_MAX] = entry;
    atomic_store_explicit(&handover->put, put + 1, memory_order_release);
    return true;
}

// In the order in which they were put in; NULL: it is empty.
static inline struct weir_inflight_entry *weir_handover_take(struct weir_handover *handover)
{
    size_t taken = atomic_load_explicit(&handover->taken, memory_order_relaxed);
    if (taken == handover->put_seen)
        handover->put_seen = atomic_load_explicit(&handover->put, memory_order_acquire);
    if (taken == handover->put_seen)
        return NULL;
    struct weir_inflight_entry *entry = handover->entries[taken % WEIR_HANDOVER_MAX];
    atomic_store_explicit(&handover->taken, taken + 1, memory_order_release);
    return entry;
}
