// SPDX-License-Identifier: Apache-2.0
// Reads messages: from memory at once, else by reading a block from a log file or a segment in the background. One read per
// block however many wait for it, few reads at a time, and the block behind is read ahead for who reads in order. What comes
// from disk is verified; what does not verify is quarantined, counted and reported, the rest of its block serves.
//
// A message is looked for in the index (retained log) first, then in the segments. A fetch that waits goes through at most two
// reads (summaries of a segment's extent, block), each step decided anew from what is known then. Embedded; one thread.
#pragma once

#include "base/list.h"
#include "base/map_u64.h"
#include "base/pool.h"
#include "store/context.h"
#include "store/index.h"
#include "store/segment_set.h"
#include "store/tail.h"

enum { READER_BLOCK = 128 * 1024 }; // of the log that one read takes; segments are read by their own blocks

struct reader {
    struct store_context *context; // the four are borrowed
    struct index *index;
    struct tail *tail;
    struct segment_set *segments;
    struct map_u64 reads; // tail_key → struct reader_read, queued or under way
    struct list queue;    // reads waiting for their turn
    uint32_t active;
    struct pool waits;
};

void reader_init(struct reader *reader, struct store_context *context, struct index *index, struct tail *tail,
                 struct segment_set *segments);
// No request completes any more; waiting fetches are forgotten.
void reader_deinit(struct reader *reader);

// See store_fetch(), store_fetch_ahead(), store_seek(), store_fetch_cancel() and store_sizes().
int reader_fetch(struct reader *reader, struct store_fetch *fetch);
void reader_fetch_ahead(struct reader *reader, const uint32_t *streams, const uint64_t *sequences, size_t count);
int reader_seek(struct reader *reader, struct store_fetch *fetch);
void reader_cancel(struct reader *reader, struct store_fetch *fetch);
size_t reader_sizes(struct reader *reader, uint32_t stream, uint64_t first, struct store_size *ret, size_t max,
                    bool *ret_wait);
