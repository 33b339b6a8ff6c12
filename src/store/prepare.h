// SPDX-License-Identifier: Apache-2.0
// Who gets the disk's space: log files before and after their life, made ahead as spares (preallocated, zeroed, their names
// durable), recycled or removed when released; and the ballast, a file that can be given back to a full disk. One job at a time,
// each a chain of requests on the pool's lane; a job that fails is undone and tried again later.
//
//   ROOM ─── a file cannot be allocated, or a write, a roll-over or a checkpoint finds no space ──► FULL
//   FULL ─── two spares, the ballast and `enough` of free log are there again ──► ROOM
//
// In both states what is missing is made in this order, each from released files first, then from free space: one spare, for
// acknowledgements; the ballast, for roll-over and checkpoints; the other spares, for publishes. README.md has the whole table.
// While a roll-over or checkpoint that found no space is being written (context.claims) nothing is allocated at all.
//
// Sizes grow from first_file_bytes by doubling to file_bytes, so that a young server neither waits nor takes much. When there is no
// space for a file as large as the newest spare the state is FULL; in FULL smaller ones will do.
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
    PREPARE_BALLAST_CUT,  // open, truncate, close
    PREPARE_BALLAST_DROP, // unlink
    PREPARE_UNDO,         // close, unlink what was not completed
    PREPARE_ABANDON,      // close
};

// A roll-over gets three quarters of it; the rest is for checkpoints, without which nothing is ever given back.
enum prepare_ballast {
    PREPARE_BALLAST_NONE,
    PREPARE_BALLAST_PART, // or of a size that is not known yet
    PREPARE_BALLAST_WHOLE,
};

struct prepare {
    struct store *store; // borrowed
    struct list spares;  // of struct log_file, by id
    size_t spare_count;
    uint64_t spare_bytes;
    struct list released;  // of struct log_file: wait for their last holder and then for a job
    uint64_t last_id;      // the highest file id ever used
    uint64_t next_size;    // bytes of the next new file
    uint64_t next_ballast; // of the ballast, when it is made again
    bool wanted;           // the log has something in it: make spares
    enum prepare_ballast ballast;
    uint64_t retry_ms; // nothing is allocated before that
    // While FULL, which is context.starved:
    uint64_t reserve; // bytes of free log that only acknowledgements and the like may use
    uint64_t enough;  // bytes of free log with which there is room again

    enum prepare_job job;
    int step;
    struct log_file *file;    // owned: the job's; NULL for the ballast
    struct disk_file *handle; // owned: the ballast's while it is made or cut
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
// No space was found: FULL from now on, or still.
void prepare_set_full(struct prepare *prepare);
// A roll-over or checkpoint found no space: FULL, and something is given back to the file system: released files, of the ballast most
// or (vital) all, then (vital) a spare. True: some space may be there soon. False: there is none left to give.
bool prepare_give(struct prepare *prepare, bool vital);
// Bytes of free log that publishes leave alone, in either state: however late it shows that the disk is full, something is left
// for acknowledgements, deletes and the next recovery.
uint64_t prepare_reserve(const struct prepare *prepare);
uint64_t prepare_next_deadline_ms(const struct prepare *prepare);
