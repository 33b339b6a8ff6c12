// SPDX-License-Identifier: Apache-2.0
// Checkpoints bound recovery by the log since the last one. Each has the images of what changed (delta) or of everything (base),
// taken in slices while serving, and the manifest of segments. A generation is a base and the deltas on it; the newest two
// generations are kept, so that damage to one file never costs more than the time to replay more log.
//
//   IDLE ──► TAKING_IMAGES ──► TAKING_MANIFEST ──► WAITING ──► SEALING ──► CLEANING ──► IDLE
//     ▲         a slice each             │ until the log is durable up to the newest image
//     └───────────── failed: again later, as a base
//
// Checkpoints are numbered in the order they begin in this process, from 1; what was loaded at start is number 0. Something
// that was true before number n began can be given up (a rolled log file released, a dead segment removed) when
// checkpoint_safe() >= n: then the newest checkpoints of both generations know of it. Embedded; one thread.
#pragma once

#include "store/checkpoint_file.h"
#include "store/file_writer.h"
#include "store/segment_manifest.h"

enum checkpoint_state {
    CHECKPOINT_IDLE,
    CHECKPOINT_TAKING_IMAGES,
    CHECKPOINT_TAKING_MANIFEST,
    CHECKPOINT_WAITING,
    CHECKPOINT_SEALING,
    CHECKPOINT_CLEANING,
};

struct checkpoint {
    struct store_context *context; // borrowed
    struct segment_set *segments;  // borrowed
    enum checkpoint_state state;
    uint64_t generation; // newest number used; 0: none
    uint64_t complete;   // newest generation with a complete base; 0: none
    uint32_t step;       // of its newest complete file
    bool has_base;       // it can be continued by a delta
    uint64_t check;      // of the end of its newest complete file
    uint64_t previous;   // the generation before, 0: none
    uint64_t tip_number; // numbers of the newest complete checkpoint of both
    uint64_t previous_number;
    uint64_t begun; // number of the newest begun
    uint64_t base_bytes;
    uint64_t delta_bytes;   // since the base
    uint64_t rolled_index;  // messages up to this log index are in segments: set by roll-over
    uint64_t covered_index; // of the newest complete checkpoint
    uint64_t written;       // in this process
    uint64_t appended_mark; // log.appended_bytes when the newest began
    bool wanted;
    bool base_wanted;
    uint32_t failures; // in a row
    uint64_t retry_ns; // monotonic: not before
    // Of the one being written:
    struct file_writer *writer; // owned
    struct checkpoint_header header;
    struct checkpoint_end end;
    struct segment_manifest manifest;
    uint64_t running; // check of the last slice
    // Removing old generations:
    struct disk_request request;
    struct disk_names names; // owned
    const char *name;        // the next to look at, in `names`
    size_t name_count;       // from there on
    char path[STORE_PATH_BYTES];
};

struct checkpoint_loaded {
    uint64_t begin_index;  // replay entries up to this one as covered
    uint64_t end_index;    // no image is newer
    uint64_t rolled_index; // messages of entries up to this one are in segments
};

void checkpoint_init(struct checkpoint *checkpoint, struct store_context *context, struct segment_set *segments);
// No request completes any more.
void checkpoint_deinit(struct checkpoint *checkpoint);

// Recovery: finds the newest chain that is whole and reaches the log (first_index: of its first entry, 0: it has none), fills
// the set of segments, calls handler.restore for each image. All zero when there is none and none is
// needed. ERR_CORRUPT: what is there does not reach the log, nothing was changed; ERR_NEWER, ERR_OTHER_CLUSTER, ERR_IO, or
// what the handler said.
int checkpoint_load(struct checkpoint *checkpoint, uint64_t first_index, struct checkpoint_loaded *ret_loaded) MUST_USE;

// Begins one soon, whatever the log has grown; a base if a delta would not do.
void checkpoint_request(struct checkpoint *checkpoint, bool base);
// At most one slice. True: there is more to do at once.
bool checkpoint_step(struct checkpoint *checkpoint);
uint64_t checkpoint_next_deadline_ms(const struct checkpoint *checkpoint);

// See above.
uint64_t checkpoint_safe(const struct checkpoint *checkpoint);
// The number that the next one to begin will have.
static inline uint64_t checkpoint_next_number(const struct checkpoint *checkpoint)
{
    return checkpoint->begun + 1;
}
// The set of segments must not lose a segment now.
static inline bool checkpoint_is_writing(const struct checkpoint *checkpoint)
{
    return checkpoint->state != CHECKPOINT_IDLE && checkpoint->state != CHECKPOINT_CLEANING;
}
