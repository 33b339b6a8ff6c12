// SPDX-License-Identifier: Apache-2.0
// What the files of this folder share: the composition of a store. Each part has its own header and its own file; this one
// only says who is in it, and the few facts that all of them look at.
//
//   store.c      the facade: options, life, admission, turn; memory.c: the store without a directory
//   log.c        appending: entries, batches, the state of the log    prepare.c   log files made ahead, recycled, the reserve
//   recovery.c   reading the log back at start                         check.c     the same, for people
//   index.c      where each message of the retained log is             tail.c      the log's newest chunks in memory
//   reader.c     fetch, seek, sizes                                    segment.c, rollover.c, checkpoint.c   cold data
#pragma once

#include "store/log_file.h"
#include "store/store.h"

struct log;        // log.h
struct memory_log; // memory.h
struct index;      // index.h
struct tail;       // tail.h
struct reader;     // reader.h
struct segments;   // segment.h
struct rollover;   // rollover.h
struct checkpoint; // checkpoint.h

enum { STORE_SHARD = 1 }; // the only one so far; ids are in the format

struct store {
    struct store_options options; // identity points at the array below
    char identity[LOG_FILE_IDENTITY_MAX];
    struct disk *disk; // borrowed; NULL: memory
    struct store_handler handler;
    const struct logger *logger; // borrowed
    struct moment now;           // of the turn
    bool failed;                 // a write or sync failed: nothing is written or acknowledged any more
    bool stopping;               // store_stop(): no new background work
    bool full;                   // the last attempt to get space for the log failed; retried by itself
    uint64_t damaged_areas;      // found by recovery or reads
    struct list files;           // of struct log_file: CURRENT last; empty in a memory store

    struct log *log;               // owned, each of them; NULL: not in this mode
    struct memory_log *memory_log;
    struct index *index;
    struct tail *tail;
    struct reader *reader;
    struct segments *segments;
    struct rollover *rollover;
    struct checkpoint *checkpoint;
};

// The retained (or current) log file with this id; NULL when it was released.
struct log_file *store_find_file(const struct store *store, uint64_t id);

// A copy on which an implementation may read with DISK_READ or DISK_READ_EACH. While readers > 0 the file stays as it is.
static inline void store_pin_file(struct log_file *file)
{
    file->readers++;
}
// May recycle a released file.
void store_unpin_file(struct store *store, struct log_file *file);

// Roll-over: the oldest retained file holds nothing that is wanted and not elsewhere, and a durable checkpoint covers its
// entries. Takes it out of store->files and recycles or removes it when its last reader is done.
void store_release_oldest(struct store *store);

// Full disk: gives the blocks of the ballast file back to the file system, for a slice of roll-over or checkpoint. Calls
// `done` (later) when they are free. Restored by itself when there is space.
void store_release_ballast(struct store *store, void (*done)(struct store *store));

// Logs damage and counts it.
void store_report_damage(struct store *store, const char *file, uint64_t offset, uint64_t size, const char *what);
