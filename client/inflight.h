// SPDX-License-Identifier: Apache-2.0
// The asynchronous publishes of a client that wait for their acknowledgement: in the order in which they were made, so that they can be sent
// again in it, and by id, so that an acknowledgement finds its own. The owner locks. Two may have the same id: then the older one
// is found first. Acknowledgements mostly come in the order of their publishes: the first in order is looked at before ids are hashed, which
// is put off until one is asked for that is not the first. Pure.
#pragma once

#include "client/envelope.h"

// One publish. Made by weir_inflight_entry_new(), in one piece of memory; it has one owner at a time, who may free() it.
struct weir_inflight_entry {
    struct weir_inflight_entry *previous, *next; // in order; `next` also chains those that were taken out together
    struct weir_inflight_entry *same_bucket;
    uint64_t serial;     // counts from 1
    uint64_t epoch;      // of the connection that it was last sent over; 0: of none
    int64_t deadline_ms; // monotonic
    weir_published_fn *on_published;
    void *closure;
    size_t capacity; // of `memory`
    uint32_t hash;
    bool hashed; // it is in a bucket
    size_t id_len;
    const char *id;            // in the same memory, as the next two
    const char *subject;       // where it is published
    struct weir_bytes message; // a PubMsg
    char memory[];
};

struct weir_inflight {
    struct weir_inflight_entry *first, *last;
    struct weir_inflight_entry *unhashed; // the first that is in no bucket, as all after it; NULL: there is none
    struct weir_inflight_entry **buckets; // owned; a power of two of them
    size_t bucket_count;
    size_t count;
    uint64_t serials;
};

// `max`: as many as there will be.
int weir_inflight_init(struct weir_inflight *inflight, size_t max) WEIR_MUST_USE;
// There must be none left.
void weir_inflight_deinit(struct weir_inflight *inflight);

// NULL: out of memory. `prefix` and the channel, with a dot between them, make the subject. `spare` (may be NULL) is one that is free; it is used
// again if it is large enough, and freed if not. Small ones have WEIR_INFLIGHT_SMALL bytes, so that one fits for the other.
enum { WEIR_INFLIGHT_SMALL = 1024 };
struct weir_inflight_entry *weir_inflight_entry_new(struct weir_inflight_entry *spare, const char *prefix,
                                                    const struct weir_envelope_publish *publish);

// Gives it a serial; it is the table's from now on.
void weir_inflight_add(struct weir_inflight *inflight, struct weir_inflight_entry *entry);
// The one with this id, taken out and the caller's; NULL if there is none.
struct weir_inflight_entry *weir_inflight_take(struct weir_inflight *inflight, struct weir_bytes id);
// This one, taken out.
void weir_inflight_remove(struct weir_inflight *inflight, struct weir_inflight_entry *entry);
// All whose deadline is not after `now_ms`, taken out, chained by `next`. *ret_next_ms: the earliest deadline that is left, INT64_MAX if none is.
struct weir_inflight_entry *weir_inflight_expire(struct weir_inflight *inflight, int64_t now_ms, int64_t *ret_next_ms);
