// SPDX-License-Identifier: Apache-2.0
// The data directory as the store sees it: files named relative to it, requests that are submitted and complete later.
// os/ implements it with a log thread and a pool, the simulator in memory with crashes, torn writes and failures.
//
// A request belongs to the caller, who keeps it and everything it points to alive until `done` is called. Requests on the
// DISK_LOG lane are executed one after the other in order of submission; those on DISK_POOL in any order, several at once.
// `done` runs on the submitting worker's thread, never from inside disk_submit(). disk_run() executes a request before it
// returns, in the caller's thread, and calls no `done`: for start, recovery and `weir check`, never while serving.
#pragma once

#include "base/bytes.h"
#include "base/mailbox.h"

enum disk_lane { DISK_LOG, DISK_POOL };

enum disk_op {
    DISK_OPEN,      // path, flags → file
    DISK_CLOSE,     // file; the handle is gone whatever the result
    DISK_WRITE,     // file, offset, spans; with DISK_FLAG_SYNC then as DISK_SYNC, as one request
    DISK_READ,      // file, offset, spans (filled front to back) → transferred; short only at the end of the file
    DISK_READ_EACH, // file, spans, each span's own offset: a gather of many small reads; all or ERR_*
    DISK_SYNC, // file: data and the size needed to read it (fdatasync); fails only with ERR_IO, also within DISK_WRITE
    DISK_ALLOCATE, // file, length: space [0, length) exists and reads as zeros or as what was written; slow, sliced inside
    DISK_TRUNCATE, // file, length
    DISK_SIZE,     // file → transferred
    DISK_RENAME,   // path, path2 (replaces it)
    DISK_UNLINK,   // path
    DISK_SYNC_DIR, // path of a folder ("." is the data directory): names in it are durable
    DISK_MKDIR,    // path; fine if it exists
    DISK_LIST,     // path of a folder → names, sorted (see disk_names)
};

enum {
    DISK_FLAG_CREATE = 1,    // OPEN: create; ERR_EXISTS if it is there
    DISK_FLAG_READ_ONLY = 2, // OPEN
    DISK_FLAG_SYNC = 4,      // WRITE
    DISK_FLAG_SOON = 8,    // WRITE: a DISK_SYNC follows before long; leaves it little to do. Alone it promises nothing
    DISK_FLAG_AROUND = 16, // READ: much, and nobody is likely to read it again soon; not worth a place in a cache
};

struct disk_file; // the implementation's handle

struct disk_span {
    char *ptr;       // borrowed; WRITE does not change it
    size_t len;      // bytes
    uint64_t offset; // READ_EACH only
};

// Names of a folder: NUL-separated in one allocation, freed by the caller with mem_free().
struct disk_names {
    char *names; // owned by the caller after a successful LIST; NULL when count is 0
    size_t count;
};

struct disk_request {
    enum disk_op op;
    unsigned flags;          // DISK_FLAG_*
    const char *path;        // borrowed, NUL-terminated, relative to the data directory
    const char *path2;       // RENAME: the new name
    struct disk_file *file;  // in, or out of OPEN
    uint64_t offset;         // bytes
    uint64_t length;         // ALLOCATE, TRUNCATE: bytes
    struct disk_span *spans; // borrowed array
    size_t span_count;
    struct disk_names names; // out of LIST

    int result;           // out: 0, ERR_NO_SPACE, ERR_NOT_FOUND, ERR_EXISTS, ERR_IO, ERR_PERMISSION
    uint64_t transferred; // out: bytes, or the size
    uint64_t duration_ns; // out: how long the execution took (monitoring; 0 in the simulator)

    void (*done)(struct disk_request *request); // caller's; the caller embeds the request to find its own state

    struct mailbox_item item; // implementation's
    void *implementation;     // implementation's
};

struct disk {
    const struct disk_ops *ops; // implementation's, first member of its own struct
};

struct disk_ops {
    void (*submit)(struct disk *disk, enum disk_lane lane, struct disk_request *request);
    void (*run)(struct disk *disk, struct disk_request *request);
};

static inline void disk_submit(struct disk *disk, enum disk_lane lane, struct disk_request *request)
{
    disk->ops->submit(disk, lane, request);
}

// Executes now; returns request->result.
static inline int disk_run(struct disk *disk, struct disk_request *request)
{
    disk->ops->run(disk, request);
    return request->result;
}
