// SPDX-License-Identifier: Apache-2.0
// The log of a directory: takes sealed entries from the appender, writes them as batches into the current file, and
// commits them. At most one batch is under way; while it is, the next one gathers.
//
//            appended and nothing under way
//   IDLE ───────────────────────────────────► WRITING ──── written (and synced) ──► IDLE, entries applied and committed
//    │ ▲                                        │  │
//    │ └──── synced, or a spare is there ─┐     │  └─ ERR_NO_SPACE: batch and queue dropped, handler.refused ──► IDLE
//    └─ file full ──► ROLLING ────────────┘     └──── any other error ──► FAILED
//
//   IDLE     nothing to write, or nothing under way
//   WRITING  one DISK_WRITE of a batch (with a file's first batch also the file's header)
//   ROLLING  the batch needs the next file and waits for a spare, or (modes without sync) for the sync of this file
//   FAILED   a write or sync failed: nothing is written or acknowledged until the directory is recovered
#pragma once

#include "base/metrics.h"
#include "store/prepare.h"
#include "store/store_internal.h"

enum {
    LOG_BATCH_MAX = 8 * 1024 * 1024, // bytes of a batch, unless it is one larger entry
    LOG_BATCH_ENTRIES_MAX = 4096,
    LOG_SPANS_MAX = 256,
    LOG_ADMIT_SLACK = 4 * LOG_FILE_BLOCK, // headers and padding of what is queued
};

enum log_state { LOG_IDLE, LOG_WRITING, LOG_ROLLING, LOG_FAILED };

struct log {
    struct store *store; // borrowed: embeds everything this needs
    enum log_state state;
    struct list files;        // of struct log_file: retained, oldest first, the current one last
    struct log_file *current; // the last of them
    bool begun;               // its header is written
    uint64_t position;        // in it, where the next batch goes; the header is written with the first batch
    uint64_t files_bytes;     // allocated by all of them
    struct prepare prepare;   // files to come, files gone

    uint64_t committed_index; // durable, or written in modes without sync
    uint64_t applied_index;
    uint64_t synced_index; // proven durable, as are the file and position that the next batch's header names:
    uint64_t synced_file;
    uint64_t synced_position;
    uint64_t synced_bytes, appended_bytes;

    // The batch under way: the first `batch_entries` of the appender's queue.
    struct disk_request write;
    size_t batch_entries;
    uint64_t batch_position, batch_end; // in the current file: of the batch header, of its padding's end
    uint64_t batch_index;               // of its last entry
    struct disk_span spans[LOG_SPANS_MAX];
    struct chunk *span_chunks[LOG_SPANS_MAX]; // borrowed from the entries; NULL for what is not entries
    size_t span_count;
    char batch_header[BATCH_HEADER_SIZE];
    char file_header[LOG_FILE_BLOCK];
    char zeros[BATCH_ALIGN]; // padding

    // Modes without sync: the sync now and then.
    struct disk_request sync;
    bool syncing;
    bool sync_wanted;
    uint64_t sync_file, sync_position, sync_index, sync_bytes; // what the sync under way will prove
    uint64_t sync_deadline_ms;

    bool was_refused; // admission said no: tell the handler when it would say yes again
    uint64_t batches, sync_ns_last, sync_ns_total;
    struct histogram sync_ns, batch_bytes;
};

// An empty log, to which recovery adds what it found and made before log_start().
struct log *log_new(struct store *store);
// Closes (disk_run) and frees; nothing may be under way.
void log_free(struct log *log);
// Everything up to last_index in `files` is durable; `current` was made by recovery and is synced up to current->valid.
void log_start(struct log *log, struct log_file *current, uint64_t last_index);

// See store_admit() and store_admit_reserved().
int log_admit(const struct store *store, size_t size, bool reserved);
// Begins a batch if there is something to write and nothing under way; syncs when it is time.
void log_step(struct log *log);
// A spare appeared, or space: goes on where it waited, tells a refused handler.
void log_resume(struct log *log);
// Bytes that can still be written without new space: the rest of the current file and the spares.
uint64_t log_free_bytes(const struct log *log);
uint64_t log_next_deadline_ms(const struct log *log);
bool log_is_busy(const struct log *log);
// With disk_run: writes what is appended and an empty batch that proves it synced. Nothing may be under way.
int log_finish(struct log *log);

// The log as the other parts see it (context.h).
struct log_view log_make_view(struct log *log);
