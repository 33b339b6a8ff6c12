// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine import stream consumer member pending redelivery death dead delivery journal codec image control seek redrive turn
// What the files of the engine share. Everything hangs on struct engine; streams own consumers, consumers own members and pending
// messages. Whatever exists has a committed flag: false from its proposal to its record's apply.
//
// A pending message is in exactly one place:
//
//            deliver                 ack                  turn end: record    commit
//   (none) ─────────► OUT ────────────────► ACKED (acks) ───────────────► ACKED ─────► (none)
//                    │ │ ▲ deliver            ▲
//     ack wait, gone,│ │ │                    │ ack (late), also of what is DELAYED or DYING
//     given back     ▼ │ │                    │
//        ┌───────► WAITING ──► READING ───────┤
//        │           │ │          │           │
//        │ due       │ ▼          │ input/output error
//        └──────── DELAYED ◄──────┘           │
//                    │                        │
//                    ▼ no delivery is left, terminated
//                  DYING ─────────────────────┴────────────► (none), by its DEAD record
//
// OUT: in its member's list, by deadline. WAITING: in the consumer's heap, by sequence. DELAYED: in another, by time. READING: a fetch
// has it. DYING: its struct death has it. ACKED: first in the consumer's list of acks to be recorded, then in no list.
#pragma once

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/map_u64.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/pool.h"
#include "base/prefetch.h"
#include "base/seqset.h"
#include "base/varint.h"
#include "base/wheel.h"
#include "stream/choice.h"
#include "stream/dedupe.h"
#include "stream/engine.h"
#include "stream/roster.h"
#include "stream/tally.h"

// No record names a number beyond it, and nothing is published behind it: what is counted on from it has room.
#define SEQUENCE_MAX (SEQSET_MAX / 2)
// The highest id of a stream, consumer or member, as there must be a next one.
#define ENGINE_ID_MAX (UINT32_MAX - 1)

enum {
    ENGINE_PENDING_MAX = 1 << 22,         // engine_options.max_pending, and the most that a record may be about
    ENGINE_PARKED_MAX = 100000,           // engine_options.max_parked
    ENGINE_READ_AHEAD = 64,               // reads under way per consumer,
    ENGINE_READ_AHEAD_BYTES = 256 * 1024, // about as much as these read at most, where messages are large,
    ENGINE_READ_FEW = 4,                  // unless it is fewer than that
    ENGINE_READS_MAX = 512,               // of all consumers, but for one of each
    ENGINE_SLICE = 64,                    // deliveries of one consumer before the next has its turn
    ENGINE_RETRY_MS = 1000,               // after an input/output error
    ENGINE_REFUSED_MS = 50,               // until a member that refused a delivery is tried again
    ENGINE_RUNS_MAX = 65536,              // unrecorded runs of a consumer when the log takes nothing any more
    ENGINE_DEAD_MAX = 10000,              // messages that a consumer remembers as dead; the oldest are forgotten
    ENGINE_ALL_DEAD_MAX = 1 << 20,        // of all consumers
    DEAD_RECORD_MAX = 8 * 10 + ENGINE_REASON_MAX, // bytes of the body of a DEAD record
    ENGINE_AGE_LOOK_MS = 60000,                   // at least this often, because the wall clock may jump
};

// What a tail_op was, to take it back.
enum tail_kind {
    TAIL_STREAM_CREATE,
    TAIL_STREAM_DELETE,
    TAIL_CONSUMER_CREATE,
    TAIL_CONSUMER_DELETE,
    TAIL_MEMBER_ADD,
    TAIL_MEMBER_REMOVE,
    TAIL_STREAM_UPDATE,
    TAIL_CONSUMER_SEEK,
};

// A proposal that is not committed yet.
struct tail_op {
    struct list link; // engine's tail
    uint64_t index;
    enum tail_kind kind;
    void *object;       // borrowed: the stream, consumer or member
    bool with_consumer; // TAIL_MEMBER_REMOVE: its consumer goes too
};

