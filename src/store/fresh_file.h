// SPDX-License-Identifier: Apache-2.0
// The file with which recovery lets the log go on: what was not proven synced is copied into it, under a temporary name,
// synced and proven, and only then it gets its name. So a crash in between changes nothing.
//
// Space: a new file; on a full disk a file of which nothing counts, the ballast's space, a small file, or what lies behind
// the last thing that counts in the files that were found.
#pragma once

#include "store/store_internal.h"
#include "store/survey.h"

struct fresh_file {
    struct store *store;        // borrowed
    uint64_t id;                // once made
    struct entry_view *entries; // owned; each with a reference to its chunk; after making: where it is in the new file
    struct entry_header *headers; // owned, of the same
    size_t count, capacity;
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
// Errors are logged; then nothing but temporary files was changed.
int fresh_file_make(struct fresh_file *fresh, struct survey *survey, uint64_t last_index,
                    struct log_file **ret_file) MUST_USE;
