// SPDX-License-Identifier: Apache-2.0
// Roll-over: when the retained log exceeds its budget, what is still wanted of its oldest file goes, grouped by stream, into one
// segment; later the file is released.
//
//   IDLE ──► COLLECTING ──► READING ──► TAKING     up to 1,024 messages a turn are looked up, and verified
//               │  ▲  ▲                   │ │
//               │  │  └───────────────────┘ │
//               ▼  │                        │
//             WRITING ◄─────────────────────┘
//               │ slices of 1 MiB
//               ▼ with their syncs
//            SEALING ──► ATTACHING ──► DROPPING ──► IDLE
//                        the set of    the index of the file goes
//                        segments
//
// What is read at once, a gather, is about a slice where the wanted messages of a stream lie close together in the log file, and
// 8 MiB where they are spread over it, as with very many streams: each gather then goes once through the file.
//
// The file stays until checkpoints of both generations know the segment (checkpoint_safe); so after a crash at any point either
// the log file or the segment is in force. A file of which nothing is wanted, no dedupe id either, needs no segment. Segments of
// which nothing is wanted any more are declared dead, and removed when both generations say so. On a full disk every closed file
// rolls over, whatever the budget; and of a segment of which only the dedupe ids are wanted they are copied in the same way (READING,
// WRITING, SEALING, ATTACHING), so that it can die. Embedded; one thread.
#pragma once

#include "store/checkpoint.h"
#include "store/file_writer.h"
#include "store/index.h"
#include "store/segment_set.h"

enum rollover_state {
    ROLLOVER_IDLE,
    ROLLOVER_COLLECTING,
    ROLLOVER_READING,
    ROLLOVER_TAKING,
    ROLLOVER_WRITING,
    ROLLOVER_SEALING,
    ROLLOVER_ATTACHING,
    ROLLOVER_DROPPING,
};

// A log file whose messages are in segments, waiting to be released.
struct rolled_file {
    struct log_file_info info;
    uint64_t stamp; // number of the first checkpoint that knows
};

struct rollover {
    struct store_context *context; // borrowed, as the next three
    struct index *index;
    struct segment_set *segments;
    struct checkpoint *checkpoint;
    enum rollover_state state;
    struct rolled_file *rolled; // owned, oldest first
    size_t rolled_count;
    size_t rolled_cap;
    uint64_t rolled_bytes;
    uint64_t last_file; // id of the newest rolled file
    uint64_t slice_ns;  // monotonic: when the last slice began
    uint32_t failures;  // in a row
    uint64_t retry_ns;
    // Of the file being rolled over:
    struct log_file_info file;
    struct disk_file *handle; // held
    struct index_cursor cursor;
    bool collected; // the cursor is at the end
    bool footed;    // the footer is in the writer's buffer
    struct segment_info info;
    struct file_writer *writer;     // owned; NULL until there is something to write
    struct segment_extent *extents; // owned
    uint32_t extent_cap;
    struct buffer summaries;      // encoded
    struct segment_summary block; // the open one; count 0: none
    // Of the gather:
    struct rollover_item *items; // owned; ROLLOVER_ITEMS of them
    uint32_t item_count;
    uint32_t taken;                // of them are verified
    size_t item_bytes;             // of them all
    uint64_t item_begin, item_end; // where in the log file they are
    uint64_t *keys;                // owned; twice as many: their order in the file
    uint32_t alone;                // the item being read alone, because a read of them all failed
    uint32_t unreadable;           // items that could not be read alone either
    struct disk_span *spans;       // owned: as many
    uint32_t span_count;
    uint32_t spans_read; // or being read
    struct disk_request request;
    // Damaged messages are reported once, however often the file is tried:
    uint64_t damage_file;    // id
    uint32_t damage_counted; // of it, ever
    uint32_t damage_seen;    // of it, in this try
    // Of the segment whose dedupe ids are being copied:
    struct segment *husk;       // borrowed: LIVE, in the set; NULL: a log file is being rolled over, or nothing
    char *husk_ids;             // owned
    struct disk_span husk_span; // these
    int husk_result;
    char husk_path[STORE_PATH_BYTES];
    // Removing dead segments:
    struct list *look;        // the segment looked at last, or the list's head
    uint64_t look_ns;         // monotonic: when the next round of it begins
    uint64_t dead_bytes;      // of the dead segments seen in this round
    struct segment *removing; // borrowed: DEAD, in the set
    bool removed;             // its file is gone, durably; it leaves the set when no checkpoint is being written
    struct disk_request remove_request;
    char path[STORE_PATH_BYTES];
};

void rollover_init(struct rollover *rollover, struct store_context *context, struct index *index,
                   struct segment_set *segments, struct checkpoint *checkpoint);
// No request completes any more.
void rollover_deinit(struct rollover *rollover);

// After replay: which retained files are rolled already (checkpoint->rolled_index), which segments are dead; what is left over
// of interrupted roll-overs is removed when the log still has it all (first_index to last_index without damage), else kept as
// .orphan and reported.
void rollover_recover(struct rollover *rollover, uint64_t first_index, uint64_t last_index, bool damaged);

// One slice. True: there is more to do at once.
bool rollover_step(struct rollover *rollover);
uint64_t rollover_next_deadline_ms(const struct rollover *rollover);
// The log grows faster than it rolls over: no publish is admitted for a while.
bool rollover_is_behind(const struct rollover *rollover);
