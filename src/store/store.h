// SPDX-License-Identifier: Apache-2.0
// The store: one write-ahead log per data directory, the segments that its cold messages move to, and the checkpoints that
// bound recovery. It knows records only by their frame (base/record.h) and message records by stream and sequence; what they
// mean is the business of its handler (shard/). FORMAT.md is the reference for every byte on disk.
//
// Pure: a state machine on env/disk. One thread. Life:
//
//   store_open ──► recovery: handler.restore*, handler.replay* ──► SERVING ──► store_stop
//                                                                    │ a sync or write failed
//                                                                    ▼
//                                                                  FAILED: no append is admitted, nothing is acknowledged any
//                                                                  more, reads of what was synced go on until a restart
//
// A turn: store_reserve() and filling it for each record, then store_turn_end(), which seals the open entry and, when no
// sync is under way, hands everything sealed to the log thread as one batch (group commit). When the batch is durable, the
// handler gets each entry (apply) and then committed(). With store_sync INTERVAL or NEVER "durable" is "written".
#pragma once

#include "base/buffer.h"
#include "base/record.h"
#include "env/clock.h"
#include "env/crypto.h"
#include "env/disk.h"
#include "env/log.h"
#include "env/random.h"
#include "store/chunk.h"

struct store;
struct histogram;

enum store_sync { STORE_SYNC_ALWAYS, STORE_SYNC_INTERVAL, STORE_SYNC_NEVER };

// Encryption at rest (FORMAT.md). No key: what is written is clear, and what is encrypted is refused.
struct store_encryption {
    uint32_t
        cipher; // enum crypto_cipher: what new files are encrypted with; 0: they are clear, the key is for old ones
    struct bytes key;                   // a secret of any length; borrowed until store_open() or store_check() returns
    struct bytes old_key;               // the one before it, for files from its time; empty: none
    const struct crypto *crypto;        // borrowed for life, if there is a key
    const struct random_source *random; // the same: of salts
};

struct store_options {
    bool memory;           // no directory: a log that commits at once; messages live in memory, bounded by memory_bytes
    struct bytes identity; // whose directory this is (STAN cluster id), 1–128 bytes; kept in every file header
    enum store_sync sync;  // default ALWAYS
    uint64_t sync_interval_ns; // for INTERVAL
    uint64_t log_bytes;        // budget of the retained log: 512 MiB; past it the oldest file rolls over
    uint64_t file_bytes;       // of a log file: 64 MiB; at least four times max_payload
    uint64_t first_file_bytes; // of the very first, so that the server listens at once: 4 MiB; same lower bound
    uint64_t checkpoint_bytes; // log between checkpoints: 128 MiB
    uint64_t cache_bytes;      // chunks kept in memory for reading: 32 MiB
    uint64_t inflight_bytes;   // appended but not yet durable, before store_admit() says ERR_AGAIN: 64 MiB
    uint64_t memory_bytes;     // memory store: all messages together, before ERR_LIMIT: 1 GiB
    uint32_t max_payload;      // bytes: bounds a record
    bool unserved;             // filled, and served to nobody: a full disk is for whoever fills it to explain
    struct store_encryption encryption;
    const struct logger *logger; // borrowed for life
};

void store_options_default(struct store_options *options);

// One entry, in order of the log. Borrowed during the call; `chunk` may be referenced to keep `records` longer.
struct entry_view {
    uint32_t shard;       // 1
    uint64_t term;        // 0 on a single node
    uint64_t index;       // of the shard, from 1, without gaps but for damage
    uint64_t time_ns;     // wall clock of the turn
    struct bytes records; // framed records, padded
    struct chunk *chunk;  // holds them
    uint64_t file;        // log file id (memory store: the chunk's number)
    uint64_t offset;      // of `records` in that file
};

