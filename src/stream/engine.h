// SPDX-License-Identifier: Apache-2.0
// The engine: streams, consumers and their members (delivery targets) of one shard. One engine serves every protocol: a STAN
// channel is a stream, a durable or a queue group a consumer, a subscription a member; JetStream maps as well.
//
// Two halves (section 6 of ARCHITECTURE.md). A propose function checks a command against applied state plus a small tentative
// tail and appends a record that holds results. engine_apply() is the only code that changes durable state; live, follower and
// recovery run it, in log order, on committed records, with no time but the record's. What is not durable (who is ready,
// deadlines, what waits for a read) lives beside it and is lost with the process.
//
// Pure: time comes in, effects go out through struct engine_host and struct engine_adapter. One thread. A turn:
//   propose*, ack*, member_set_state*, apply* …  then engine_turn_end(): deliveries, and their records and those of the acks.
//
// Invariants (engine_check): E1 first_sequence <= last_sequence + 1; E2 every pending sequence is below its consumer's
// next_sequence and above its ack floor; E3 a sequence is pending at most once per consumer; E4 a member's in_flight is the
// number of its pending, unacknowledged sequences; E5 a consumer without members delivers nothing.
#pragma once

#include "base/buffer.h"
#include "base/record.h"

struct engine;
struct stream;
struct consumer;
struct member;

enum {
    ENGINE_DATA_MAX = 4096,  // bytes of an adapter's data blob
    ENGINE_NAME_MAX = 1024,  // bytes of a stream's or consumer's name
    ENGINE_FIND_MAX = 16,    // engine_stream_find_many(), engine_acks_ahead()
    STREAM_BACKOFF_MAX = 16, // steps of a stream's backoff
    ENGINE_REASON_MAX = 256, // bytes of the reason given for terminating a message; the rest is cut off
};

struct engine_time {
    uint64_t mono_ns;
    uint64_t wall_ns;
};

// A read of one message for the engine, answered at once or later.
struct engine_read {
    uint32_t stream;
    uint64_t sequence;
    int result;                    // 0, ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO
    struct message_record message; // valid until host.release(hold)
    uint64_t next;                 // ERR_NOT_FOUND, ERR_CORRUPT: nothing can be read from `sequence` to before this
    void *hold;                    // host's
    void (*done)(struct engine_read *read); // engine's; called only if read() returned ERR_AGAIN
    void *implementation;                   // host's
};

struct engine_size {
    uint64_t sequence;
    uint64_t time_ns;
    uint32_t size; // bytes
};

// What the engine needs from the shard.
struct engine_host {
    void *owner;
    // May records of `size` bytes be appended? `reserved`: acks, deletes, members and the like. 0, ERR_AGAIN, ERR_NO_SPACE, ERR_LIMIT,
    // ERR_FAILED.
    int (*admit)(void *owner, size_t size, bool reserved);
    // The records appended next, at most `size` bytes with their padding, go into one entry, whose index is returned: all of them will be in
    // the log, or none.
    uint64_t (*together)(void *owner, size_t size);
    // Room for one record, 8-byte aligned, padding included; *ret_index: its entry. See store_reserve().
    char *(*append)(void *owner, size_t size, uint64_t *ret_index);
    int (*read)(void *owner, struct engine_read *read); // 0/error: answered; ERR_AGAIN: done() follows
    void (*read_cancel)(void *owner, struct engine_read *read);
    void (*release)(void *owner, void *hold);
    // The first sequence >= read->sequence with a time >= time_ns, into read->sequence; as read().
    int (*seek)(void *owner, struct engine_read *read, uint64_t time_ns);
    // Sizes of the oldest messages, for limits; see store_sizes().
    size_t (*sizes)(void *owner, uint32_t stream, uint64_t first, struct engine_size *ret, size_t max, bool *ret_wait);
    // Committed: messages below `first` are gone (UINT64_MAX: the stream is).
    void (*trimmed)(void *owner, uint32_t stream, uint64_t first);
    // A hint: these are read before long. At most ENGINE_FIND_MAX. NULL: it is of no use.
    void (*read_ahead)(void *owner, const uint32_t *streams, const uint64_t *sequences, size_t count);
};

