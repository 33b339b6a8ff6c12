// SPDX-License-Identifier: Apache-2.0
// What waits to be sent to one connection: a list of chunks, filled at the end and sent from the front.
//
//     first ──► [ chunk | 1 KiB ] ──► [ chunk | 16 KiB ] ──► [ reference ──► block ] ──► [ chunk ] ◄── last
//
// Small things are copied into chunks; a large payload that several connections get is one immutable, reference-counted
// block. The first chunk of an empty queue is small, so that ten thousand connections that are sent one line each do not
// take 16 KiB each; an empty queue holds nothing. Chunks are recycled through a bounded cache shared by all queues of a
// broker: after warm-up nothing is allocated.
#pragma once

#include "base/bytes.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/shared_block.h"

// Immutable bytes with several owners, all on one thread: bytes of its own, or a reference to those that other threads have too.
struct outbound_block {
    uint32_t refs;
    size_t len;
    struct shared_block *shared; // owned reference; NULL: the bytes are in data[]
    char data[];
};

struct outbound_chunk {
    struct outbound_chunk *next;  // list link
    struct outbound_block *block; // owned reference; then cap and len are 0. NULL: the bytes are in data[]
    uint32_t len;                 // bytes in use
    uint32_t cap;                 // bytes of data[]
    char data[];
};

#define OUTBOUND_SMALL_BYTES 1024
#define OUTBOUND_LARGE_BYTES (16 * 1024)
#define OUTBOUND_SMALL_KEPT  1024 // chunks
#define OUTBOUND_LARGE_KEPT  256  // chunks

// Free chunks, one per broker.
struct outbound_cache {
    struct outbound_chunk *small; // owned list
    struct outbound_chunk *large; // owned list
    uint32_t small_count;
    uint32_t large_count;
};

// All zeroes is an empty queue.
struct outbound {
    struct outbound_chunk *first; // owned list
    struct outbound_chunk *last;  // borrowed from the list
    uint64_t size_bytes;          // queued and not yet consumed
    size_t taken_bytes;           // of the first chunk, already consumed
};

void outbound_cache_deinit(struct outbound_cache *cache);

// Drops everything.
void outbound_clear(struct outbound *outbound, struct outbound_cache *cache);
// Copies; may spread over several chunks.
void outbound_append(struct outbound *outbound, struct outbound_cache *cache, struct bytes bytes);
// Takes a reference of its own to the block.
void outbound_append_block(struct outbound *outbound, struct outbound_cache *cache, struct outbound_block *block);
// Views of the front, at most `max` of them; returns how many.
size_t outbound_gather(const struct outbound *outbound, struct bytes *ret_parts, size_t max);
// The first n bytes (at most size_bytes) are sent: releases what held them.
void outbound_consume(struct outbound *outbound, struct outbound_cache *cache, size_t n);
// Asserts the invariants.
void outbound_check(const struct outbound *outbound);

// With one reference, which is the caller's; data is uninitialised.
struct outbound_block *outbound_block_new(size_t len);
// The same, with bytes that may be shared with other threads.
struct outbound_block *outbound_block_new_shared(size_t len);
// Around bytes that came from another thread; takes over the caller's reference.
struct outbound_block *outbound_block_wrap(struct shared_block *shared);
void outbound_block_unref(struct outbound_block *block);

static inline char *outbound_block_data(struct outbound_block *block)
{
    return block->shared ? block->shared->data : block->data;
}

// The slow half of outbound_reserve().
char *outbound_grow(struct outbound *outbound, struct outbound_cache *cache, size_t size);

// Room for `size` bytes in one piece at the end of the queue; they count only after outbound_commit().
static inline char *outbound_reserve(struct outbound *outbound, struct outbound_cache *cache, size_t size)
{
    struct outbound_chunk *last = outbound->last;
    if (last && size <= last->cap - last->len)
        return last->data + last->len;
    return outbound_grow(outbound, cache, size);
}

// `end` is the address behind what was written into the last outbound_reserve().
static inline void outbound_commit(struct outbound *outbound, const char *end)
{
    struct outbound_chunk *last = outbound->last;
    size_t written = (size_t)(end - (last->data + last->len));
    must(written <= last->cap - last->len);
    last->len += (uint32_t)written;
    outbound->size_bytes += written;
}