struct stream_totals {
    uint64_t first_sequence, last_sequence; // first = last + 1: empty
    uint64_t last_time_ns;
    uint64_t messages, bytes;
};

// The totals of a stream's tail as they are after the proposals of one entry.
struct stream_mark {
    struct list link; // stream's marks
    uint64_t index;
    struct stream_totals totals;
};

// Of a stream or consumer.
struct pause {
    bool on;
    uint64_t until_ms;        // wall clock; 0: no end
    struct wheel_timer timer; // for a look at whether it is over
};

struct stream {
    // What every message needs comes first and lies side by side; see stream_ahead().
    struct engine *engine; // borrowed
    uint32_t id;
    bool committed, deleting;
    bool held_back;                  // limits: over, but what would go is not finished; looked at when a floor moves
    bool finished_known;             // `finished` is right
    uint64_t evicted_bytes;          // of the messages before the first, since the server started
    struct stream_totals state;      // committed
    struct stream_totals tail;       // with what is proposed
    struct list marks;               // stream_mark, by index
    struct stream_mark own_marks[2]; // those that suffice nearly always; not in use while in no list
    struct list dirty_link;          // engine's dirty or image queue
    struct list active_link;         // engine's active: messages came or went
    uint64_t image_index;            // records up to here are in the restored image
    struct tally tally;              // its own, and what consumers did that are none any more
    struct pause pause;
    struct stream_config config; // its name lies in `key`; dead_letter is owned
    bool sizes_wait;             // limits: the store is reading
    uint32_t updates;            // proposed and not committed: until then the limits that end take nothing away
    uint64_t finished;           // discard_new: every consumer has finished what is up to here; 0: nothing
    char *key;                   // owned: account, name; see engine_key()
    uint32_t member_count;       // without those being removed
    struct map consumer_names;   // those not being deleted
    struct list consumers;       // by id
    uint32_t consumer_count;
    struct list link;        // engine's streams, by id
    uint64_t dirty_epoch;    // engine\'s when it became dirty
    struct list limits_link; // engine's limited: over a limit, or oldest message to be looked at
    struct wheel_timer age_timer;
    bool edited;                // see stream_state
    uint64_t inactivity_ns;     // there too
    struct stream_purge *purge; // borrowed; NULL: none
};

enum pending_state {
    PENDING_NONE,
    PENDING_OUT,
    PENDING_WAITING,
    PENDING_DELAYED,
    PENDING_READING,
    PENDING_DYING,
    PENDING_ACKED
};

struct pending {
    uint64_t sequence;
    struct member *member; // borrowed; OUT only
    union {
        uint64_t deadline_ns; // OUT; UINT64_MAX: stays until its member is back
        uint64_t index;       // ACKED: of the record; 0: not recorded yet
        struct death *death;  // DYING; owned
    };
    union {
        struct list link;      // OUT, ACKED
        struct heap_node node; // WAITING, by sequence; DELAYED, by ns: monotonic, in recovery wall clock
    };
    uint32_t holder;        // id of the member that has it or had it last; 0: none
    uint32_t attempts : 24; // deliveries so far
    uint32_t state : 8;
    uint32_t size;         // bytes of its record, or a guess; 0 when ACKED
    uint64_t delivered_ns; // wall clock; 0: before the server started
};

// What happened to messages, to be recorded in this order: they were delivered, or given back.
struct journal_run {
    uint64_t first, last;
    uint32_t member, attempt; // delivered: to whom, for the how manieth time
    bool returned;            // `attempt` deliveries count so far, and
    uint64_t until_ms;        // it goes out again from then on (wall clock); 0: at once
    uint64_t index;           // of the record, when there is one
};

// Numbers that are not in use, or cannot be read any more, and are passed over all at once: acknowledged, as far as the log is concerned.
struct passage {
    uint64_t first, last;
    uint64_t index; // of the record; 0: not recorded yet
};

