// SPDX-License-Identifier: Apache-2.0
// env/disk.h on a real directory: the log lane is a thread of its own, the pool lane is libuv's thread pool (whose threads
// start at its first use), disk_run() works in the caller's thread.
//
// One thread, the loop's. file_disk_open ──► (requests) ──► file_disk_close, when nothing is under way.
#pragma once

#include "os/directory.h"
#include "os/log_thread.h"
#include "os/loop.h"

// So many writes and gathers of the pool go around the page cache at a time: roll-over, a sidecar, a checkpoint. And so many reads.
#define FILE_DISK_BOUNCES 3
#define FILE_DISK_WINDOWS 2

struct file_disk {
    struct disk disk;  // first: what the store knows
    struct loop *loop; // borrowed
    struct directory directory;
    struct log_thread log;
    size_t pool_pending;              // requests of the pool lane whose `done` has not run
    char *bounces[FILE_DISK_BOUNCES]; // owned: for requests of the pool (see file_write()), those not lent in front
    size_t bounce_count;              // of them; the rest is lent, or was never needed
    size_t bounces_made;
    char *window_memory;              // owned: for the reads, made for the first
    char *windows[FILE_DISK_WINDOWS]; // those not lent in front
    size_t window_count;
};

// The caller has opened (and locked) the directory; it is the disk's from now on, and closed on failure too. ERR_LIMIT.
int file_disk_open(struct file_disk *disk, struct loop *loop, struct directory directory) MUST_USE;
// Ends the log thread after what was submitted; the lock is released. The memory may go after loop_deinit().
void file_disk_close(struct file_disk *disk);
// Requests submitted whose `done` has not run.
size_t file_disk_pending(const struct file_disk *disk);
