// SPDX-License-Identifier: Apache-2.0
// A shard: one log and the state machines on it. Glue between store/ (what is durable) and stream/ (what it means), and the place
// where answers wait for durability. Other machines (STAN's clients) keep their facts on the same log.
//
// Life: shard_new ──► shard_machine_add*, engine_adapter_set* ──► shard_open (recovery) ──► turns ──► shard_stop ──► shard_free
#pragma once

#include "base/list.h"
#include "env/clock.h"
#include "env/disk.h"
#include "store/store.h"
#include "stream/engine.h"

struct shard;

// A state machine on the shard's log, beside the engine. Embedded by its owner. Record kinds first_kind … last_kind and image kind
// image_kind are its own.
struct shard_machine {
    uint16_t first_kind, last_kind, image_kind;
    // Committed, in log order; the only place where its durable state changes. Skips objects whose image is as new as `index`.
    // `covered` entries are not given to machines. 0 or ERR_CORRUPT.
    int (*apply)(struct shard_machine *machine, const struct record *record, uint64_t index);
    int (*restore)(struct shard_machine *machine, const struct record *image);
    void (*checkpoint_begin)(struct shard_machine *machine, bool base);
    int (*checkpoint_next)(struct shard_machine *machine, uint64_t index, struct buffer *out, size_t max_bytes);
    void (*recovered)(struct shard_machine *machine, struct moment now); // after the engine's
    void (*drop_tail)(struct shard_machine *machine, uint64_t last_good);
    struct list link; // shard's
};

struct shard_options {
    uint32_t id; // 1
    struct store_options store;
    struct engine_options engine; // host is filled in by the shard
    const struct logger *logger;  // borrowed for life
    // Publishers may go on: shard_admit() or engine_publish() refused with ERR_AGAIN or ERR_NO_SPACE before.
    void (*admitting)(void *owner);
    void *owner;
};

struct shard *shard_new(const struct shard_options *options);
void shard_free(struct shard *shard);
void shard_machine_add(struct shard *shard, struct shard_machine *machine);
// Recovers. Errors of store_open(), or ERR_CORRUPT of a machine.
int shard_open(struct shard *shard, struct disk *disk, struct moment now);
// Stopping, step one: nothing is delivered, read or begun in the background any more.
void shard_quiesce(struct shard *shard);
// No request is under way: everything appended is durable, or the log cannot go on (FAILED, full disk). The caller turns its loop at
// least once, then until this is true.
bool shard_is_idle(const struct shard *shard);
// Step two, when idle: the end of the log is written; answers that still wait leave if their record became durable and are
// refused (ERR_CLOSED) if not; the store is closed. The engine stays readable.
void shard_stop(struct shard *shard);

struct engine *shard_engine(struct shard *shard);
struct store *shard_store(struct shard *shard);
// A fetch that says ERR_CORRUPT: are it and what lies before fetch->next numbers that never were in use? Not while damage is known, which
// may have taken them.
bool shard_is_gap(const struct shard *shard, const struct store_fetch *fetch);

// For machines: room for a record in the log; see store_reserve(). Asked before with shard_admit().
char *shard_reserve(struct shard *shard, size_t size, uint64_t *ret_index);
int shard_admit(struct shard *shard, size_t size, bool reserved);
uint64_t shard_last_index(const struct shard *shard);
uint64_t shard_committed_index(const struct shard *shard);

// Turn: see engine.h and store.h. Deliveries leave after the answers that were released before. True: call again at once.
bool shard_turn_end(struct shard *shard, struct moment now);
uint64_t shard_next_deadline_ms(const struct shard *shard);
