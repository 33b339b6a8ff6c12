// SPDX-License-Identifier: Apache-2.0
// A disk in memory that behaves as badly as a disk may, from one seed: env/disk.h with crashes. For tests only.
//
//   - What was written and not synced is lost at a crash: per sector of 512 bytes wholly, partly, torn or garbled.
//   - Names (create, rename, unlink, mkdir) are lost likewise until their folder is synced.
//   - Requests of the log lane execute and complete in order, those of the pool in any. One step executes one request or
//     delivers one completion, so a crash may fall between a sync and the news of it.
//   - The n-th operation can be made to fail; a failed sync leaves the page cache clean but not durable, as Linux does.
//   - A capacity in bytes: a full disk.
#pragma once

#include "base/prng.h"
#include "env/disk.h"

struct sim_inode;
struct sim_name;
struct sim_change;

enum sim_loss {
    SIM_LOSS_ALL,    // nothing that was not synced survives
    SIM_LOSS_NONE,   // everything does: a crash of the process only
    SIM_LOSS_RANDOM, // each sector and each name has its own fate
};

struct sim_disk {
    struct disk disk; // first
    struct prng prng;
    uint64_t capacity;         // bytes; UINT64_MAX: endless
    uint64_t operations;       // executed ever
    uint64_t syncs;            // of files, executed ever
    uint64_t fail_at;          // the operation with this number fails …
    int fail_error;            // … with this; 0: none does
    bool failed;               // it has failed
    bool lying;                // syncs say 0 and do nothing: what a test must notice
    unsigned generation;       // crashes so far
    struct sim_inode **inodes; // owned
    size_t inode_count;
    struct sim_name *names; // owned: as programs see them
    size_t name_count;
    struct sim_name *durable; // owned: as a crash leaves them at least
    size_t durable_count;
    struct sim_change *changes; // owned: of names, not yet durable, in order
    size_t change_count;
    struct disk_request **submitted[2]; // owned: per lane, not yet executed
    size_t submitted_count[2];
    struct disk_request **executed[2]; // owned: per lane, `done` not yet called
    size_t executed_count[2];
    size_t open_handles;
};

void sim_disk_init(struct sim_disk *disk, uint64_t seed);
void sim_disk_deinit(struct sim_disk *disk);

// Executes one request or delivers one completion; false when there is nothing to do.
bool sim_disk_step(struct sim_disk *disk);
void sim_disk_drain(struct sim_disk *disk);
bool sim_disk_is_idle(const struct sim_disk *disk);

// The machine stops and starts: handles of before give ERR_IO, as do the requests under way, which still complete.
void sim_disk_crash(struct sim_disk *disk, enum sim_loss loss);
// What a crash now would leave, as a disk of its own; this one goes on.
void sim_disk_fork(struct sim_disk *disk, uint64_t seed, enum sim_loss loss, struct sim_disk *ret_disk);
// The n-th operation from now on (1: the next) fails with `error`.
void sim_disk_fail(struct sim_disk *disk, uint64_t n, int error);

// Looking at the disk and tampering with it, past any cache. Paths as in requests.
bool sim_disk_has(const struct sim_disk *disk, const char *path);
struct bytes sim_disk_content(const struct sim_disk *disk, const char *path);
void sim_disk_flip(struct sim_disk *disk, const char *path, uint64_t offset, unsigned bit);
// Reads that touch this byte fail from now on with ERR_IO; one byte per file.
void sim_disk_spoil(struct sim_disk *disk, const char *path, uint64_t offset);
void sim_disk_put(struct sim_disk *disk, const char *path, struct bytes content);
void sim_disk_remove(struct sim_disk *disk, const char *path);
// The i-th file (no folders) in order of path; NULL past the last.
const char *sim_disk_path(const struct sim_disk *disk, size_t i);
uint64_t sim_disk_used(const struct sim_disk *disk);
