// SPDX-License-Identifier: Apache-2.0
// What the parts of the store share: options, disk, handler, the present moment, and the log as seen by those who read it,
// roll it over and bound it by checkpoints. They depend on this instead of on `struct store`, so that each can be tested
// with a log made of a few functions. Embedded in struct store, which fills it; one thread.
#pragma once

#include "store/chunk.h"
#include "store/store.h"

enum {
    STORE_SHARD = 1,           // the only shard so far; the formats carry the number
    STORE_BLOCK = 4096,        // headers are this large
    STORE_PATH_BYTES = 96,     // enough for every name below the data directory
    STORE_SLICE = 1024 * 1024, // roll-over and checkpoint write and sync about this much at once
};

#define STORE_LOG_FOLDER        "wal"
#define STORE_SEGMENT_FOLDER    "shards/1"
#define STORE_CHECKPOINT_FOLDER "checkpoint"

struct vault; // vault.h

struct log_file_info {
    uint64_t id;
    uint64_t bytes;       // on disk
    uint64_t first_index; // of the entries in it
    uint64_t last_index;
    uint64_t valid;        // bytes that count
    uint64_t header_check; // of its header block
    bool sound;            // its entries are all there, without damage or gaps
    bool indexed;          // it had a valid sidecar at start
};

// The log, for its readers. `owner` is passed to each function.
struct log_view {
    void *owner;
    // Keeps the file open and not recycled until log_view.drop(). ERR_NOT_FOUND when it is no longer retained.
    int (*hold)(void *owner, uint64_t file, struct disk_file **ret_file);
    void (*drop)(void *owner, uint64_t file);
    // The oldest retained file with id > after that is closed for ever and whose entries are all durable and applied.
    bool (*next_closed)(void *owner, uint64_t after, struct log_file_info *ret_info);
    uint64_t (*retained_bytes)(void *owner); // of all files that hold entries, the current one included
    uint64_t (*appended_bytes)(void *owner); // of the log, ever in this process
    uint64_t (*applied_index)(void *owner);
    uint64_t (*synced_index)(void *owner); // proven durable
    // Sync the log at once, whatever the mode: a checkpoint must not be ahead of it.
    void (*sync_soon)(void *owner);
    // Nothing needs the file any more: recycle or delete it (a held one, when dropped).
    void (*release)(void *owner, uint64_t file);
    // After ERR_NO_SPACE: gives reserved space back to the file system, soon. False when there is none left, or none for what is
    // not vital.
    bool (*give_space)(void *owner, bool vital);
};

struct store_context {
    struct store_options options; // the logger and identity are borrowed
    struct disk *disk;            // borrowed, or the vault's; NULL for the memory store
    struct vault *vault;  // owned by the store; NULL: nothing is encrypted, and nothing of that kind can be read
    uint32_t block_bytes; // bytes of content in a block of a log file that is made now
    struct store_handler handler; // its owner is borrowed
    struct log_view log;
    struct chunk_spares spares; // of the log
    struct moment now;          // of this turn
    uint64_t damaged_areas;     // found by recovery or reads
    uint32_t requests;          // under way for reader, roll-over and checkpoint
    bool failed;                // the log FAILED: nothing is written any more
    bool closing;               // start nothing new
    bool ids_awaited;           // saved dedupe ids are still being given back: meanwhile none are saved
    bool starved;               // the disk is FULL (prepare.h): roll over and release what can be, whatever the budget
    uint32_t claims;            // files being written that found no space: whatever becomes free is theirs
};
