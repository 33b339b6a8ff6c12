// SPDX-License-Identifier: Apache-2.0
// What vault.c (requests one after the other) and vault_content.c (content into blocks and back) share.
#pragma once

#include "env/log.h"
#include "store/context.h"
#include "store/vault.h"

enum {
    VAULT_LOOK_BYTES = 16 * SEAL_BLOCK,   // looked through when the clear block is damaged
    VAULT_SPARE_BYTES = 2 * 1024 * 1024,  // of the buffer that is kept for the next write
    VAULT_GROUP_BYTES = 128 * SEAL_BLOCK, // neighbouring reads become one of so much at most
};

enum vault_mode { VAULT_CLEAR, VAULT_SEALED };

// What the vault's users have for a handle.
struct disk_file {
    struct disk_file *below; // owned: the handle of the disk below
    struct seal_name name;
    enum vault_mode mode;
    bool locked;           // none of our keys fits: nothing opens
    uint64_t head;         // bytes of content in the clear block
    struct seal_life life; // of a sealed file that is not locked
    uint64_t writes;       // in this life: each block's nonce has the number of its write
    uint64_t end;          // of the content that was written last, with what waits in `partial`
    char *partial;         // owned: content that does not fill a block yet
    size_t partial_len;
    bool flushed; // it was written as the file's last block
};

struct vault {
    struct disk disk; // first
    struct disk *below;
    struct seal_keys keys;
    uint32_t cipher;                    // of new files; 0: clear
    const struct random_source *random; // borrowed
    const struct logger *logger;        // borrowed
    uint64_t damaged;                   // files with a damaged clear block
    size_t jobs;                        // under way
    char *spare;                        // owned: a buffer of VAULT_SPARE_BYTES, or NULL
};

// A request of ours while the disk below works on it.
struct vault_job {
    struct vault *vault;
    struct disk_request *outer;
    struct disk_request inner;
    enum disk_lane lane;
    uint64_t duration_ns;
    struct disk_file *opened;
    char *buffer; // owned
    bool kept;    // it is, or becomes, the vault's spare
    struct disk_span span;
    struct disk_span *groups; // owned: READ_EACH below
    size_t rest, rest_at;     // WRITE: content behind the last whole block, and where in the buffer
};

// A log file's header is about to be written: its life begins.
void vault_begin_log(struct vault *vault, struct disk_file *file, const struct disk_span *spans);
// Is the file sealed? Looks at its clear block. False: that is damaged, or nothing was ever written.
bool vault_look(struct vault *vault, struct disk_file *file, const char block[SEAL_BLOCK]);
// The same from blocks 1 … of it: the first that opens tells.
void vault_look_inside(struct vault *vault, struct disk_file *file, char *blocks, size_t bytes);

// Make job->inner of job->outer, for a sealed file.
void vault_write(struct vault_job *job);
void vault_write_rest(struct vault_job *job);
void vault_read(struct vault_job *job);
void vault_read_each(struct vault_job *job);
// After it succeeded.
void vault_written(struct vault_job *job);
void vault_take(struct vault_job *job);

void vault_give_buffer(struct vault_job *job);