// A message on its way from the store to a member.
struct fetch {
    struct engine_read read;
    struct consumer *consumer; // borrowed
    struct member *member;     // borrowed, a place reserved; NULL: gone meanwhile
    struct pending *pending;   // redelivery; NULL: the first time, or acknowledged meanwhile
    bool first_time;
    bool done;
    struct list link; // consumer's, in order of delivery
};

struct consumer {
    // What every message and its acknowledgement need comes first and lies side by side; see consumer_ahead().
    struct stream *stream; // borrowed
    uint32_t id;
    bool committed, deleting;
    bool seeking; // its seek is proposed: nothing that happens meanwhile would be remembered, so nothing does
    uint64_t next_sequence;
    uint64_t pick_sequence; // the next to be read: >= next_sequence
    uint64_t ack_floor;
    uint64_t acked_max;     // no acknowledged sequence is above this
    struct map_u64 pending; // sequence -> struct pending
    uint32_t acked_count;   // of them ACKED
    uint32_t parked;        // of them WAITING, DELAYED, READING, DYING
    uint64_t work_place;    // in the engine's work, may have something to deliver or to trim; 0: it is not there
    struct list fetches;
    uint32_t fetch_count;
    uint32_t member_count; // without those being removed
    struct list members;   // by id
    struct list acks;      // ACKED, to be recorded
    struct journal_run
        *runs; // owned; from run_head to run_written on their way, from there to run_count to be recorded
    uint32_t run_head, run_written, run_count, run_cap;
    struct list journal_link; // engine's journal: has runs or acks
    struct list dirty_link;
    struct deaths *deaths;               // owned; NULL: nothing died here since the start
    struct dead_list *dead;              // owned; NULL: nothing ever died here
    struct passage *passage;             // owned; NULL: none. Until it is committed nothing goes out for the first time
    struct choice choices[CHOICE_KINDS]; // READY members
    uint64_t image_index;
    uint64_t redelivered;
    struct tally tally;
    uint64_t pending_bytes;  // sum of the sizes in `pending`
    uint64_t position_bytes; // where next_sequence is: bytes as in stream.evicted_bytes and on from there
    struct seqset acked;     // above the floor, committed
    struct heap redelivery;  // WAITING
    struct pause pause;
    struct consumer_config config; // name and data lie in `text`
    char *text;                    // owned
    uint64_t claimed;     // not 0: what is here and behind will not be finished any more when claim_index is committed
    uint64_t claim_index; // of a seek, or of what is redriven
    struct heap delayed;  // DELAYED
    uint64_t delayed_bytes; // of those that are DELAYED
    struct wheel_timer delayed_timer;
    struct list link;         // stream's
    uint64_t dirty_epoch;     // engine\'s when it became dirty
    struct list crowded_link; // engine's crowded: too many messages are out for a first delivery
};

struct member {
    // What a delivery and its acknowledgement need comes first: two lines, up to the link of the timer. See member_ahead().
    struct consumer *consumer; // borrowed
    void *context;
    uint32_t id;
    bool committed, removing, suspect;
    bool recovered; // the deadlines of what it has begin when it is READY
    bool refused;   // CONGESTED because it refused a delivery: tried again by timer
    enum member_state state;
    uint32_t in_flight;
    uint32_t reserved; // fetches for it
    struct choice_entry entry;
    struct member_config config;    // data is owned
    struct list out;                // pending, by deadline
    struct wheel_timer ack_timer;   // set, not after the first deadline, while anything is out with a deadline
    struct wheel_timer state_timer; // GONE: grace; refused: retry
    uint64_t gone_ms;               // GONE: since when
    struct list link;               // consumer's
};

// engine_consumer_create() or engine_consumer_seek() waiting for the store's.
struct create_request {
    struct engine *engine;
    struct engine_read read;
    struct stream *stream;         // borrowed
    uint32_t consumer;             // id of the one that is to be moved; 0: one is to be created
    struct consumer_config config; // name and data lie in `text`
    char *text;                    // owned
    engine_consumer_done *done;
    void *owner;
    struct list link;
};

struct gone {
    struct list link;
    uint32_t id;
    uint16_t image_kind;
};

