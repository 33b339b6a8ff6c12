// SPDX-License-Identifier: Apache-2.0
// Reads one file of the log from front to back and tells what is there: batches, entries, and areas in which neither is
// valid. It judges nothing: whether a bad area is damage or a torn tail depends on the other files, and is for recovery.c
// and check.c to say. With disk_run; changes nothing.
//
// After a bad area it goes on at the next valid batch or entry header, wherever that is: headers name file and position, so
// that what verifies is what was written there.
#pragma once

#include "env/disk.h"
#include "store/chunk.h"
#include "store/entry.h"

enum scan_kind {
    SCAN_BATCH, // a valid batch header
    SCAN_ENTRY, // a valid entry header; `intact` says whether the records hash to what it says
    SCAN_BAD,   // [position, position + length) holds neither, and something valid or `limit` follows
    SCAN_END,   // nothing valid from `position` to the end
};

struct scan_item {
    enum scan_kind kind;
    uint64_t position;
    uint64_t length; // of the header and what belongs to it
    struct batch_header batch;
    struct entry_header entry;
    bool intact;          // ENTRY
    struct bytes records; // ENTRY: borrowed, in `chunk`
    struct chunk *chunk;  // borrowed until the next call; reference it to keep the records
};

struct scan {
    struct disk *disk;      // borrowed
    struct disk_file *file; // borrowed
    uint64_t id;
    uint32_t block_bytes; // bytes of content in a block: batches begin at these
    uint64_t limit;       // where the file's content ends at the latest
    uint64_t position;    // of what comes next
    uint64_t batch_end;   // of the batch `position` is in; 0 outside
    bool adrift;          // inside a batch whose header is not known
    struct chunk *window; // owned: bytes of the file
    uint64_t window_at;
    uint64_t unreadable; // lowest position of a block the disk could not read; UINT64_MAX: none
};

// From the first batch on.
void scan_init(struct scan *scan, struct disk *disk, struct disk_file *file, uint64_t id, uint32_t block_bytes,
               uint64_t limit);
void scan_deinit(struct scan *scan);
// The next item; END again and again at the end. 0, or an error of the disk other than ERR_IO.
int scan_next(struct scan *scan, struct scan_item *ret_item) MUST_USE;
