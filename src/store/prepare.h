// SPDX-License-Identifier: Apache-2.0
// Log files before and after their life: makes spares ahead (preallocated, zeroed, their names durable), recycles or removes
// released files, and keeps the ballast, a file that can be given back to a full disk. One job at a time, each a chain of
// requests on the pool's lane; a job that fails is undone and tried again later.
//
// Sizes grow from first_file_bytes by doubling to file_bytes, so that a young server neither waits nor takes much.
// Only a spare whose name is synced is handed out; recovery tells spares by their lack of a valid header of their own id.
#pragma once

#include "store/store_internal.h"

enum {
    PREPARE_SPARES = 2, // made: the next file and the reserve
    PREPARE_SPARES_MAX =
        PREPARE_SPARES + 2, // kept, of those that come back: in a steady flow none is made and none removed
    PREPARE_BALLAST_BYTES = 16 * 1024 * 1024,
    PREPARE_RETRY_MS = 500,
};

#define PREPARE_BALLAST "wal/ballast"

enum prepare_job {
    PREPARE_NOTHING,
    PREPARE_CREATE,       // open, allocate, sync, sync the folder → a spare
    PREPARE_RECYCLE,      // rename, sync the folder → a spare
    PREPARE_REMOVE,       // close, unlink
    PREPARE_BALLAST_MAKE, // open, allocate, sync, close
    PREPARE_BALLAST_DROP, // unlink
    PREPARE_UNDO,         // close, unlink what was not completed
    PREPARE_ABANDON,      // close
};

struct prepare {
    struct store *store; // borrowed
    struct list spares;  // of struct log_file, by id
    size_t spare_count;
    uint64_t spare_bytes;
    struct list released; // of struct log_file: wait for their last holder and then for a job
    uint64_t last_id;     // the highest file id ever used
    uint64_t next_size;   // bytes of the next new file
    bool wanted;          // the log has something in it: make spares
    bool full;            // the last attempt to allocate found no space
    uint64_t reserve;     // while full: bytes of the log that only acknowledgements and the like may use
    uint64_t retry_ms;    // no new file before that
    uint64_t ballast_retry_ms;
    bool ballast;       // it exists
    bool ballast_taken; // a slice of other work has its space

    enum prepare_job job;
    int step;
    struct log_file *file;    // owned: the job's; NULL for the ballast
    struct disk_file *handle; // owned: the ballast's while it is made
    struct disk_request request;
    char path[LOG_FILE_NAME_MAX], path2[LOG_FILE_NAME_MAX];
};

void prepare_init(struct prepare *prepare, struct store *store);
// Closes what is open (disk_run). Nothing may be under way.
void prepare_deinit(struct prepare *prepare);

// Starts the next job, if none is under way and there is one.
void prepare_step(struct prepare *prepare);
// Hands a spare out; NULL: none is ready, log_resume() is called when one is.
struct log_file *prepare_take(struct prepare *prepare);
// The same when the store stops and cannot wait (disk_run): makes one if need be. NULL: there is no space.
struct log_file *prepare_make_now(struct prepare *prepare);
// Gives a file away whose content nobody wants; owned from here on. It need not be closed by its holders yet.
void prepare_release(struct prepare *prepare, struct log_file *file);
// A write found no space in a preallocated file.
void prepare_set_full(struct prepare *prepare);
uint64_t prepare_next_deadline_ms(const struct prepare *prepare);