// A TURN record that is being made; see turn.c.
struct turn {
    bool wanted;    // more than one consumer has something to say
    bool open;      // there are parts
    uint64_t index; // of the record, while it is open
    struct buffer body;
};

struct engine {
    struct engine_options options;
    struct engine_adapter adapters[ENGINE_PROTOCOL_COUNT];
    struct engine_time now;
    bool live;                                        // recovery is over
    bool quiet;                                       // engine_quiesce()
    uint64_t last_index;                              // of the newest record appended
    size_t fresh;                                     // messages published since the last turn\'s end
    bool journal_refused;                             // the log took not all of the last turn's records
    uint32_t next_stream, next_consumer, next_member; // an unknown id below these was deleted
    uint32_t image_next_stream;                       // of the streams that the checkpoint under way can have images of
    uint32_t restored_streams; // the same of those restored: in recovery an unknown one from here on lost its creation
    struct map stream_names;   // those not being deleted
    struct map_u64 streams, consumers, members; // by id
    struct list stream_list;                    // by id
    struct dedupe dedupe;
    struct tally_book tallies;
    uint64_t replay_ms;         // recovery: newest record time
    uint64_t newest_ns;         // the newest of images and of what was published since
    uint64_t recovered_wall_ms; // when recovery was over: engine_record_time_ms() and monotonic time
    uint64_t recovered_ms;
    bool ids_awaited; // engine_ids_await()
    struct wheel wheel;
    struct list tail; // tail_op, by index
    struct list active, limited, crowded, journal, requests;
    struct roster work;                                     // consumers
    struct list dirty_streams, dirty_consumers, gone;       // since the last checkpoint began
    struct list image_streams, image_consumers, image_gone; // still to be written in this one
    bool image_counters;
    uint64_t epoch;    // checkpoints begun; what is dirty since an older one waits in the queue of the newest
    size_t dead_count; // messages remembered as dead
    struct pool pendings, fetches, marks, ops, buckets;
    struct buffer scratch;
    struct turn turn;
    struct engine_stats stats;
};

// --- engine.c
// Appends a record; the caller was admitted. Returns its index.
uint64_t engine_append(struct engine *engine, uint16_t kind, uint32_t object, struct bytes body);
int engine_admit(struct engine *engine, size_t body_size, bool reserved);
const struct engine_adapter *engine_adapter_of(const struct engine *engine, const struct consumer *consumer);
void engine_time_set(struct engine *engine, struct engine_time now);
// The wall clock, but one that went back counts as the newest record's time. In ms.
uint64_t engine_record_time_ms(const struct engine *engine);
static inline uint64_t engine_now_ms(const struct engine *engine)
{
    return engine->now.mono_ns / 1000000;
}

// --- engine_tail.c
void engine_tail_push(struct engine *engine, enum tail_kind kind, void *object, uint64_t index, bool with_consumer);
// Its record was applied: takes the oldest operation, which is this one, off the tail. False: there is no tail, as in recovery.
bool engine_tail_commit(struct engine *engine, enum tail_kind kind, const void *object);

// --- stream.c
struct stream *stream_new(struct engine *engine, uint32_t id, const struct stream_config *config);
// Frees it with its consumers, which are told to their adapters.
void stream_free(struct stream *stream);
// The name stays; the dead letter stream's is copied.
void stream_config_set(struct stream *stream, const struct stream_config *config);
void stream_name_add(struct stream *stream);
void stream_name_remove(struct stream *stream);
// The tail changed with an entry.
void stream_mark(struct stream *stream, uint64_t index);
void stream_drop_marks(struct stream *stream, uint64_t last_good);
// A record of the entry was applied: no mark before it is needed any more.
void stream_commit_marks(struct stream *stream, uint64_t index);
// A message of it is published or applied before long.
void stream_ahead(const struct stream *stream);
void stream_dirty(struct stream *stream);
void stream_activate(struct stream *stream);
int stream_apply_create(struct engine *engine, const struct record *record, uint64_t index);
int stream_apply_update(struct engine *engine, const struct record *record, uint64_t index);
int stream_apply_delete(struct engine *engine, const struct record *record, uint64_t index);
// The object of a record. NULL: skip the record, because the object was deleted or its image is newer. ERR_CORRUPT: never heard of.
int stream_of_record(struct engine *engine, uint32_t id, uint64_t index, struct stream **ret_stream);