// A message on its way to a member. Borrowed.
struct delivery {
    struct stream *stream;
    struct consumer *consumer;
    struct member *member;
    const struct message_record *message;
    bool first;                // nobody got it before
    uint32_t redelivery_count; // deliveries before this one that count (engine_nak())
};

enum dead_reason {
    DEAD_MAX_DELIVER = 1, // its deliveries ran out
    DEAD_TERMINATED = 2,  // engine_terminate()
};

// A message that dies and is to be copied. Borrowed.
struct dead_letter {
    struct consumer *consumer;
    struct stream *stream; // where it dies; its config names the target
    const struct message_record *message;
    struct member *member; // had it last; NULL: nobody known, or gone
    uint32_t attempts;
    enum dead_reason reason;
    struct bytes text; // given with engine_terminate()
    uint64_t time_ns;  // wall clock
};

struct dead_info;

enum { ENGINE_PROTOCOL_STAN = 1, ENGINE_PROTOCOL_JETSTREAM = 2, ENGINE_PROTOCOL_COUNT };

// What a protocol does for its consumers. Registered once per protocol.
struct engine_adapter {
    void *owner;
    // Sends. False: the target could not take it (gone or congested); the engine keeps the message for later, and the member
    // counts as MEMBER_CONGESTED until its state is set or 50 ms are over. May call engine_member_set_state() and engine_ack().
    bool (*deliver)(void *owner, const struct delivery *delivery);
    // A member exists: just committed, or found by recovery (in that case before serving, state MEMBER_GONE with its grace
    // running). The adapter may keep a pointer in it (member_set_context).
    void (*member_added)(void *owner, struct member *member, bool recovered);
    // It is about to be freed.
    void (*member_removed)(void *owner, struct member *member);
    // Finds the stream that gets dead letters of this one, or makes it, and appends the header block of the copy to `headers`: the
    // message's own with its story. 0; ERR_EXISTS, ERR_INVALID: there is to be no copy (it is one already, the name is no good);
    // else: not now, it is asked again later. NULL: no copies.
    int (*dead_letter)(void *owner, const struct dead_letter *letter, struct stream **ret_stream,
                       struct buffer *headers);
    // A message has died, and although its stream names another for its dead there is no copy: dead_letter() wanted none, or it could not
    // be read any more, or is too large with its story. NULL: nobody wants to know.
    void (*not_copied)(void *owner, struct consumer *consumer, const struct dead_info *dead);
    // A hint: members with these contexts are about to get a message. At most ENGINE_FIND_MAX. A single context's first line was called for
    // a little earlier. NULL: it is of no use.
    void (*ahead)(void *owner, void *const *contexts, size_t count);
};

struct engine_options {
    uint32_t max_streams;   // ERR_LIMIT beyond; 0: unlimited
    uint32_t max_consumers; // of the shard
    uint32_t max_members;   // of the shard
    uint64_t max_ids;       // dedupe ids in memory, about 40 bytes each; ERR_IDS_FULL beyond
    uint32_t turn_budget;   // deliveries, evictions … per turn: 1,024
    // Messages delivered and not finished, of all consumers: beyond it first deliveries wait until others are finished, those that wait
    // longest first. 0: 4,194,304.
    uint32_t max_pending;
    // Of those of one consumer the parked ones: with no member, because they wait to go out again or to die. While there are as
    // many it is served nothing new. 0: 100,000.
    uint32_t max_parked;
    bool no_images; // memory store: no checkpoint will be made, so nothing is kept for one
    struct engine_host host;
};

struct engine *engine_new(const struct engine_options *options);
void engine_free(struct engine *engine);
void engine_adapter_set(struct engine *engine, unsigned protocol, const struct engine_adapter *adapter);

// --- streams --------------------------------------------------------------------------------------------------------

