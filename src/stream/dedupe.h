// SPDX-License-Identifier: Apache-2.0
// The ids of one shard's recent messages: published again within its stream's duplicate window, a message is answered with
// success and stored once. One table for all streams: a first-in-first-out ring of ids (32 bytes each) in chunks, and 256
// open-addressing tables (8-byte slots) that find them by hash. A table grows alone and without touching the ring, so the
// longest pause at ten million ids is well under a millisecond.
//
// What a start restores waits in 256 short queues, one for each table, which are emptied into it as a whole: millions of ids in
// order of time would be as many places all over memory that neither a cache nor the processor's table of pages holds.
//
// Time is a 32-bit count of milliseconds that may wrap: monotonic time while the server lives, wall time during recovery; so a
// wall clock that jumps neither forgets ids nor keeps them for ever. dedupe_shift() goes from one to the other. The front of the
// ring leaves first: an id with a long window keeps the memory of those behind it, though not their effect.
//
// Invariants (dedupe_check): D1 at most max ids; D2 every id in a table is in the ring; D3 indexes do not decrease along the
// ring, but for those restored without one, which lie in front.
#pragma once

#include "base/hash.h"

enum {
    DEDUPE_PARTS = 256,
    DEDUPE_CHUNK = 4096,               // ids per chunk of the ring
    DEDUPE_QUEUE = 64,                 // restored ids that wait for a place in one table
    DEDUPE_WINDOW_MAX_MS = 1728000000, // 20 days: half the range of a 32-bit millisecond, with room for jumps
};

struct dedupe_id {
    struct hash128 key;
    uint64_t sequence;
    uint32_t index; // low half of the log index of its message
    uint32_t expires_ms;
};

struct dedupe_slot {
    uint32_t tag;      // 0: free
    uint32_t position; // low half of the position in the ring
};

struct dedupe_part {
    struct dedupe_slot *slots; // owned; NULL while cap is 0
    uint32_t cap;              // 0 or a power of two
    uint32_t count;            // in the table
    uint32_t waiting;          // in its queue
};

struct dedupe {
    struct dedupe_part parts[DEDUPE_PARTS];
    struct dedupe_slot *queues; // owned; DEDUPE_QUEUE for each part, while ids are restored; else NULL
    uint64_t expected;          // ids that there may be when all are restored
    struct dedupe_id **chunks;  // owned; chunk n at n % chunk_cap
    size_t chunk_cap;
    struct dedupe_id *spare; // owned; one chunk kept back, so that a moving window does not allocate
    uint64_t front, back;    // positions: ids front … back - 1 are there
    uint64_t restored;       // positions below this were restored without an index
    uint64_t last_index;     // of the newest id
    uint64_t max;
};

// No allocation. max: ids.
void dedupe_init(struct dedupe *dedupe, uint64_t max);
void dedupe_deinit(struct dedupe *dedupe);

// The key of an id in its stream.
static inline struct hash128 dedupe_key(uint32_t stream, struct hash128 id)
{
    uint64_t mix = ((uint64_t)stream + 1) * 0x9e3779b97f4a7c15ULL;
    return (struct hash128){id.lo ^ mix, id.hi + mix};
}

// Known and not expired? *ret_sequence: its message.
bool dedupe_find(const struct dedupe *dedupe, struct hash128 key, uint32_t now_ms, uint64_t *ret_sequence);
// Remembers; not when dedupe_is_full(). An expired id with the same key is replaced.
void dedupe_add(struct dedupe *dedupe, struct hash128 key, uint64_t sequence, uint64_t index, uint32_t expires_ms);
// So many ids are going to be restored at most: tables grow in larger steps towards what they need.
void dedupe_expect(struct dedupe *dedupe, uint64_t ids);
// Puts an id that was saved in front of all others: the newest first, at last those whose index is unknown (0). Others have at
// most the index of those behind. Ignored when full; when a newer id has the same key, that one is found, and this one only takes
// its memory until it expires.
void dedupe_restore(struct dedupe *dedupe, struct hash128 key, uint64_t sequence, uint64_t index, uint32_t expires_ms);
// All are restored: gives the memory of the queues back.
void dedupe_restored(struct dedupe *dedupe);
// Fetches what adding or finding this key will look at into the processor's cache: for who has many, some keys ahead.
void dedupe_prefetch(const struct dedupe *dedupe, struct hash128 key);
// Forgets expired ids at the front, at most `budget` of them. Returns whether more are expired.
bool dedupe_expire(struct dedupe *dedupe, uint32_t now_ms, size_t budget);
// Forgets ids whose index is above last_good.
void dedupe_drop(struct dedupe *dedupe, uint64_t last_good);
// Adds to all times.
void dedupe_shift(struct dedupe *dedupe, uint32_t delta_ms);
// When the front expires; false when empty.
bool dedupe_next_expiry(const struct dedupe *dedupe, uint32_t *ret_expires_ms);
// The ids of log indexes first … last: position *ret_from up to, not including, *ret_to.
void dedupe_range(const struct dedupe *dedupe, uint64_t first_index, uint64_t last_index, uint64_t *ret_from,
                  uint64_t *ret_to);
// Bytes on the heap.
size_t dedupe_memory(const struct dedupe *dedupe);
void dedupe_check(const struct dedupe *dedupe);

static inline uint64_t dedupe_count(const struct dedupe *dedupe)
{
    return dedupe->back - dedupe->front;
}

static inline bool dedupe_is_full(const struct dedupe *dedupe)
{
    return dedupe_count(dedupe) >= dedupe->max;
}

// The id at a position of the ring.
static inline struct dedupe_id *dedupe_at(const struct dedupe *dedupe, uint64_t position)
{
    return &dedupe->chunks[position / DEDUPE_CHUNK & (dedupe->chunk_cap - 1)][position % DEDUPE_CHUNK];
}

// Has a time passed?
static inline bool dedupe_is_past(uint32_t time_ms, uint32_t now_ms)
{
    return (int32_t)(time_ms - now_ms) <= 0;
}