// --- stream_publish.c
// May the message be appended, and with it `more` bytes of other records? 0, or an error of engine_publish().
int stream_publish_admit(struct stream *stream, const struct publish *publish, size_t more);
// Appends what was admitted, behind the tail. The id counts if `unique`.
void stream_publish_put(struct stream *stream, const struct publish *publish, bool unique,
                        struct publish_result *ret_result);
static inline size_t stream_publish_size(const struct publish *publish)
{
    return message_record_size(publish->subject.len, publish->reply.len, publish->headers.len, publish->payload.len);
}
int stream_publish_apply(struct engine *engine, const struct record *record, uint64_t index, bool covered);
// Can this be a record? 0 or ERR_TOO_BIG.
int stream_publish_check(const struct publish *publish);
// Appends a message of this record size behind the tail; returns its index. The caller was admitted.
uint64_t stream_publish_append(struct stream *stream, const struct message_record *message, size_t size);

// --- stream_limits.c
void stream_limits_look(struct stream *stream);
// Makes room for one more message of this record size where only what is finished may go. ERR_FULL, ERR_TOO_BIG: nothing went for it;
// ERR_AGAIN: the store is reading, or more has to go than one call may.
int stream_limits_room(struct stream *stream, size_t size);
// A consumer's floor moved, or it came or goes.
void stream_limits_floor_moved(struct stream *stream);
// Messages from this one on will not be finished any more when the record is committed: none of them goes before.
void stream_limits_claim(struct consumer *consumer, uint64_t sequence, uint64_t index);
// The record is committed. Dropped: everything behind `index` is not in the log.
void stream_limits_claim_end(struct consumer *consumer, uint64_t index);
void stream_limits_claim_drop(struct consumer *consumer, uint64_t last_good);
bool stream_limits_step(struct engine *engine, size_t *budget);
// A purge is over; nothing if there is none.
void stream_limits_purge_end(struct stream *stream, int error);
int stream_limits_apply(struct engine *engine, const struct record *record, uint64_t index);

// --- import.c
int import_apply_last(struct engine *engine, const struct record *record, uint64_t index);

// --- consumer.c
struct consumer *consumer_new(struct stream *stream, uint32_t id, const struct consumer_config *config,
                              uint64_t next_sequence);
void consumer_free(struct consumer *consumer);
void consumer_name_add(struct consumer *consumer);
void consumer_name_remove(struct consumer *consumer);
void consumer_dirty(struct consumer *consumer);
void consumer_wake(struct consumer *consumer);
// A message of it is delivered, acknowledged or recorded before long.
void consumer_ahead(const struct consumer *consumer);
int consumer_apply_create(struct engine *engine, const struct record *record, uint64_t index);
int consumer_apply_delete(struct engine *engine, const struct record *record, uint64_t index);
int consumer_of_record(struct engine *engine, uint32_t id, uint64_t index, struct consumer **ret_consumer);

// --- consumer_view.c
// Sizes that nobody knows are guessed from the stream's average. Only for a consumer that is new or was recovered.
void consumer_guess_sizes(struct consumer *consumer);
// A message of this size was delivered for the first time.
void consumer_passed(struct consumer *consumer, uint32_t size);

