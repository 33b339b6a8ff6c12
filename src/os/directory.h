// SPDX-License-Identifier: Apache-2.0
// A directory on the machine, and how one disk request (env/disk.h) is executed in it: blocking, in the caller's thread.
// All names are relative to the directory's descriptor, so it may be renamed or lie under another's working directory.
//
// What touches data, in case a test wants to come between: openat (twice for a file that is written: plainly and with O_DIRECT),
// pwritev, pwrite, preadv, pread, fallocate, fdatasync, fsync (folders), ftruncate, renameat, unlinkat, mkdirat. No write is ever repeated after a failure, and no sync either: a sync that
// failed may have dropped the data, and a second one would say "fine".
//
// Thread-safe: the struct does not change between open and close.
#pragma once

#include "base/error.h"
#include "env/disk.h"

struct directory {
    int fd;      // owned; of the directory itself
    int lock_fd; // owned; of its LOCK file, -1: not locked
};

// Opens a directory. With `create`, makes it and its missing parents first (mode 0750) and syncs those that changed.
// ERR_NOT_FOUND, ERR_PERMISSION, ERR_INVALID (not a directory), ERR_NO_SPACE, ERR_IO.
int directory_open(struct directory *directory, const char *path, bool create) MUST_USE;
void directory_close(struct directory *directory);

// Takes the exclusive lock: flock on the file LOCK, which is gone when the process is, however it ends. With `create` the
// file is made if missing, and our process id is written into it for people to read; without, a directory that has no such
// file counts as locked and nothing is changed. ERR_IN_USE, ERR_PERMISSION, ERR_IO.
int directory_lock(struct directory *directory, bool create) MUST_USE;

// Keeps others from writing to a directory that is another server's, and finds out whether one does: `name` is the file that it locks
// whole for itself as long as it runs (fcntl; others use flock, so both are taken, shared). Nothing is created or changed; without
// such a file nobody is there. ERR_IN_USE: *ret_pid is who has it, 0 if that cannot be told. ERR_PERMISSION, ERR_IO.
int directory_lock_foreign(struct directory *directory, const char *name, long *ret_pid) MUST_USE;

// Executes: fills result, transferred, duration_ns and the out-fields of the operation. `bounce`: see file_write() and file_read().
void directory_execute(const struct directory *directory, struct disk_request *request, char *bounce);