// What the shard does. All calls come on the worker's thread, from store_open(), store_turn_end() or disk completions.
struct store_handler {
    void *owner;
    // Recovery: one image record of the newest checkpoint, base first, then deltas in order. 0 or ERR_*: refuses to start.
    int (*restore)(void *owner, const struct record *image);
    // Recovery: one entry of the retained log. `covered`: the checkpoint holds its effect on every object; only what is
    // derived from the retained log (message index, dedupe ids) is rebuilt. Else apply, skipping objects whose image is
    // as new as the entry.
    int (*replay)(void *owner, const struct entry_view *entry, bool covered);
    // Live: the entry is durable.
    void (*apply)(void *owner, const struct entry_view *entry);
    // Live: everything up to this index was applied: answers may leave.
    void (*committed)(void *owner, uint64_t index);
    // Live: the log FAILED (once), or a batch was refused for lack of space before anything of it was durable: what was appended
    // after `last_good` is not in the log; proposals after it are dropped.
    void (*refused)(void *owner, uint64_t last_good, int error);
    // Live: store_admit() said ERR_AGAIN or ERR_NO_SPACE before and would now say 0.
    void (*admitting)(void *owner);
    // Roll-over and segments: is this message still wanted? Committed state only.
    bool (*is_wanted)(void *owner, uint32_t stream, uint64_t sequence);
    // The smallest sequence still wanted, UINT64_MAX when none is or the stream is gone.
    uint64_t (*first_wanted)(void *owner, uint32_t stream);
    // Checkpoint, in slices: begin (base: everything; else what changed since the last begin), then next until 0. next appends
    // image records (framed, sealed, padded) to `out`, about max_bytes, and returns 1 while there is more.
    void (*checkpoint_begin)(void *owner, bool base);
    int (*checkpoint_next)(void *owner, struct buffer *out, size_t max_bytes);
    // Roll-over and sidecars: the dedupe ids of the entries first…last that are still in their window (format of the engine's
    // own), to be given back through restore_ids; what several calls appended is one section then. May append nothing.
    void (*save_ids)(void *owner, uint64_t first_index, uint64_t last_index, uint64_t *ret_until_ns,
                     struct buffer *out);
    // So many bytes of saved ids are about to be given back, after the last replay and while serving; 0: all of them are back.
    // Meanwhile whether something was published before cannot be told, and none are saved. Not called when there are none.
    void (*ids_awaited)(void *owner, uint64_t bytes);
    // A section, as it was saved, the newest first. Takes as many ids from its end as fit into a turn and says in *ret_left how many
    // bytes of it are left for the next call; 0: all is taken. last_index: of the entries of a log file, which will be asked
    // for again by save_ids; 0: never. ERR_CORRUPT: no section of ours; nothing of it is taken.
    int (*restore_ids)(void *owner, struct bytes ids, uint64_t last_index, size_t *ret_left);
};

// Opens and recovers, or creates, the directory. Uses disk_run() only; afterwards disk_submit() only. The handler is copied, its
// owner borrowed for life. Errors, each logged with what to do: ERR_NOT_OURS (files there, but not a Weir directory),
// ERR_OTHER_CLUSTER, ERR_KEY (encrypted, and the key is another one or missing), ERR_NEWER, ERR_CORRUPT (nothing left to serve from; nothing was changed), ERR_NO_SPACE, ERR_IO.
// The LOCK file is the caller's business (os/). `disk` may be NULL for the memory store. *ret_store is set before the first
// restore() or replay(), for store_index_add() and store_trim(), and NULL again on failure.
int store_open(const struct store_options *options, struct disk *disk, const struct store_handler *handler,
               struct moment now, struct store **ret_store);
// Stopping, step one: no more background work is begun. What is under way goes on.
void store_quiesce(struct store *store);
// No request is under way. The caller turns its loop until this is true after store_quiesce(), then stops the store.
bool store_is_idle(const struct store *store);
// Step two, when idle: writes (disk_run) what is appended, syncs, proves it synced. Nothing is reported to the handler any more;
// store_committed_index() says what became durable. Nothing is appended afterwards. After FAILED it does nothing.
void store_finish(struct store *store);
// Step three: finishes, if that was not done, closes, frees.
void store_stop(struct store *store);

// --- appending ------------------------------------------------------------------------------------------------------

// May `size` bytes of records be appended, as a publish? 0; ERR_AGAIN: too much in flight, later; ERR_NO_SPACE: only
// acknowledgements, deletes and the like are taken (store_admit_reserved); ERR_LIMIT: memory store is full; ERR_FAILED.
// Asked before the engine proposes.
int store_admit(const struct store *store, size_t size);
// The same for acknowledgements, deletes, clients and their subscriptions: uses the reserve, and is never asked to wait. 0, ERR_FAILED or ERR_NO_SPACE.
int store_admit_reserved(const struct store *store, size_t size);

// Room for one record of `size` bytes, header included, and its padding, in the shard's open entry. The caller fills it with
// record_begin() … record_seal() before the next call. *ret_index: of the entry it belongs to. Never fails once admitted;
// opens, and seals, entries as needed.
char *store_reserve(struct store *store, uint32_t shard, size_t size, uint64_t *ret_index);
// The records reserved next, at most `size` bytes with their padding, go into one entry, whose index is returned; at least one of them follows
// in this turn.
uint64_t store_together(struct store *store, uint32_t shard, size_t size);
// The index of the last entry appended so far (the open one if it has records).
uint64_t store_last_index(const struct store *store, uint32_t shard);
uint64_t store_committed_index(const struct store *store, uint32_t shard);

