// SPDX-License-Identifier: Apache-2.0
// One file of the log: its name, its header block, and what is known about it while the store is open. Only encodes, decodes
// and names: opening, writing and recycling are log.c's and prepare.c's, reading back is recovery.c's.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"
#include "env/disk.h"
#include "store/seal.h"

enum {
    LOG_FILE_BLOCK = 4096,  // header size; batches start at multiples of it
    LOG_FILE_NAME_MAX = 32, // bytes of a path, its NUL included
    LOG_FILE_IDENTITY_MAX = 128,
    LOG_FILE_SHARDS_MAX = 64,
};

#define LOG_FILE_MAGIC         "WEIRWAL1"
#define LOG_FILE_FORMAT        2u // what this program reads; 2: encrypted, 1: clear. It writes the older one that will do
#define LOG_FILE_FEATURE_LEVEL 1u // record kinds introduced up to this level may be in the directory

struct log_file {
    struct list link; // list link: log.files (oldest first, the one being written last), or a list of prepare.h
    uint64_t id;
    uint64_t size;        // bytes of content that there is space for
    uint32_t block_bytes; // bytes of content in a block: LOG_FILE_BLOCK, or less in a sealed file
    uint64_t valid;       // end of what counts: the end of the last batch that is durable, block aligned
    uint64_t first_index; // of shard 1, of the entries that count; 0: none
    uint64_t last_index;
    uint64_t header_check;  // the last eight bytes of its header block
    bool sound;             // its entries follow each other without gaps, and none was found damaged
    bool indexed;           // a valid sidecar was found at start
    uint32_t holds;         // of the log's readers: the file is neither closed nor recycled while there are any
    struct disk_file *file; // owned: open for as long as the struct exists
};

// What one shard's state was when a file began.
struct log_file_shard {
    uint32_t shard;
    uint64_t term, vote, last_index, commit_index;
};

struct log_file_header {
    uint64_t id;
    uint64_t previous_id;    // 0: none
    uint64_t previous_valid; // bytes of the previous file that count; all of them were synced when this file began
    uint64_t created_ns;     // wall clock
    uint32_t format, minimum_reader, feature_level; // encoding makes the first two
    struct seal_mark mark; // of its encryption; a clear file may have the id of the key that older files need
    struct bytes identity; // borrowed
    uint32_t shard_count;
    struct log_file_shard shards[LOG_FILE_SHARDS_MAX];
};

// "wal/%016x.wal", NUL-terminated.
void log_file_name(uint64_t id, char ret_name[LOG_FILE_NAME_MAX]);
// The id in a name without its folder; ERR_NOT_OURS for any other name.
int log_file_parse_name(const char *name, uint64_t *ret_id) MUST_USE;

// "wal/%016x.tmp": a file that recovery makes, until it is complete.
void log_file_temporary(uint64_t id, char ret_name[LOG_FILE_NAME_MAX]);
int log_file_parse_temporary(const char *name, uint64_t *ret_id) MUST_USE;

// Fills a whole block.
void log_file_encode(const struct log_file_header *header, char block[LOG_FILE_BLOCK]);
// The id that is in a block, whatever else is in it.
uint64_t log_file_id(const char block[LOG_FILE_BLOCK]);
// The check of an encoded one: what tells this file from all others.
uint64_t log_file_check(const char block[LOG_FILE_BLOCK]);
// ERR_CORRUPT: no valid header of the file with this id (zero, torn, stale or damaged). ERR_NEWER: valid, but written for
// readers newer than this program. `identity` points into the block.
int log_file_decode(const char block[LOG_FILE_BLOCK], uint64_t id, struct log_file_header *ret_header) MUST_USE;

// The size of a file of which `block` bytes of a block are content, once another number of them is.
static inline uint64_t log_file_resized(uint64_t size, uint32_t block, uint32_t new_block)
{
    uint64_t bytes = block == LOG_FILE_BLOCK ? size : seal_file_bytes(size, LOG_FILE_BLOCK);
    return new_block == LOG_FILE_BLOCK ? bytes : seal_content_bytes(bytes, LOG_FILE_BLOCK);
}
