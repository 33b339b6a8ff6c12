// SPDX-License-Identifier: Apache-2.0
// A log made of a few functions, over the simulated disk, for the tests of what reads it, rolls it over and bounds it by
// checkpoints: each log file is a row of messages that the test writes at once.
#pragma once

#include "sim_disk.h"
#include "store/parts_internal.h"

enum { COLD_FILES = 32, COLD_STREAM_COUNT = 64 };

struct cold_file {
    struct log_file_info info;
    struct disk_file *handle;
    uint32_t holds;
    bool released;
};

struct cold_fixture {
    struct sim_disk disk;
    struct store_context context;
    struct index index;
    struct tail tail;
    struct segment_set segments;
    struct reader reader;
    struct checkpoint checkpoint;
    struct rollover rollover;
    // The log:
    struct cold_file files[COLD_FILES];
    uint32_t file_count;
    struct buffer open;    // content of the file being made
    uint64_t next_index;   // one entry for each message
    uint64_t synced_index; // UINT64_MAX: whatever is asked
    uint64_t appended;
    uint32_t syncs_wanted;
    uint32_t spaces; // how often there is still something to give back to a full disk
    uint32_t asked_space, asked_vital;
    // What the handler answers:
    uint64_t first[COLD_STREAM_COUNT]; // wanted
    uint64_t last[COLD_STREAM_COUNT];
    uint64_t unwanted; // this sequence is not wanted, in any stream
    struct bytes ids;  // save_ids gives these
    uint64_t ids_until_ns;
    // What it was told:
    uint32_t restored;     // images
    uint64_t restored_sum; // of their bodies' first number
    uint32_t ids_restored;
    bool ids_awaited;
    struct saved_ids saved_ids;
    uint32_t begun;
    bool base;            // the last checkpoint_begin
    uint32_t images;      // to give in the next checkpoint
    uint32_t image_bytes; // of each body
    uint32_t images_given;
};

void cold_fixture_init(struct cold_fixture *cold);
void cold_fixture_deinit(struct cold_fixture *cold);

// Appends the next message of the stream to the open log file and indexes it; its payload is made from stream and sequence.
void cold_fixture_put(struct cold_fixture *cold, uint32_t stream, size_t payload);
// The open file gets its name and content; a new one is open. Returns its id.
uint64_t cold_fixture_close_file(struct cold_fixture *cold);
// A turn 10 ms later, then the disk does all it has to.
void cold_fixture_turn(struct cold_fixture *cold);
// Turns until roll-over and checkpoint have nothing to do, or have waited long enough.
void cold_fixture_settle(struct cold_fixture *cold);
// Fetches, waiting for the disk; 0 only if the message has the right content.
int cold_fixture_fetch(struct cold_fixture *cold, uint32_t stream, uint64_t sequence);
// The process stops and starts again on the same disk; the log is indexed anew from `rolled_index` on. What load said.
int cold_fixture_restart(struct cold_fixture *cold, struct checkpoint_loaded *ret_loaded);