struct stream_config {
    uint32_t account;             // 1: $G
    struct bytes name;            // unique per account
    uint64_t max_msgs;            // 0: unlimited; the oldest go first (ST-B20)
    uint64_t max_bytes;           // 0: unlimited; of records
    uint64_t max_age_ns;          // 0: unlimited
    uint64_t duplicate_window_ns; // 0: no dedupe
    uint64_t disconnect_grace_ns; // how long a member without interest keeps its messages
    uint32_t max_consumers;       // members, in truth subscriptions, per stream (ST-C10); 0: unlimited
    // What comes is refused (ERR_FULL) rather than an unfinished message dropped: limits and age remove only what every
    // consumer has finished. With nobody subscribed nothing is finished.
    bool discard_new;
    // After so many deliveries a message is dead for the consumer instead of being delivered again; 0: unlimited.
    uint32_t max_deliver;
    // The n-th redelivery of a message whose ack wait is over comes backoff_ns[n - 1] after the delivery before it, but not before
    // that ack wait was over; the last step repeats. What is given back, or whose member goes, is not held up by it.
    uint8_t backoff_count;
    uint64_t backoff_ns[STREAM_BACKOFF_MAX];
    // The stream that gets the whole of each message that dies here, made when it is needed; empty, or this stream itself: none.
    struct bytes dead_letter;
};

// Do both say the same?
bool stream_config_equal(const struct stream_config *a, const struct stream_config *b);

struct stream_state {
    uint32_t id;
    struct stream_config config; // borrowed name and dead letter stream, until the next apply
    uint64_t messages, bytes;
    uint64_t first_sequence; // of the oldest message; last + 1 when empty
    uint64_t last_sequence;  // committed
    uint64_t last_proposed;  // sequence; last_sequence unless a message is on its way
    uint64_t last_time_ns;
    uint32_t consumers, members;
    bool paused;              // nothing of it is delivered
    uint64_t paused_until_ns; // wall clock; 0: not paused, or until it is resumed
    bool edited;              // somebody gave it its configuration, see engine_stream_edit()
    uint64_t inactivity_ns;   // given with that; for whoever removes streams that nobody uses
};

// Committed or proposed streams. NULL: none.
struct stream *engine_stream_find(struct engine *engine, uint32_t account, struct bytes name);
// The same for up to ENGINE_FIND_MAX at once, which takes less time than one by one.
void engine_stream_find_many(struct engine *engine, uint32_t account, const struct bytes *names, size_t count,
                             struct stream **ret_streams);
// By stream_state.id. NULL: none, or its end is proposed.
struct stream *engine_stream_by_id(struct engine *engine, uint32_t id);
// Creates; usable at once for further proposals. ERR_EXISTS, ERR_LIMIT, ERR_INVALID, admission errors.
int engine_stream_create(struct engine *engine, const struct stream_config *config, struct engine_time now,
                         struct stream **ret_stream, uint64_t *ret_index);
// Other limits, window or grace, from commit on; account and name stay. ERR_INVALID, ERR_NOT_FOUND, admission errors.
int engine_stream_update(struct engine *engine, struct stream *stream, const struct stream_config *config,
                         struct engine_time now, uint64_t *ret_index);
int engine_stream_delete(struct engine *engine, struct stream *stream, struct engine_time now, uint64_t *ret_index);
void stream_state_get(const struct stream *stream, struct stream_state *ret_state);
struct bytes stream_name(const struct stream *stream); // borrowed
// In order of id; NULL first for the start. NULL at the end.
struct stream *engine_stream_next(struct engine *engine, struct stream *after);
// For those who come back in a later turn: the first with a higher id. NULL: none. If the one with that id has gone, all are looked at.
struct stream *engine_stream_after(struct engine *engine, uint32_t id);

// What was counted since the process began, for those of a name that went and came again on from there (tally.h); a stream's with that of
// its consumers, those that have gone included.
struct tally {
    uint64_t published, published_bytes; // of a stream
    uint64_t delivered;                  // all deliveries
    uint64_t redelivered;                // those of them that were not a message's first to this consumer
    uint64_t acked, dead;
};
void stream_tally_get(const struct stream *stream, struct tally *ret);

// Somebody gives a stream its configuration by hand, or takes that back; see stream_state.edited, inactivity_ns.
struct stream_edit {
    struct stream_config config;
    bool edited;
    uint64_t inactivity_ns;
};
// As engine_stream_update(). An error: the configuration may have changed, and is as it was after the next start.
int engine_stream_edit(struct engine *engine, struct stream *stream, const struct stream_edit *edit,
                       struct engine_time now, uint64_t *ret_index);

