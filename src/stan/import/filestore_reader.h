// SPDX-License-Identifier: Apache-2.0
// One file of a NATS Streaming store, record by record, through a window that grows only as far as the longest record. Reads with
// disk_run(); never writes.
//
// filestore_reader_open ──► filestore_reader_next* ──► filestore_reader_close
//                               │ DAMAGED, IMPOSSIBLE, TORN
//                               ▼
//                          filestore_reader_resync: the next record that is whole
#pragma once

#include "base/error.h"
#include "env/disk.h"
#include "stan/import/filestore_frame.h"

enum { FILESTORE_PATH_SIZE = 1100 }; // of a path within a store, with its NUL

struct filestore_reader {
    struct disk *disk;               // borrowed
    const struct filestore_crc *crc; // borrowed; NULL: checks are not looked at
    bool typed;
    char path[FILESTORE_PATH_SIZE];
    struct disk_file *file; // NULL: closed
    uint64_t size;          // of the file when it was opened; what comes later is not read
    uint64_t read_to;       // what is behind is not in the window yet
    uint64_t offset;        // of the record that filestore_reader_next() gave or could not give
    size_t used;            // bytes of it
    char *window;           // owned
    size_t start, end, capacity;
    uint64_t credit; // bytes that resync may still check in this file
    int error;       // of the disk
};

void filestore_reader_init(struct filestore_reader *reader, struct disk *disk);
void filestore_reader_deinit(struct filestore_reader *reader);

// ERR_NOT_FOUND, errors of the disk; ERR_CORRUPT: it does not begin with the one version there is. Otherwise the first record is next.
int filestore_reader_open(struct filestore_reader *reader, const char *path, bool typed,
                          const struct filestore_crc *crc) MUST_USE;
void filestore_reader_close(struct filestore_reader *reader);

// The next record: see filestore_frame_get(); MORE is never said. Borrowed until the next call. TORN with reader->error: the disk
// could not read on.
enum filestore_finding filestore_reader_next(struct filestore_reader *reader, struct filestore_frame *ret_frame);

// Behind END: whether the rest of the file is zeros, as space that was never written to is. Else no record was given up lightly: a header
// was lost, and resync goes on from here. False too with reader->error.
bool filestore_reader_rest_is_blank(struct filestore_reader *reader);

// Passes over what is damaged: goes on at the next byte at which a whole record begins that `plausible` takes, having been shown the
// bytes from its header on (as many as there are, up to FILESTORE_GLANCE). RECORD, or END when there is none. A file that was made so
// that long records seem to begin everywhere is given up after a while: END, and reader->credit is 0.
enum { FILESTORE_GLANCE = 64 + 1024 };
enum filestore_finding filestore_reader_resync(struct filestore_reader *reader,
                                               bool (*plausible)(const void *owner, struct bytes bytes),
                                               const void *owner, struct filestore_frame *ret_frame);
