// SPDX-License-Identifier: Apache-2.0
// Writes one immutable file in slices next to what serves: NAME.tmp is created, written and synced, renamed to NAME, and its
// folder synced; only then the file counts. Slices go to the device at once (DISK_FLAG_SOON), so that the one sync at the end,
// and the syncs of the log meanwhile, find little to do. One request under way at a time.
//
//   OPENING ──► READY ◄──► WRITING        file_writer_write() starts a slice; READY when it is written
//                 └──► SEALING ──► SEALED file_writer_seal(): sync, close, rename, sync the folder
//   any ──► BROKEN: `error` says why; the owner frees the writer, the .tmp is removed
//
// The owner fills `out` while READY. After each request it is called back (wake) and looks at the state.
#pragma once

#include "base/buffer.h"
#include "store/context.h"

enum file_writer_state {
    FILE_WRITER_OPENING,
    FILE_WRITER_READY,
    FILE_WRITER_WRITING,
    FILE_WRITER_SEALING,
    FILE_WRITER_SEALED,
    FILE_WRITER_BROKEN,
};

// What is given up for the file on a full disk (log_view.give_space).
enum file_writer_worth {
    FILE_WRITER_USUAL,    // most of the ballast
    FILE_WRITER_OPTIONAL, // nothing
    FILE_WRITER_VITAL,    // all of it, a spare log file too: it will give more space back than it takes
};

struct file_writer {
    struct store_context *context; // borrowed
    void *owner;                   // of wake
    void (*wake)(void *owner);     // may free the writer
    enum file_writer_state state;
    int error;                    // why BROKEN
    struct buffer out;            // bytes to be written next
    size_t flushed;               // how many of them already are
    uint64_t offset;              // in the file, of the first of `out` not written
    uint64_t retry_ns;            // monotonic: not before; space is being given back for this slice
    bool claims;                  // it found no space: counted in context->claims until it is freed
    enum file_writer_worth worth; // set by the owner
    bool abandoned;               // nobody owns it: clean up and free it
    const char *folder;           // static
    char name[STORE_PATH_BYTES];
    char temporary[STORE_PATH_BYTES];
    struct disk_request request;
    struct disk_span span;
    uint64_t deleted; // which step of cleaning up
};

// Starts with OPENING; a left-over .tmp is replaced. `name` is the path of the sealed file, in `folder`.
struct file_writer *file_writer_new(struct store_context *context, const char *folder, const char *name,
                                    void (*wake)(void *owner), void *owner);
// Not sealed: closes and removes the .tmp in the background. Sealed: just frees. NULL is fine.
void file_writer_free(struct file_writer *writer);
// The same at the end of the store's life, when no request is under way: closes with disk_run(), leaves the .tmp. NULL is fine.
void file_writer_drop(struct file_writer *writer);

// Bytes in `out` that are not written yet.
static inline size_t file_writer_pending(const struct file_writer *writer)
{
    return writer->out.len - writer->flushed;
}
// READY: writes up to STORE_SLICE of what is pending. Does nothing before retry_ns, or when nothing is pending. Whole slices
// are the cheapest: only the last one should be shorter.
void file_writer_write(struct file_writer *writer);
// READY and nothing pending: completes the file.
void file_writer_seal(struct file_writer *writer);