// Takes messages away, finished or not, discard_new or not: those that are committed now and all of what is given; done() comes when the
// records of it are proposed, at a later turn's end, or with an error (ERR_NOT_FOUND: the stream goes).
struct stream_purge {
    uint64_t before_sequence; // UINT64_MAX: any
    uint64_t before_time_ns;  // UINT64_MAX: any
    uint64_t keep;            // so many of the newest stay; 0: none
    // Out:
    uint64_t messages, bytes; // that went
    uint64_t index;           // they are gone when it is committed
    // Not called once engine_purge_cancel() was.
    void (*done)(struct stream_purge *purge, int error);
    uint64_t left;         // engine's
    struct stream *stream; // engine's; NULL: it is not under way
};
// The caller keeps it until then. ERR_IN_USE: one is under way; ERR_NOT_FOUND, ERR_CLOSED.
int engine_stream_purge(struct engine *engine, struct stream *stream, struct stream_purge *purge,
                        struct engine_time now) MUST_USE;
// What was taken away stays so.
void engine_purge_cancel(struct stream_purge *purge);

// --- by hand (control.c) --------------------------------------------------------------------------------------------

// Nothing is delivered while a consumer or its stream is paused: until_ns (wall clock; 0: until it is resumed). Acknowledgements are taken,
// ack waits run, messages come in. Takes effect when committed. ERR_NOT_FOUND, admission errors.
int engine_stream_pause(struct engine *engine, struct stream *stream, bool paused, uint64_t until_ns,
                        struct engine_time now, uint64_t *ret_index) MUST_USE;
int engine_consumer_pause(struct engine *engine, struct consumer *consumer, bool paused, uint64_t until_ns,
                          struct engine_time now, uint64_t *ret_index) MUST_USE;
// Dead messages of these sequences are to be delivered again as if for the first time, when committed; those that are not dead, or on their
// way already, are passed over. *ret_count: how many. ERR_LIMIT: too many messages are out; ERR_AGAIN: the consumer is being moved.
int engine_redrive(struct engine *engine, struct consumer *consumer, const uint64_t *sequences, size_t count,
                   struct engine_time now, size_t *ret_count, uint64_t *ret_index) MUST_USE;

struct publish {
    struct bytes subject; // len 0: the stream's name
    struct bytes reply;
    struct bytes headers;
    struct bytes payload;
    struct hash128 dedupe; // both 0: none
};

struct publish_result {
    uint64_t index; // answer when this index is committed (of a duplicate in flight: the original's or later)
    uint64_t sequence;
    bool duplicate;
};

// ERR_TOO_BIG, ERR_IDS_FULL, ERR_FULL (see stream_config.discard_new), admission errors; ERR_AGAIN also after a start, until it can be told whether it is a duplicate
// (engine_ids_await()). The hot path.
int engine_publish(struct engine *engine, struct stream *stream, const struct publish *publish, struct engine_time now,
                   struct publish_result *ret_result);
// Hints: what is said here follows before long, so that the memory that it needs is on its way by then. Messages of these streams are
// applied; a publish with this id comes.
void engine_streams_ahead(const struct engine *engine, const uint32_t *ids, size_t count);
void engine_publish_ahead(const struct engine *engine, const struct stream *stream, struct hash128 dedupe);

// --- consumers and members ------------------------------------------------------------------------------------------

enum consumer_start {
    CONSUMER_START_NEW,
    CONSUMER_START_LAST,
    CONSUMER_START_FIRST,
    CONSUMER_START_SEQUENCE,
    CONSUMER_START_TIME
};

struct consumer_config {
    struct bytes name; // unique within the stream; the adapter's key
    uint8_t protocol;  // ENGINE_PROTOCOL_*
    bool durable;      // stays without members
    bool group;        // several members share it; else at most one
    enum consumer_start start;
    uint64_t start_sequence; // SEQUENCE: clamped to what is there (ST-B05)
    uint64_t start_time_ns;  // TIME: wall clock, clamped likewise
    struct bytes data;       // the adapter's, up to ENGINE_DATA_MAX
};

struct member_config {
    uint32_t max_in_flight; // >= 1; redeliveries go beyond it (ST-B03)
    uint64_t ack_wait_ns;   // >= 1 ms
    struct bytes data;      // the adapter's, up to ENGINE_DATA_MAX
};