// Seals, starts a batch if none is under way, does one slice of roll-over or checkpoint work. True: call again soon.
bool store_turn_end(struct store *store, struct moment now);
// For sync INTERVAL and paced background work; UINT64_MAX: none. In monotonic ms.
uint64_t store_next_deadline_ms(const struct store *store);

// --- where messages are ---------------------------------------------------------------------------------------------

// Called by the shard from apply and replay for each message record that is wanted: `offset` within entry->records. Sequences
// of a stream come in increasing order (gaps allowed).
void store_index_add(struct store *store, const struct entry_view *entry, uint32_t stream, uint64_t sequence,
                     uint64_t time_ns, size_t offset, size_t size);
// A hint: messages of these streams are added before long.
void store_index_ahead(const struct store *store, const uint32_t *streams, size_t count);
// Messages of a stream below `first` are gone; UINT64_MAX: the stream is gone.
void store_trim(struct store *store, uint32_t stream, uint64_t first);
// One message is gone.
void store_forget(struct store *store, uint32_t stream, uint64_t sequence);

// A hint: these messages are read before long.
void store_fetch_ahead(struct store *store, const uint32_t *streams, const uint64_t *sequences, size_t count);
// A read. Embedded by the caller, who keeps it until answered; a waiting one is given up with store_fetch_cancel().
struct store_fetch {
    uint32_t stream;
    uint64_t sequence;
    uint64_t time_ns; // SEEK only
    // The answer to FETCH:
    int result; // 0, ERR_NOT_FOUND (gone), ERR_CORRUPT (quarantined), ERR_IO
    uint64_t
        next; // not found, or corrupt: nothing can be read from `sequence` to before this, which is above it; UINT64_MAX: nothing behind it
    bool is_absent;                          // the same: there is no trace of any of them; they may never have been
    struct record record;                    // verified when it was read from disk; valid while `chunk` is referenced
    struct chunk *chunk;                     // referenced for the caller, who calls chunk_unref()
    void (*done)(struct store_fetch *fetch); // called later, and only if the call returned ERR_AGAIN
    void *implementation;                    // store's
    struct list link;                        // store's
};

// The message, from memory now (returns 0 or an error, fetch filled) or later (ERR_AGAIN).
int store_fetch(struct store *store, struct store_fetch *fetch);
// The first sequence at or after fetch->sequence whose time is >= time_ns, into fetch->sequence; past the last: last + 1.
int store_seek(struct store *store, struct store_fetch *fetch);
void store_fetch_cancel(struct store *store, struct store_fetch *fetch);

// Sizes (of records) and times of up to `max` messages from `first` on, as far as known without reading the disk now: returns how
// many (sequence strictly increasing). 0 with *ret_wait = true: being read, ask again next turn.
struct store_size {
    uint64_t sequence;
    uint64_t time_ns;
    uint32_t size; // bytes of the record
};
size_t store_sizes(struct store *store, uint32_t stream, uint64_t first, struct store_size *ret, size_t max,
                   bool *ret_wait);

// --- what monitoring and `weir check` show --------------------------------------------------------------------------

struct store_stats {
    bool failed;
    bool admitting;                                         // publishes are taken
    bool ids_awaited;                                       // after a start: publishes with new ids wait
    uint64_t appended_index, committed_index, synced_index; // shard 1; synced: proven, even with INTERVAL and NEVER
    uint64_t appended_bytes, synced_bytes;                  // of the log, ever in this process
    uint64_t inflight_bytes;                                // appended, not durable
    uint64_t batches, sync_ns_last, sync_ns_total;          // durations as the disk measured them
    uint64_t log_files, log_bytes;                          // retained
    uint64_t free_bytes;                                    // of the log: can be written without new space
    uint64_t segments, segment_bytes;
    uint64_t checkpoints, checkpoint_index; // written in this process; newest complete one
    uint64_t index_bytes, cache_bytes;      // memory
    uint64_t damaged_areas;                 // found by recovery or reads
};
void store_stats_get(const struct store *store, struct store_stats *ret_stats);
// Since the process began: how long each sync took, in ns, and the bytes of each batch, padding included. Borrowed. NULL: in memory.
const struct histogram *store_sync_times(const struct store *store);
const struct histogram *store_batch_sizes(const struct store *store);

// Reads a directory without changing anything and prints what it holds and what is wrong with it to `out`, as lines.
// Of an encrypted one without its key only what is clear. `encryption` may be NULL: no key. Returns the number of problems found, or
// ERR_NOT_OURS, ERR_KEY, ERR_NEWER, ERR_IO.
int store_check(struct disk *disk, const struct store_encryption *encryption,
                void (*print)(void *owner, const char *line), void *owner);