// --- control.c
int control_apply_stream_pause(struct engine *engine, const struct record *record, uint64_t index);
int control_apply_consumer_pause(struct engine *engine, const struct record *record, uint64_t index);
int control_apply_edited(struct engine *engine, const struct record *record, uint64_t index);
bool control_is_paused(const struct consumer *consumer);
// Recovery is over: pauses end from now on.
void control_stream_recovered(struct stream *stream);
void control_consumer_recovered(struct consumer *consumer);
// The IMAGE_CONTROL behind an image; nothing if there is nothing to say.
void control_put_stream(const struct stream *stream, uint64_t index, struct buffer *out);
void control_put_consumer(const struct consumer *consumer, uint64_t index, struct buffer *out);
int control_get_image(struct engine *engine, const struct record *image);
// What such an image says.
struct control_image {
    bool paused, edited;
    uint64_t until_ms, inactivity_ns;
};
int control_read_image(const struct record *image, struct control_image *ret);

// --- seek.c
int seek_propose(struct consumer *consumer, uint64_t next_sequence, uint64_t *ret_index);
int seek_apply(struct engine *engine, const struct record *record, uint64_t index);

// --- redrive.c
int redrive_apply(struct engine *engine, const struct record *record, uint64_t index);

// --- consumer_start.c
// Creates waiting for a seek on this stream fail with the error.
void consumer_start_cancel_stream(struct stream *stream, int error);

// --- member.c
struct member *member_new(struct consumer *consumer, uint32_t id, const struct member_config *config);
void member_free(struct member *member);
// Tells the adapter that it goes, if it ever was there.
void member_tell_removed(struct member *member);
void member_choice_update(struct member *member);
// A message of it is delivered or acknowledged before long.
void member_ahead(const struct member *member);
void member_recovered(struct member *member);
void member_refused(struct member *member);
// The stream has another grace: one that runs ends earlier or later.
void member_grace_changed(struct member *member);
int member_apply_add(struct engine *engine, const struct record *record, uint64_t index);
int member_apply_remove(struct engine *engine, const struct record *record, uint64_t index);
struct member *member_in(const struct consumer *consumer, uint32_t id);
bool member_config_is_valid(const struct member_config *config);

// --- pending.c
struct pending *pending_find(const struct consumer *consumer, uint64_t sequence);
// NULL: too many. The state is set by one of the functions below.
struct pending *pending_new(struct consumer *consumer, uint64_t sequence);
// How many more the log may say there are: twice what is delivered at most, as what damage took along is taken for delivered.
size_t pending_room(const struct engine *engine);
void pending_size_set(struct consumer *consumer, struct pending *pending, uint32_t size);
// With nobody, and not finished.
static inline bool pending_is_parked(const struct pending *pending)
{
    return pending->state == PENDING_WAITING || pending->state == PENDING_DELAYED ||
           pending->state == PENDING_READING || pending->state == PENDING_DYING;
}
// Takes it out of wherever it is and frees it.
void pending_free(struct consumer *consumer, struct pending *pending);
void pending_set_out(struct consumer *consumer, struct pending *pending, struct member *member, uint64_t deadline_ns);
void pending_set_waiting(struct consumer *consumer, struct pending *pending);
// Until then; see struct pending.
void pending_set_delayed(struct consumer *consumer, struct pending *pending, uint64_t due_ns);
void pending_set_reading(struct consumer *consumer, struct pending *pending);
// Finished, it is delivered again, as if nobody had ever got it.
void pending_revive(struct consumer *consumer, uint64_t sequence, uint32_t size);
// Everything is forgotten; the consumer begins here.
void pending_begin_at(struct consumer *consumer, uint64_t next_sequence);
// It becomes the owner of the death.
void pending_set_dying(struct consumer *consumer, struct pending *pending, struct death *death);
void pending_set_acked(struct consumer *consumer, struct pending *pending);
// Drops what the stream does not have any more, at most *budget sequences. Returns whether more is to be dropped.
bool pending_trim(struct consumer *consumer, size_t *budget);
// A sequence is finished (committed).
void pending_finish(struct consumer *consumer, uint64_t first, uint64_t last);
void pending_clear(struct consumer *consumer);

// Dead before, and not delivered since (or nobody knows to whom): it counts as new, and takes a place as new messages do.
static inline bool pending_is_revived(const struct pending *pending)
{
    return pending->attempts == 0 && pending->holder == 0;
}