struct consumer_state {
    uint32_t id;
    struct consumer_config config; // start fields as resolved; borrowed name and data
    uint64_t next_sequence;        // the next to be delivered for the first time
    uint64_t ack_floor;            // everything up to here is finished
    uint64_t pending;              // delivered, not finished
    uint64_t parked;               // of them with no member; see engine_options.max_parked
    uint64_t waiting;              // messages never delivered yet
    uint64_t redelivered;          // deliveries beyond the first, ever
    uint32_t members;
    // Bytes of the records of `pending` and `waiting`. What was there when the server started counts with the stream's average
    // until it is delivered.
    uint64_t pending_bytes, waiting_bytes;
    uint64_t oldest_pending, oldest_waiting; // sequences, 0: none; see engine_message_time()
    uint64_t dead, dead_bytes;               // remembered as dead, and still stored; consumer_dead_list()
    uint64_t dead_ever;
    uint64_t delayed, delayed_bytes; // of `pending`: not before their time
    bool paused;                     // it alone, not its stream
    uint64_t paused_until_ns;        // wall clock; 0: not paused, or until it is resumed
};

enum pending_place {
    PENDING_WITH_MEMBER,
    PENDING_FOR_REDELIVERY, // as soon as a member can take it
    PENDING_HELD_BACK,      // not before its deadline
    PENDING_RUN_OUT,        // its deliveries ran out, or it was terminated; that is being recorded
};

// A message that is delivered and not finished.
struct pending_info {
    uint64_t sequence;
    uint32_t member;   // id of the one that has it or had it last; 0: nobody known
    uint32_t attempts; // deliveries so far
    enum pending_place place;
    uint32_t size;         // bytes, as in consumer_state
    uint64_t delivered_ns; // wall clock of the newest delivery; 0: before the server started
    uint64_t deadline_ns;  // WITH_MEMBER: when the ack wait is over, HELD_BACK: the delay; wall clock; 0: none runs
};

// A message that is finished because it is dead.
struct dead_info {
    uint64_t sequence;
    uint32_t member;   // id of the one that had it last; 0: nobody known. It may be gone
    uint32_t attempts; // deliveries
    enum dead_reason reason;
    uint32_t size;      // bytes
    uint64_t since_ns;  // wall clock
    struct bytes text;  // given with engine_terminate(); borrowed
    uint32_t stream;    // id of the stream that got the message; 0: none
    uint64_t copied_as; // sequence there
};

struct consumer *engine_consumer_find(struct engine *engine, struct stream *stream, struct bytes name);
// TIME may need a read: the answer comes through `done` with the consumer (or NULL and an error), at once or on a later
// turn. `owner` is handed back. Otherwise as engine_stream_create().
typedef void engine_consumer_done(void *owner, int error, struct consumer *consumer, uint64_t index);
void engine_consumer_create(struct engine *engine, struct stream *stream, const struct consumer_config *config,
                            struct engine_time now, engine_consumer_done *done, void *owner);
// The consumer begins anew where one that is created would: what is out is forgotten, late acknowledgements are ignored, what is dead
// stays so. From the proposal on nothing is delivered and no verdict taken until that is committed. As engine_consumer_create(); ERR_AGAIN:
// one is under way, or the consumer is not committed.
void engine_consumer_seek(struct engine *engine, struct consumer *consumer, enum consumer_start start,
                          uint64_t sequence, uint64_t time_ns, struct engine_time now, engine_consumer_done *done,
                          void *owner);
// Gives up waiting for every create and seek of this owner.
void engine_consumer_create_cancel(struct engine *engine, void *owner);
int engine_consumer_delete(struct engine *engine, struct consumer *consumer, struct engine_time now,
                           uint64_t *ret_index);

// The member takes part once committed, and only while MEMBER_READY; it begins MEMBER_GONE. Member ids are unique in the shard.
// ERR_EXISTS: the consumer is no group and has a member; ERR_LIMIT.
int engine_member_add(struct engine *engine, struct consumer *consumer, const struct member_config *config,
                      struct engine_time now, struct member **ret_member, uint64_t *ret_index);
