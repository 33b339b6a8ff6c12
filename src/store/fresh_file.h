// SPDX-License-Identifier: Apache-2.0
// The file with which recovery lets the log go on: what was not proven synced is copied into it, under a temporary name,
// synced and proven, and only then it gets its name. So a crash in between changes nothing.
//
// Space: a new file. On a full disk it takes over what was left of the log that was found: what lies behind the last thing that
// counts in it is cut off, and the sidecars go; then a file of which nothing counts, and at last the space of all of these and of
// the ballast. So the reserve for acknowledgements outlives any number of starts.
#pragma once

#include "store/store_internal.h"
#include "store/survey.h"

struct fresh_file {
    struct store *store;        // borrowed
    uint64_t id;                // once made
    struct entry_view *entries; // owned; each with a reference to its chunk; after making: where it is in the new file
    struct entry_header *headers; // owned, of the same
    size_t count, capacity;
    bool starved;           // there was no space for a new file of the usual size
    struct disk_file *file; // while it is being made
    uint64_t size;
    uint64_t header_check; // of its header
    char temporary[LOG_FILE_NAME_MAX];
};

void fresh_file_init(struct fresh_file *fresh, struct store *store);
void fresh_file_deinit(struct fresh_file *fresh);
// An entry to copy; references its chunk.
void fresh_file_add(struct fresh_file *fresh, const struct scan_item *item);
// Makes the file, complete and durable. Its previous one is the last of store->log->files. May take a file of the survey's.
// Errors are logged; then nothing was changed but temporary files, and on a full disk what does not count.
int fresh_file_make(struct fresh_file *fresh, struct survey *survey, uint64_t last_index,
                    struct log_file **ret_file) MUST_USE;