// --- redelivery.c
// All of a member's messages wait for redelivery.
void redelivery_release(struct member *member);
void redelivery_ack_timer_fire(struct wheel_timer *timer, uint64_t now_ms);
void redelivery_delayed_timer_fire(struct wheel_timer *timer, uint64_t now_ms);
// When the ack wait of a message that goes out now is over.
uint64_t redelivery_deadline(const struct member *member);
// For what a recovered member has, when it is back.
void redelivery_restart_deadlines(struct member *member);
// For the first deadline of the member, which is that of the front.
void redelivery_ack_timer_set(struct member *member);
// Tried again in a while, because it could not be read.
void redelivery_retry(struct consumer *consumer, struct pending *pending);
// Has it been delivered as often as it may be?
bool redelivery_ran_out(const struct consumer *consumer, const struct pending *pending);
// Recovery is over: delays become monotonic.
void redelivery_recovered(struct consumer *consumer);
// What is left of a delay, as a time for records (wall clock); 0: none, or too little to be remembered.
uint64_t redelivery_until_ms(const struct consumer *consumer, const struct pending *pending);

// --- death.c
void death_begin(struct consumer *consumer, struct pending *pending, enum dead_reason reason, struct bytes text);
// Records deaths, with their copies. Returns whether it stopped for lack of budget.
bool death_step(struct consumer *consumer, size_t *budget);
// Is its death in the log already, or on its way there?
bool death_is_proposed(const struct pending *pending);
// Its message is finished otherwise.
void death_forget(struct death *death);
// No reads any more; those under way are given up.
void death_cancel_reads(struct consumer *consumer);
// What was proposed after last_good is proposed again.
void death_drop(struct consumer *consumer, uint64_t last_good);
// Records which messages were terminated and cannot die yet. False: the log takes not all of it.
bool death_write(struct consumer *consumer);
int death_apply(struct engine *engine, const struct record *record, uint64_t index);
// Of an image: the terminated ones. Are there any?
bool death_is_worth_an_image(const struct consumer *consumer);
void death_put_image(const struct consumer *consumer, struct buffer *to);
int death_get_image(struct consumer *consumer, struct bytes from);
// Does the consumer's stream name another for its dead?
bool death_wants_copy(const struct consumer *consumer);
// No message dies any more.
void death_free(struct consumer *consumer);

// --- dead.c
void dead_state_get(const struct consumer *consumer, struct consumer_state *state);
// The body of a DEAD record, at most DEAD_RECORD_MAX bytes.
void dead_put(struct buffer *to, const struct dead_info *info);
int dead_apply(struct engine *engine, const struct record *record, uint64_t index);
// Those that the stream does not have any more are forgotten.
void dead_trim(struct consumer *consumer);
void dead_free(struct consumer *consumer);
// Of an image: everything behind the pending messages. Is there anything?
bool dead_is_worth_an_image(const struct consumer *consumer);
void dead_put_image(const struct consumer *consumer, struct buffer *to);
int dead_get_image(struct consumer *consumer, struct bytes *from);
// The same piece by piece: *ret_ever ever died, *ret_count follow; then one after the other.
int dead_image_begin(struct bytes *from, uint64_t *ret_ever, uint64_t *ret_count);
int dead_image_next(struct bytes *from, struct dead_info *ret);
void dead_check(const struct consumer *consumer);
// The consumer begins anew at `from`: the dead ones there count as acknowledged.
void dead_stay_finished(struct consumer *consumer, uint64_t from);
// It is to be redriven. False: it is not dead, or is being redriven.
bool dead_mark(struct consumer *consumer, uint64_t sequence);
// What was marked is redriven by the record with this index.
void dead_marked(struct consumer *consumer, uint64_t index);
// It lives again. Its bytes, 0: it was not remembered.
uint32_t dead_take(struct consumer *consumer, uint64_t sequence);
// What was to be redriven after last_good is not.
void dead_drop(struct consumer *consumer, uint64_t last_good);