// Its unfinished messages go to other members at once (or stay with a durable). A consumer that is not durable goes with its
// last member. `delete_durable`: the durable goes with its last member too (STAN unsubscribe, ST-B08).
int engine_member_remove(struct engine *engine, struct member *member, bool delete_durable, struct engine_time now,
                         uint64_t *ret_index);

// In one step, of which either both is in the log or nothing: the member is removed, and another takes its place and gets what that one
// had. Errors of both.
int engine_member_replace(struct engine *engine, struct member *member, const struct member_config *config,
                          struct engine_time now, struct member **ret_member, uint64_t *ret_index);

enum member_state {
    MEMBER_GONE, // no interest: nothing is sent; after disconnect_grace its messages are released
    MEMBER_READY,
    MEMBER_CONGESTED, // its connection is slow: nothing is sent, its messages stay
};
void engine_member_set_state(struct engine *engine, struct member *member, enum member_state state,
                             struct engine_time now);
// A suspect member (failed heartbeat, ST-B15) is chosen only when no other can be.
void engine_member_set_suspect(struct engine *engine, struct member *member, bool suspect);
bool member_is_suspect(const struct member *member);

// Any member's message may be acknowledged through any member (ST-B09). 0, or ERR_NOT_FOUND when it is not pending.
int engine_ack(struct engine *engine, struct consumer *consumer, uint64_t sequence, struct engine_time now);
// A hint, as those before engine_streams_ahead(): these sequences are acknowledged through members with these ids, up to ENGINE_FIND_MAX.
void engine_acks_ahead(const struct engine *engine, const uint32_t *members, const uint64_t *sequences, size_t count);

// Gives a message back that is with a member: it goes out again after the delay. `member`: who says so; NULL: whoever has it.
// `count`: the delivery was an attempt. Sequence 0: all that the member has. 0, or ERR_NOT_FOUND when the message is not with that
// member (any more).
int engine_nak(struct engine *engine, struct consumer *consumer, const struct member *member, uint64_t sequence,
               uint64_t delay_ns, bool count, struct engine_time now);
// The ack wait of a message that is with a member begins anew. As engine_nak().
int engine_extend(struct engine *engine, struct consumer *consumer, const struct member *member, uint64_t sequence,
                  struct engine_time now);
// The message is dead: it will not be delivered again. 0, or ERR_NOT_FOUND when it is not pending.
int engine_terminate(struct engine *engine, struct consumer *consumer, uint64_t sequence, struct bytes reason,
                     struct engine_time now);

struct member *engine_member_by_id(struct engine *engine, uint32_t id);
uint32_t stream_id(const struct stream *stream);
uint32_t consumer_id(const struct consumer *consumer);
uint32_t member_id(const struct member *member);
struct consumer *member_consumer(const struct member *member);
const struct member_config *member_config_get(const struct member *member); // borrowed data
uint32_t member_in_flight(const struct member *member);
void member_set_context(struct member *member, void *context);
void *member_context(const struct member *member);
struct stream *consumer_stream(const struct consumer *consumer);
struct bytes consumer_name_get(const struct consumer *consumer); // borrowed
void consumer_state_get(const struct consumer *consumer, struct consumer_state *ret_state);
void consumer_tally_get(const struct consumer *consumer, struct tally *ret);
// Pending messages in order of sequence, from `from` on; at most `max`. Returns how many.
size_t consumer_pending_list(const struct consumer *consumer, uint64_t from, struct pending_info *ret, size_t max);
// The same for dead ones.
size_t consumer_dead_list(const struct consumer *consumer, uint64_t from, struct dead_info *ret, size_t max);
// When the first message from `sequence` on was published. ERR_AGAIN: that is being read, ask in a while; ERR_NOT_FOUND.
int engine_message_time(struct engine *engine, const struct stream *stream, uint64_t sequence, uint64_t *ret_time_ns);
// Sequences, times and sizes of what is stored, in order of sequence, from `from` on; at most `max`. Returns how many. 0 and *ret_wait:
// that is being read, ask in a while.
size_t engine_message_list(struct engine *engine, const struct stream *stream, uint64_t from, struct engine_size *ret,
                           size_t max, bool *ret_wait);
