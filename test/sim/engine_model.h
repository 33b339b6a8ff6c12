// SPDX-License-Identifier: Apache-2.0
// What a run of the engine must not do, whatever happens to it: a model that sees publishes, deliveries, acknowledgements and
// crashes, and asserts on each delivery
//   M1  it is a committed message, with the content that was published under that sequence
//   M2  it is not acknowledged (an acknowledgement may be forgotten only by a crash before its record was committed)
//   M3  the first delivery of a sequence comes after those of all smaller ones
//   M4  another delivery comes only after the ack wait (from the last extension on) and the stream's backoff, the grace of its member,
//       its removal, a crash, or after it was given back; and not before the delay with which it was given back
//   M5  its count is the number of deliveries before that count; after a crash at least of those that were committed
//   M6  a first delivery keeps its member within max_in_flight, and goes to a member with the fewest in flight
//   M7  it is not terminated (which may be forgotten only by a crash before that was recorded), and within the stream's max_deliver; once it
//       is redriven, which is committed, it comes as if for the first time, within its member's max_in_flight
//   M10 neither its consumer nor its stream is paused (committed, and its end has not come)
//   M11 after a seek of its consumer that is committed it comes as if it had never gone out, from there on and in order
// and at the end on the log
//   M8  a dead letter and the record of its death are in one entry
//   M9  a stream with discard_new dropped nothing that a consumer had not finished, but for what was purged
#pragma once

#include "fake_host.h"

enum { MODEL_SEQUENCES = 4096, MODEL_CONSUMERS = 64, MODEL_MEMBERS = 256 };

struct model_message {
    uint64_t number; // content; 0: none
    uint64_t index;  // of its entry
    uint64_t id;
    uint64_t time_ms; // monotonic
};

struct model_delivery {
    uint32_t deliveries, committed; // counts
    uint32_t member;
    uint64_t last_ns, ack_wait_ns;
    uint64_t index;     // entry that has the newest delivery record
    uint64_t ack_index; // 0: not acknowledged; UINT64_MAX: not recorded yet
    uint64_t ack_low;   // the entry that has the acknowledgement is not before this
    bool maybe;         // it was acknowledged before a crash, perhaps in time
    bool released;      // it may come again
    bool terminated;
    // Given back:
    uint64_t not_before_ns; // 0: none
    uint64_t nak_index;     // entry that says so; 0: not given back, UINT64_MAX: not recorded yet
    bool uncounted;         // the delivery did not count
    bool ever_uncounted;    // so it may go out as if it were the first time
    uint64_t redrive_index; // entry that says that it lives again; 0: none
};

enum { MODEL_PAUSES = 16 };

// What was said about pausing a stream or consumer and may count, the oldest first.
struct model_pause {
    struct {
        bool on;
        uint64_t until_ns, index;
    } said[MODEL_PAUSES];
    size_t count;
};

struct model_consumer {
    uint32_t id, stream; // id 0: free
    uint64_t last_first;
    uint64_t seek_index; // entry with the newest seek that the rest does not know yet; 0: none
    struct model_pause pause;
    size_t end; // sequences from here on were never delivered
    struct model_delivery at[MODEL_SEQUENCES];
};

struct model_member {
    uint32_t id; // 0: free
    enum member_state state;
    uint64_t gone_ns;
};

struct engine_model {
    struct fake_host *host;
    struct model_message messages[FAKE_STREAMS][MODEL_SEQUENCES];
    struct model_consumer consumers[MODEL_CONSUMERS];
    struct model_member members[MODEL_MEMBERS];
    struct model_pause pauses[FAKE_STREAMS];
    bool synchronous;      // M6's second half holds only without reads under way
    uint64_t turned_index; // of the newest entry at the last turn's end
    uint64_t next_number;
    uint64_t trace;              // hash over all deliveries
    uint64_t first, again, acks; // how often
};

void engine_model_init(struct engine_model *model, struct fake_host *host);
void engine_model_published(struct engine_model *model, uint32_t stream, const struct publish_result *result,
                            uint64_t number, uint64_t id);
void engine_model_delivered(struct engine_model *model, const struct delivery *delivery);
void engine_model_acked(struct engine_model *model, struct consumer *consumer, uint64_t sequence);
void engine_model_given_back(struct engine_model *model, struct consumer *consumer, uint64_t sequence,
                             uint64_t delay_ns, bool count);
void engine_model_terminated(struct engine_model *model, struct consumer *consumer, uint64_t sequence);
void engine_model_extended(struct engine_model *model, struct consumer *consumer, uint64_t sequence);
// Said of a stream if `consumer` is NULL.
void engine_model_paused(struct engine_model *model, uint32_t stream, struct consumer *consumer, bool on,
                         uint64_t until_ns, uint64_t index);
// False: too much was said lately to be remembered.
bool engine_model_can_pause(struct engine_model *model, uint32_t stream, struct consumer *consumer);
void engine_model_sought(struct engine_model *model, struct consumer *consumer, uint64_t index);
void engine_model_redriven(struct engine_model *model, struct consumer *consumer, uint64_t sequence, uint64_t index);
void engine_model_member_state(struct engine_model *model, uint32_t id, enum member_state state);
void engine_model_member_removed(struct engine_model *model, uint32_t id);
// After each turn: what was in memory has an index now.
void engine_model_turned(struct engine_model *model);
void engine_model_refused(struct engine_model *model);
void engine_model_crashed(struct engine_model *model);
// M8, over the whole log.
void engine_model_check_letters(const struct engine_model *model, uint32_t letters);
struct model_consumer *engine_model_consumer(struct engine_model *model, const struct consumer *consumer);
struct model_member *engine_model_member(struct engine_model *model, uint32_t id);
