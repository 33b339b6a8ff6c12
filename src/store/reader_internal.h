// SPDX-License-Identifier: Apache-2.0
// What reader.c (who asks) and reader_read.c (blocks from disk) share.
#pragma once

#include "store/reader.h"

struct reader_read;

// What must be in memory before a fetch can go on: a block of the log or of a segment, or summaries of a segment.
struct reader_want {
    enum tail_kind kind;
    bool summaries;
    uint32_t file;           // log: id
    struct segment *segment; // borrowed
    uint32_t stream;         // segment: of the records
    uint64_t offset;
    uint32_t bytes;
};

// A fetch that waits.
struct reader_wait {
    struct list link;          // list link: of the read it waits for, or of those answered
    struct store_fetch *fetch; // borrowed
    bool seek;
    bool have_block;           // `block` of `segment` is where to look
    struct segment *segment;   // referenced, or NULL
    struct segment_summary block;
    struct segment_summary behind; // of the next block of the extent, if `has_behind`
    bool has_behind;
};

// Starts, or joins, the read of what is wanted. `wait` may be NULL: just have it in memory. ERR_NOT_FOUND: the log file is gone.
int reader_read_want(struct reader *reader, const struct reader_want *want, struct reader_wait *wait) MUST_USE;
// Reads nobody must wait for are only started while there is room.
bool reader_read_has_room(const struct reader *reader);
void reader_read_free_all(struct reader *reader);

// Called when what was wanted is in memory (or cannot be: result). `block` is it, pinned by the caller.
void reader_arrived(struct reader *reader, struct list *waits, uint64_t key, struct tail_block *block, int result);
uint64_t reader_want_key(const struct reader_want *want);