// By id. NULL: none, or its end is proposed.
struct consumer *engine_consumer_by_id(struct engine *engine, uint32_t id);
struct consumer *stream_consumer_next(struct stream *stream, struct consumer *after);
struct member *consumer_member_next(struct consumer *consumer, struct member *after);
// As engine_stream_after().
struct consumer *engine_consumer_after(struct engine *engine, struct stream *stream, uint32_t id);
struct member *engine_member_after(struct engine *engine, struct consumer *consumer, uint32_t id);
enum member_state member_state_get(const struct member *member);
// What is out with a member, in the order in which its ack waits end; at most `max`. Returns how many.
size_t member_pending_list(const struct member *member, struct pending_info *ret, size_t max);

// --- what was in another store (import.c) ---------------------------------------------------------------------------
//
// An import or a restore creates streams, consumers and members like everybody else, in a shard that delivers nothing meanwhile, and
// gives them here what they had: messages first, then positions.

// Stores a message under the number it had, above the last (what lies between is a gap), and with its time, which is taken as now if
// it lies in the future and as that of the message before if it lies before that. Limits do not refuse it. ERR_INVALID: the sequence
// is not above the last; ERR_TOO_BIG, admission errors.
int engine_import_message(struct engine *engine, struct stream *stream, const struct publish *publish,
                          uint64_t sequence, uint64_t time_ns, struct engine_time now, uint64_t *ret_index) MUST_USE;

// A message that was delivered and is not finished.
struct import_pending {
    uint64_t sequence;
    uint32_t attempts; // deliveries so far, at least 1
    uint32_t member;   // who has it: id of a member of the consumer; 0: nobody
    uint64_t until_ms; // nobody has it: not before then, ms since 1970; 0: at once
};

// Where a consumer stands that was just created, with its members: everything from where it begins to before next_sequence was
// delivered, and is finished but for `pending`, in increasing order of sequence. Once. ERR_INVALID: beyond what the stream has, or
// out of order; ERR_LIMIT: more than can be out; admission errors. Then nothing has changed.
int engine_import_position(struct engine *engine, struct consumer *consumer, uint64_t next_sequence,
                           const struct import_pending *pending, size_t count, struct engine_time now,
                           uint64_t *ret_index) MUST_USE;

// It remembers as dead a message of its that is finished: after engine_import_position(), and when the stream of the copy is there, if it
// names one. ERR_INVALID: not finished, or a text that is too long; admission errors.
int engine_import_dead(struct engine *engine, struct consumer *consumer, const struct dead_info *info,
                       struct engine_time now) MUST_USE;

// Images, as of a checkpoint (RECORDS.md), of what is committed now, with what somebody did to it: framed and padded. False: it is only proposed, and nothing was
// appended. A backup is made of them. `last`: as if the stream had ended there, at a message that it had.
bool engine_image_stream(struct stream *stream, uint64_t last, struct buffer *out);
bool engine_image_consumer(struct consumer *consumer, struct buffer *out);

// A stream of which this is the image, without messages. *ret_last: the last sequence that it had; engine_import_last() when its
// messages are there. ERR_CORRUPT: no image of one; errors of engine_stream_create().
int engine_import_stream(struct engine *engine, const struct record *image, struct engine_time now,
                         struct stream **ret_stream, uint64_t *ret_last) MUST_USE;
// The next message gets a number behind this one, also if the last messages that had numbers up to it are not there any more; nothing
// if it gets such a number anyway. Admission errors.
int engine_import_last(struct engine *engine, struct stream *stream, uint64_t sequence,
                       struct engine_time now) MUST_USE;

// What somebody did to the stream (consumer NULL) or the consumer that was imported before: a pause. *ret_edit: if the stream was given its
// configuration by hand, that, for engine_stream_edit() when all its messages and consumers are there: `image` is the stream's; its texts
// are borrowed from there. ERR_CORRUPT; errors of engine_stream_pause().
int engine_import_control(struct engine *engine, struct stream *stream, struct consumer *consumer,
                          const struct record *control, const struct record *image, struct engine_time now,
                          struct stream_edit *ret_edit) MUST_USE;

