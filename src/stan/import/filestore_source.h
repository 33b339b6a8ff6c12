// SPDX-License-Identifier: Apache-2.0
// The files of a NATS Streaming store, one at a time, and what is done about damage in them: it is told with file and offset, and ends the
// import, or is passed over and counted (IM-06).
#pragma once

#include "env/log.h"
#include "stan/import/filestore_crc.h"
#include "stan/import/filestore_reader.h"

struct filestore_source {
    struct filestore_reader reader; // reader.file NULL: none is open
    struct filestore_crc crc;
    bool check_crc;        // the records have checks
    bool keep_going;       // past damage
    bool truncate_bad_eof; // a file that ends within a record ends before it: told, no damage
    const struct logger *logger;
    uint64_t counted;    // bytes of the open file that are in
    uint64_t bytes_read; // of all files
    uint64_t problems;   // that were passed over
};

// The bool and the logger are set by whoever makes it. `disk` is borrowed for life.
void filestore_source_init(struct filestore_source *source, struct disk *disk, uint32_t crc_polynomial);
void filestore_source_deinit(struct filestore_source *source);

// NULL: the records have no checks.
const struct filestore_crc *filestore_source_crc(const struct filestore_source *source);
// Damage of the whole file is told here; then, if the import goes on, no file is open.
int filestore_source_open(struct filestore_source *source, const char *path, bool typed) MUST_USE;
// The next record, behind what is damaged if the import goes on: what looks like one to `plausible` (filestore_reader_resync).
int filestore_source_next(struct filestore_source *source, bool (*plausible)(const void *owner, struct bytes bytes),
                          const void *owner, struct filestore_frame *ret_frame, bool *ret_end) MUST_USE;
// A file of changes, from its first record to its last, each given to `apply`, whose errors are problems of the record.
int filestore_source_replay(struct filestore_source *source, const char *path,
                            bool (*plausible)(const void *owner, struct bytes bytes),
                            int (*apply)(void *owner, const struct filestore_frame *frame), void *owner) MUST_USE;
// Brings bytes_read up to date.
void filestore_source_count(struct filestore_source *source);
void filestore_source_close(struct filestore_source *source);

// Tells of something that an import can go on without. 0: it does; else it ends with this error.
int filestore_source_problem(struct filestore_source *source, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4))) MUST_USE;
// Tells, and gives back the error. Not ERR_NO_SPACE, which reading never meets: it is for whoever has what is filled.
int filestore_source_fail(const struct filestore_source *source, int error, const char *what);
