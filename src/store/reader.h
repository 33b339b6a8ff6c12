// SPDX-License-Identifier: Apache-2.0
// Reads messages: from memory at once, else by reading a block from a log file or a segment in the background. One read per
// block however many wait for it, few reads at a time. What comes from disk is verified; what does not verify is quarantined,
// counted and reported, the rest of its block serves.
//
// For who reads in order a run of blocks is read ahead with one request of the disk, and when the first of them is looked at
// the run behind them, twice as long each time up to READER_RUN_BYTES. Runs become shorter while blocks leave the cache before
// anybody looked at them: so many readers at a time share what there is. A long run goes around the kernel's cache, unless
// what it reads was read that way not long ago: then somebody else follows, and may come again.
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

enum {
    READER_BLOCK = 128 * 1024,             // of the log that one read takes; segments are read by their own blocks
    READER_RUN_BYTES = 1024 * 1024,        // read ahead at once, at most
    READER_RUN_BLOCKS = 16,                // that many of a segment's; also at most
    READER_AROUND_BYTES = 256 * 1024,      // runs of so much go around the kernel's cache
    READER_ACTIVE_MAX = 16,                // requests of the disk under way,
    READER_ACTIVE_BYTES = 4 * 1024 * 1024, // and what they read, but for a single block that is larger
};

struct reader {
    struct store_context *context; // the four are borrowed
    struct index *index;
    struct tail *tail;
    struct segment_set *segments;
    struct map_u64 reads; // tail_key → struct reader_read, queued or under way
    struct list queue;    // reads waiting for their turn
    uint32_t active;      // requests of the disk under way
    uint64_t active_bytes;
    uint32_t run_bytes;    // read ahead at once, at present
    uint64_t wasted_seen;  // of tail.wasted
    uint32_t *around_seen; // owned: marks of what was read around the kernel's cache; NULL until then
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