// How a consumer comes out of its image.
struct import_image {
    // Gives a member of it other data, borrowed until the next call. False: this member does not come over.
    bool (*translate)(void *owner, const struct consumer_config *consumer, struct member_config *member);
    // Each that it remembers as dead, for engine_import_dead(): its member is one of here, its stream still one of there. But for those
    // behind a position that was moved back since they died: the consumer gets these anew.
    void (*on_dead)(void *owner, struct consumer *consumer, const struct dead_info *info);
    void *owner;
    uint32_t stream;           // its stream's id there, of which it must say that it is a consumer
    struct consumer *consumer; // out: NULL: it is not durable, and has no member that comes over
    uint32_t members;          // out
    uint64_t pending;          // out
};
// With members, position, what is pending, how often it was delivered and how long it waits before it goes out again. ERR_CORRUPT: no image
// of one; errors of engine_consumer_create(), engine_member_add() and engine_import_position().
int engine_import_consumer(struct engine *engine, struct stream *stream, const struct record *image,
                           struct engine_time now, struct import_image *ret_image) MUST_USE;

// --- driven by the shard --------------------------------------------------------------------------------------------

// Applies a committed record of one of the engine's kinds. `index`: its entry's. `covered`: see store_handler.replay. 0, or
// ERR_CORRUPT when the record does not decode or contradicts the state (recovery refuses; live it cannot happen).
int engine_apply(struct engine *engine, const struct record *record, uint64_t index, bool covered);
// After the last replay: members are told to their adapters, graces begin.
void engine_recovered(struct engine *engine, struct engine_time now);
// What was proposed with an index above last_good is not in the log: the tentative tail is dropped. Deliveries, acknowledgements and
// whatever else was said about messages are recorded again, because they did happen. Pointers to objects proposed in it are dead: their holders go first.
void engine_drop_tail(struct engine *engine, uint64_t last_good);
// Is this message stored (committed)? For roll-over.
bool engine_is_wanted(const struct engine *engine, uint32_t stream, uint64_t sequence);
uint64_t engine_first_wanted(const struct engine *engine, uint32_t stream);
// Of numbers of which there is no trace, from `first` to before `end` or the stream's: has it so few messages that they may never have
// been in use, as in the store that it came from? If not, they are damage.
bool engine_has_gap(const struct engine *engine, uint32_t stream, uint64_t first, uint64_t end);
// Deliveries, evictions, deadlines, then the records of this turn's deliveries and acks. True: more is left to do at once.
bool engine_turn_end(struct engine *engine, struct engine_time now);
uint64_t engine_next_deadline_ms(const struct engine *engine);
// The end is near: nothing is delivered and nothing read any more (what is being read is given up, creates that wait for a seek
// fail with ERR_CLOSED). Acknowledgements are still taken and recorded.
void engine_quiesce(struct engine *engine);

// Checkpoint images, as store_handler asks for them.
void engine_checkpoint_begin(struct engine *engine, bool base);
int engine_checkpoint_next(struct engine *engine, uint64_t index, struct buffer *out, size_t max_bytes);
int engine_restore(struct engine *engine, const struct record *image);
void engine_save_ids(struct engine *engine, uint64_t first_index, uint64_t last_index, uint64_t *ret_until_ns,
                     struct buffer *out);
// Takes saved ids back, the newest first, a bounded number from the end; see store_handler. ERR_CORRUPT.
int engine_restore_ids(struct engine *engine, struct bytes ids, uint64_t last_index, size_t *ret_left);
// So many bytes of saved ids are not back yet: engine_publish() with an id that is not known says ERR_AGAIN. 0: all are.
void engine_ids_await(struct engine *engine, uint64_t bytes);

struct engine_stats {
    uint64_t streams, consumers, members, messages, bytes;
    uint64_t published, duplicates, delivered, redelivered, acked, dead;
    uint64_t pending, ids;
    uint64_t ids_bytes, pool_bytes; // memory: of the ids; of what is out with members or on its way to them
    uint64_t unreadable;            // messages that consumers passed over because they are damaged
    uint64_t not_copied;            // of `dead`: engine_adapter.not_copied()
    // Recovery, after damage: objects that made room for a newer one of the same name, because their end was lost; streams that
    // serve as weir.lost.stream.<id>, without limits, because their creation was lost.
    uint64_t replaced, nameless;
};
void engine_stats_get(const struct engine *engine, struct engine_stats *ret_stats);
// Asserts the invariants over everything; for tests.
void engine_check(const struct engine *engine);
