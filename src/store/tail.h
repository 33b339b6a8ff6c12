// SPDX-License-Identifier: Apache-2.0
// What of the log and the segments is in memory for reading, within one budget:
//
//   hot    the newest entries of the log, in the chunks they were written from; the oldest chunk goes first
//   cold   blocks read from log files and segments; the one used longest ago goes first, but never the newest
//   memory (memory store) chunks by number, as long as a message in them is wanted; not part of the budget
//
// Looking up gives pointers that are valid as long as the chunk is referenced. Embedded; one thread; no I/O.
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "base/map_u64.h"
#include "store/chunk.h"

// A run of bytes of one log file that lies in one chunk.
struct tail_slot {
    uint32_t file;
    uint64_t begin; // offset in the file
    uint64_t end;
    const char *data;    // of `begin`
    struct chunk *chunk; // referenced
};

// A block read from disk, or a piece of a segment's footer.
struct tail_block {
    uint64_t key;        // tail_key()
    uint64_t offset;     // in the file
    struct chunk *chunk; // referenced; chunk->used bytes from `offset` on
    uint32_t *records;   // owned: where the valid records of a segment's block begin, in order; NULL for log blocks
    uint32_t count;      // of records
    bool damaged;        // not all of a segment's block is records
    bool used;           // it was looked at
    uint32_t run;     // blocks, this one the first, behind which nothing was asked for yet; 0: not the reader's to know
    struct list link; // LRU, newest last
};

// Chunks for blocks have room for one of these, if they are not much smaller.
enum { TAIL_SMALL = 64 * 1024, TAIL_LARGE = 128 * 1024 };

struct tail {
    uint64_t budget;             // bytes, hot and cold together
    struct chunk_spares *spares; // borrowed; gets what was hot
    uint64_t hot_bytes;          // capacity of hot chunks
    uint64_t cold_bytes;
    uint64_t wasted;         // blocks that left before anybody looked at them
    uint64_t memory_bytes;   // capacity of the memory store's chunks
    struct tail_slot *slots; // owned ring, oldest at head
    size_t head;             // index of the oldest; slots are at (head + i) & (cap - 1)
    size_t count;
    size_t cap;           // a power of two, or 0
    size_t hint;          // position found last, relative to head
    uint32_t newest_file; // what was added last ends here; behind it the file may still be written
    uint64_t newest_end;
    struct map_u64 blocks; // tail_key → struct tail_block, owned
    struct list lru;
    struct chunk_spares small, large; // of cold blocks: a part of the budget more
    struct map_u64 chunks;            // memory store: number → chunk, referenced
};

enum tail_kind { TAIL_LOG, TAIL_SEGMENT };

void tail_init(struct tail *tail, uint64_t budget_bytes, struct chunk_spares *spares);
void tail_deinit(struct tail *tail);

// Bytes of the log that lie in `chunk`: positions increase from call to call. References the chunk until it leaves the budget.
void tail_add(struct tail *tail, uint32_t file, uint64_t offset, const char *data, size_t len, struct chunk *chunk);
// This file is being written from now on; all others are complete.
void tail_begin_file(struct tail *tail, uint32_t file);
// The bytes [offset, offset + size) of a log file if they are hot, with their chunk (borrowed); else NULL.
const char *tail_find(struct tail *tail, uint32_t file, uint64_t offset, size_t size, struct chunk **ret_chunk);

// file < 2^31; offset is a multiple of 8 below 32 GiB.
uint64_t tail_key(enum tail_kind kind, uint64_t file, uint64_t offset);
// NULL when it is not in memory; else it is the newest now.
struct tail_block *tail_block_find(struct tail *tail, uint64_t key);
// A chunk for a block of so many bytes, refs = 1; it may have room for more.
struct chunk *tail_chunk_new(struct tail *tail, size_t bytes);
// Takes over `records`; references the chunk. Replaces a block with this key. Makes room, but never drops the new one.
struct tail_block *tail_block_add(struct tail *tail, uint64_t key, uint64_t offset, struct chunk *chunk,
                                  uint32_t *records, uint32_t count);

// Memory store: one more message of this chunk is wanted; `count` of chunk `number` no longer are.
void tail_memory_add(struct tail *tail, struct chunk *chunk);
void tail_memory_gone(struct tail *tail, uint32_t number, uint32_t count);
// The chunk, borrowed, which must have a wanted message.
struct chunk *tail_memory_find(const struct tail *tail, uint32_t number);

// Bytes in use by the cache (not the memory store).
uint64_t tail_bytes(const struct tail *tail);
void tail_check(const struct tail *tail);