// --- delivery.c
// Delivers what can be. Returns whether more can be done at once.
bool delivery_step(struct engine *engine, size_t *budget);
// Is there work, or room for those that were turned away for lack of it?
bool delivery_can_go_on(const struct engine *engine);
// A member takes nothing any more: what is read for it goes to others.
void delivery_member_lost(struct member *member);
// What is read of this pending message is not to be delivered.
void delivery_forget(struct consumer *consumer, struct pending *pending);
void delivery_cancel(struct consumer *consumer);

// --- journal.c
void journal_delivered(struct consumer *consumer, uint64_t sequence, uint32_t member, uint32_t attempt);
void journal_returned(struct consumer *consumer, uint64_t sequence, uint32_t attempts, uint64_t until_ms);
// From `first` to `last` nothing is to be delivered, and nothing is there to be pending. One at a time.
void journal_passed(struct consumer *consumer, uint64_t first, uint64_t last);
// There is something to be recorded.
void journal_link(struct consumer *consumer);
// Recovery: a message of which another record says something was delivered, whatever became of the record of that. NULL: it is finished.
struct pending *journal_pending(struct consumer *consumer, uint64_t sequence);
// What these have to record, but for one alone.
void journal_write_some(struct engine *engine, struct consumer *const *consumers, size_t count);
void journal_write(struct engine *engine);
// What this consumer has not recorded yet, now. False: the log takes no more.
bool journal_flush(struct consumer *consumer);
// The next run of a body; *last as in journal_put_run().
int journal_get_run(struct bytes *from, uint64_t *last, uint64_t *ret_first, uint64_t *ret_last);
// A run of sequences onto the body of an acknowledgement; *last is the end of the one before, 0 at first.
void journal_put_run(struct buffer *to, uint64_t *last, uint64_t first, uint64_t end);
void journal_drop(struct engine *engine, uint64_t last_good);
int journal_apply_delivered(struct engine *engine, const struct record *record, uint64_t index);
int journal_apply_returned(struct engine *engine, const struct record *record, uint64_t index);
int journal_apply_acked(struct engine *engine, const struct record *record, uint64_t index);

// --- turn.c
// The body that a record of this kind (DELIVERED, RETURNED, ACKED) would have, as a part of the turn's record, whose index is returned. False: it
// is to be a record of its own, and turn_close() comes first.
bool turn_put(struct engine *engine, uint16_t kind, uint32_t consumer, struct bytes body, uint64_t *ret_index);
// Appends the record that is open, if one is.
void turn_close(struct engine *engine);
int turn_apply(struct engine *engine, const struct record *record, uint64_t index);

// --- codec.c: bodies of records; RECORDS.md
// Must the record be one of the _MORE kinds?
bool codec_stream_has_more(const struct stream_config *config);
int codec_put_stream(struct buffer *to, const struct stream_config *config);
int codec_get_stream(struct bytes from, bool more, struct stream_config *ret_config);
int codec_put_consumer(struct buffer *to, uint32_t stream, const struct consumer_config *config,
                       uint64_t next_sequence);
int codec_get_consumer(struct bytes from, uint32_t *ret_stream, struct consumer_config *ret_config,
                       uint64_t *ret_next_sequence);
int codec_put_member(struct buffer *to, uint32_t id, const struct member_config *config);
int codec_get_member(struct bytes from, uint32_t *ret_id, struct member_config *ret_config);
// Bytes that codec_put_*() appends.
size_t codec_size_consumer(const struct consumer_config *config);
size_t codec_size_member(const struct member_config *config);
void codec_put_number(struct buffer *to, uint64_t value);
void codec_put_two(struct buffer *to, uint64_t first, uint64_t second);
int codec_get_number(struct bytes *from, uint64_t *ret_value);
static inline uint64_t codec_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}
static inline int64_t codec_unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

// --- image.c
// The object is about to be deleted: its older images are void.
void image_gone_stream(const struct stream *stream);
void image_gone_consumer(const struct consumer *consumer);
