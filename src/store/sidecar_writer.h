// SPDX-License-Identifier: Apache-2.0
// Writes the sidecar of each log file that is closed for ever, next to what serves, and removes those whose log file is gone.
//
//   IDLE ──► RUNS ──► IDS ──► WAITING ──► SEALING ──► IDLE
//              a slice each     │ until the log is durable up to the newest change that the runs show
//   RUNS, IDS, WAITING ──► IDLE: the file rolled over meanwhile, or a write failed: a start scans the file instead
//
// Nothing depends on a sidecar, so it never takes the reserve of a full disk, and what failed is not tried again. Embedded; one
// thread.
#pragma once

#include "store/file_writer.h"
#include "store/rollover.h"
#include "store/sidecar.h"

enum sidecar_writer_state {
    SIDECAR_WRITER_IDLE,
    SIDECAR_WRITER_RUNS,
    SIDECAR_WRITER_IDS,
    SIDECAR_WRITER_WAITING,
    SIDECAR_WRITER_SEALING,
};

struct sidecar_writer {
    struct store_context *context; // borrowed, as the next two
    struct index *index;
    const struct rollover *rollover; // knows which files rolled over
    enum sidecar_writer_state state;
    uint64_t last_file; // the newest that was looked at
    uint64_t *written;  // owned: log files that have one, oldest first
    size_t written_count, written_cap;
    uint64_t written_total; // in this process
    // Of the one being written:
    struct log_file_info file;
    struct sidecar_info info;
    struct index_cursor cursor;
    uint64_t next_index;     // of the log: whose ids come next
    uint64_t seen_index;     // the runs show what was done up to here
    uint64_t slice_ns;       // monotonic: when the last slice began
    struct file_writer *out; // owned
    struct buffer section;   // what of the section is not in `out` yet: less than a piece of the check
    // Removing one:
    struct disk_request remove;
    bool removing;
    char path[STORE_PATH_BYTES];
};

void sidecar_writer_init(struct sidecar_writer *writer, struct store_context *context, struct index *index,
                         const struct rollover *rollover);
// No request completes any more.
void sidecar_writer_deinit(struct sidecar_writer *writer);
// After recovery: which files of the log have one.
void sidecar_writer_recover(struct sidecar_writer *writer);
// One slice. True: there is more to do at once.
bool sidecar_writer_step(struct sidecar_writer *writer);
uint64_t sidecar_writer_next_deadline_ms(const struct sidecar_writer *writer);
