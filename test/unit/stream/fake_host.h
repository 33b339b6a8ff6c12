// SPDX-License-Identifier: Apache-2.0
// A host for an engine without store or disk: a log in memory that commits on command, reads answered at once or on command, and
// an adapter that records deliveries. Crashes drop what is not committed and build a new engine from the log, from an image and
// the log, or from both with the log's beginning given as covered.
#pragma once

#include "base/list.h"
#include "stream/engine.h"

enum { FAKE_STREAMS = 16 };

struct fake_entry {
    char *records; // owned, padded records
    size_t len, cap;
    uint64_t index;
};

struct fake_message {
    size_t size;
    size_t entry, offset;
    bool known; // committed and not trimmed
};

struct fake_delivery {
    uint32_t consumer, member, count;
    uint64_t sequence, time_ns;
    uint32_t payload_len;
    char payload[16];
};

struct fake_read {
    struct list link;
    struct engine_read *read;
    uint64_t time_ns;
    bool seek;
};

struct fake_host {
    struct engine *engine;
    struct engine_options options;
    struct engine_time now;
    struct fake_entry *entries; // owned; the last may be open
    size_t entry_count, entry_cap;
    size_t applied; // entries given to the engine as committed
    bool open;      // the last entry takes records
    struct {
        struct fake_message *messages; // by sequence
        size_t cap;
        uint64_t first;
    } streams[FAKE_STREAMS];
    struct list reads;        // waiting
    size_t read_count, holds; // holds: messages read and not released
    bool asynchronous;        // reads wait
    int read_error;           // not 0: every read fails with it
    int admit_error, reserved_error;
    int dead_letter_error; // what the adapter says instead of taking a dead letter
    struct buffer image;   // records of checkpoints
    uint64_t image_index;  // begin of the newest checkpoint
    size_t entry_bytes;    // an entry is closed beyond this
    size_t lost_entry;     // not 0: a crash also takes this one (index)
    // The adapter.
    bool (*on_deliver)(struct fake_host *host, const struct delivery *delivery); // NULL: take it
    void (*on_member)(struct fake_host *host, struct member *member, bool recovered);
    struct fake_delivery *deliveries; // owned
    size_t delivery_count, delivery_cap;
    size_t members_added, members_removed;
    struct consumer *created; // by the newest fake_consumer()
    void *owner;
};

void fake_host_init(struct fake_host *host, uint64_t max_ids);
void fake_host_deinit(struct fake_host *host);
// A test's host, with room for 100,000 ids, and its end, which checks the engine. For cmocka.
int fake_host_set_up(void **state);
int fake_host_tear_down(void **state);
// engine_turn_end() and closing of the open entry. Returns what the engine said.
bool fake_host_turn(struct fake_host *host);
// Commits up to `count` entries (SIZE_MAX: all).
void fake_host_commit(struct fake_host *host, size_t count);
// Turns and commits until nothing is left.
void fake_host_settle(struct fake_host *host);
void fake_host_advance(struct fake_host *host, uint64_t ms);
// Answers the n-th waiting read (0: the oldest). False: there is none.
bool fake_host_answer(struct fake_host *host, size_t n);
// The log loses what is not committed (all of it, or what is above last_good), as after a refused batch.
void fake_host_refuse(struct fake_host *host);
// The server ends: a new engine from the log (committed entries only).
void fake_host_crash(struct fake_host *host, bool with_image);
// A whole checkpoint, in slices with a commit in between.
void fake_host_checkpoint(struct fake_host *host, bool base, size_t slice, size_t commits);
uint64_t fake_host_last_index(const struct fake_host *host);
// How many records of this kind the log has.
size_t fake_host_records(const struct fake_host *host, uint16_t kind);

// Short hands.
struct stream *fake_stream(struct fake_host *host, const char *name, uint64_t max_msgs);
// NULL: it waits for a read, and will be in host->created.
struct consumer *fake_consumer(struct fake_host *host, struct stream *stream, const char *name, bool durable,
                               bool group, enum consumer_start start, uint64_t sequence);
struct member *fake_member(struct fake_host *host, struct consumer *consumer, uint32_t max_in_flight,
                           uint64_t ack_wait_ms);
struct consumer_state fake_consumer_state(const struct consumer *consumer);
uint64_t fake_publish(struct fake_host *host, struct stream *stream, const char *text, uint64_t id);
void fake_publish_many(struct fake_host *host, struct stream *stream, int count);
