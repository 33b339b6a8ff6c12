// SPDX-License-Identifier: Apache-2.0
// A set of 64-bit sequence numbers, tuned for the dense: deleted messages, acknowledgements beyond a floor. One thread.
//
// A sorted array of chunks of 2,048 sequences. A chunk is either one bitmap (256 bytes) or, full, part of a run of full
// chunks that is one array entry however long it is. So a million adjacent numbers cost a few hundred bytes, every
// second one of a million 140 kB, and an isolated number 280 bytes. Look-ups are O(log chunks); adding or removing is
// the same, plus moving the tail of the array (24 bytes per 2,048 sequences) when a chunk appears or goes.
//
// The maximum is the caller's: memory is bounded by the span of sequences it admits, see seqset_memory().
#pragma once

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"

#define SEQSET_CHUNK_BITS  2048
#define SEQSET_CHUNK_WORDS (SEQSET_CHUNK_BITS / 64)
// The largest member; one less than the type's maximum so that "the one after" always exists.
#define SEQSET_MAX (UINT64_MAX - 1)

struct seqset_chunk {
    uint64_t first; // number of the chunk (sequence / 2048)
    uint64_t last;  // number of the last chunk of a full run; equals first for a bitmap
    uint64_t *bits; // owned bitmap, neither empty nor full; NULL: all sequences of chunks first..last are in
};

struct seqset {
    struct seqset_chunk *chunks; // owned, sorted, disjoint; neighbouring full runs are always merged
    size_t chunk_count;
    size_t chunk_cap;
    size_t bitmap_count; // chunks that have a bitmap
    uint64_t count;      // members
    uint64_t *spare;     // owned; one bitmap kept back so that a moving window does not allocate
};

// No allocation until the first add.
void seqset_init(struct seqset *set);
// Frees everything; the set is then as after seqset_init().
void seqset_deinit(struct seqset *set);
// Empties the set and frees its memory.
void seqset_clear(struct seqset *set);

// True when seq was not in yet. seq <= SEQSET_MAX.
bool seqset_add(struct seqset *set, uint64_t seq);
// Adds first..last inclusive; first <= last <= SEQSET_MAX. Costs by chunks touched, not by sequences.
void seqset_add_range(struct seqset *set, uint64_t first, uint64_t last);
// True when seq was in.
bool seqset_remove(struct seqset *set, uint64_t seq);
// Removes every member smaller than seq.
void seqset_remove_below(struct seqset *set, uint64_t seq);

bool seqset_has(const struct seqset *set, uint64_t seq);
// The smallest number >= seq that is not in; at most SEQSET_MAX + 1. seq <= SEQSET_MAX.
uint64_t seqset_next_absent(const struct seqset *set, uint64_t seq);
// The first run of members at or after seq. If seq itself is in, *ret_first is seq, even when the run began before
// it; *ret_last is the run's true end. False (and outputs untouched) when there is none. To walk all runs: start with
// seq = 0 and go on with *ret_last + 1.
bool seqset_next_present(const struct seqset *set, uint64_t seq, uint64_t *ret_first, uint64_t *ret_last);

// Bytes on the heap.
size_t seqset_memory(const struct seqset *set);

// Appends the set as runs: varint length (>= 1) and varint gap to the end of the previous run (the first run: from 0;
// later ones >= 1), in turn; a length of 0 ends it. ERR_TOO_BIG when the buffer is full, which is then as it was.
int seqset_encode(const struct seqset *set, struct buffer *to) MUST_USE;
// Reads what seqset_encode() wrote from the front of `from` into an empty set; *ret_used is the bytes read. ERR_CORRUPT
// for anything else, with the set left empty. Time and memory are linear in the bytes read.
int seqset_decode(struct seqset *set, struct bytes from, size_t *ret_used) MUST_USE;
// Asserts the invariants named at the fields; for tests and checked builds.
void seqset_check(const struct seqset *set);

static inline uint64_t seqset_count(const struct seqset *set)
{
    return set->count;
}
