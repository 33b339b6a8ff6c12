// SPDX-License-Identifier: Apache-2.0
// What the files of remote share, and what the rest of the broker calls; see remote.h for the picture.
//
//   remote.c           batches, windows, rounds; the turn
//   remote_interest.c  ours, announced to the others; theirs, as targets in our tries
//   remote_wait.c      connections that wait until all workers know what they subscribed to
//   remote_message.c   messages to and from other workers; who answers when nobody is there
//   remote_watch.c     watches asked of other workers, and theirs asked of us
//
// A broker that is alone has no struct remotes: whoever looks for it finds NULL and goes on.
#pragma once

#include "base/map.h"
#include "base/map_u64.h"
#include "base/shared_block.h"
#include "base/table.h"
#include "broker/broker_internal.h"
#include "broker/remote.h"

#define REMOTE_BATCH_BYTES (64 * 1024) // of records; one that is longer gets a batch of its own
#define REMOTE_SPARE_MAX   16          // batches kept
// A watch calls what its subject's worker has not yet worked through "behind" when it is more than this, or than a quarter of what one
// connection may have waiting: all of it may be for one.
#define REMOTE_BEHIND_BYTES (256 * 1024)

enum remote_kind {
    REMOTE_MESSAGE,     // account, subject, reply, queue (len 0: to plain subscribers), header, payload
    REMOTE_INTEREST,    // account, id, subject, queue, weight; 0: withdrawn, then subject and queue are empty
    REMOTE_WATCH,       // account, id, subject
    REMOTE_WATCH_END,   // id
    REMOTE_WATCH_STATE, // id, weight: enum broker_interest
    REMOTE_PAUSE,       // id: of the connection that fed an overloaded inlet
    REMOTE_RESUME, // everything that was paused so, by any worker: who still has to be is paused by his next message
    REMOTE_NO_RESPONDERS, // id: of the connection, subject, reply: nobody is there for this request of its
};

// In memory of one process and version: no portable format. The bytes follow in the order of the lengths.
struct remote_record {
    uint32_t size_bytes; // with these fields, a multiple of 8
    uint8_t kind;
    uint8_t origin;    // MESSAGE: the worker of the connection
    bool wants_answer; // MESSAGE: NO_RESPONDERS when there is nobody
    uint8_t standing;  // MESSAGE: enum inlet_standing
    uint32_t account;  // id
    uint32_t weight;
    uint32_t subject_len;
    uint32_t reply_len;
    uint32_t queue_len;
    uint32_t header_len;        // in the block if there is one
    uint32_t payload_len;       // the same
    uint64_t id;                // MESSAGE: of the connection; 0: from inside
    uint64_t visited;           // MESSAGE: workers that were asked for a member of the group
    struct shared_block *block; // owned; header and payload, if they are long
};

struct remote_link {
    struct remote_batch *open; // owned: gathering; NULL: nothing
    uint64_t under_way_bytes;  // sent and not returned, or gathering
    uint64_t sent;             // batches, ever
    uint64_t drain_mark;       // what was sent when draining began
    uint64_t returned;         // the same
    uint64_t acked_round;      // everything announced up to it is known there
    struct map_u64 targets;    // struct remote_target, the first of them, by the id of their interest
    struct map_u64 strangers;  // struct remote_stranger, owned, by the same
    struct map_u64 watches;    // struct remote_watch by their id: those they asked of us
    struct list behind;        // struct watch_entry.behind: asked while too much was under way
    uint64_t paused_id;        // the connection of theirs paused last, for an inlet here
    uint64_t paused_in;        // when remotes.worked_through was this
    bool has_paused;           // it has any
    bool is_full;              // connections are paused until half of the window is back
};

struct remotes {
    struct broker *broker; // borrowed
    uint32_t self;
    uint32_t count;
    const struct remote_carrier *carrier; // borrowed
    uint64_t window_bytes;
    uint64_t behind_bytes;
    bool has_drain_marks;
    uint64_t worked_through;    // batches, ever
    struct map_u64 connections; // struct connection by id
    struct map_u64 accounts;    // struct account by id

    struct table interests;               // struct remote_interest, owned, by account, queue and pattern
    uint64_t interest_seed;               // of their hash
    struct remote_interest *changed;      // list of those to be announced
    struct remote_interest *changed_last; // not to be used while that is empty
    uint64_t next_id;                     // of interests and watches
    uint64_t round;                       // that will announce what changes now
    uint64_t acked_round;                 // by all
    struct list waiting;                  // struct remote_wait.link
    struct map_u64 waits;                 // struct remote_wait by the id of its connection
    struct map_u64 watches;               // struct watch_entry by id: those we asked of the others
    struct list done;                     // struct remote_batch.link: worked through, go home at the turn's end
    struct list spare;                    // the same, for the next to gather
    uint32_t spare_count;
    struct remote_link links[]; // by worker; its own is unused
};

// What connections and inlets of ours want: one per account, pattern and queue group. There may be millions.
struct remote_interest {
    struct remote_interest *next; // list link: remotes.changed
    uint64_t id;
    uint64_t round;          // in which it was, or will be, announced
    uint32_t account;        // id
    uint32_t count;          // of subscriptions and inlets
    uint32_t announced : 31; // weight the others know: count, or 1 without a queue
    bool is_changed : 1;     // in remotes.changed
    uint16_t pattern_len;
    uint16_t queue_len;
    char text[]; // pattern, queue
};

// What another worker's connections want, as entries of our trie, which has the words: of a queue group one for each member, so that
// all members of the server are drawn with the same chance.
struct remote_target {
    struct target target;       // first: what the trie gives back
    struct account *account;    // borrowed; lives while account.remote_count > 0
    struct remote_target *next; // list link: the next for the same interest; not to be used once target.dead
    uint32_t worker;
    uint32_t weight; // of the first, which remote_link.targets has: how many they are
};

// The same while its account is not known here.
struct remote_stranger {
    uint32_t account; // id
    uint32_t weight;
    uint32_t pattern_len;
    uint32_t queue_len;
    char text[]; // pattern, queue
};

// --- remote.c

struct remotes *remote_new(struct broker *broker);
// The accounts are still there.
void remote_free(struct remotes *remotes);
// Room in the batch to `worker`, counted against its window: fields zeroed but for kind and size; the bytes come behind it.
struct remote_record *remote_record_add(struct remotes *remotes, uint32_t worker, enum remote_kind kind,
                                        size_t text_len);
// What a record refers to counts as well.
void remote_count_bytes(struct remotes *remotes, uint32_t worker, size_t bytes);
bool remote_is_over(const struct remotes *remotes, uint32_t worker, uint64_t bytes);
// Interest first, then what gathered; before sockets are written to.
void remote_flush(struct remotes *remotes);
// The broker's limits are others.
void remote_limits_take(struct remotes *remotes);
// At the very end of the turn: batches go home, with everything that was said because of them in front of them.
void remote_return(struct remotes *remotes);
// All that was sent up to the end of the turn in which draining began has been worked through.
bool remote_is_drained(const struct remotes *remotes);
void remote_account_add(struct remotes *remotes, struct account *account);
void remote_account_remove(struct remotes *remotes, struct account *account);
void remote_connection_add(struct remotes *remotes, struct connection *connection);
void remote_connection_remove(struct remotes *remotes, struct connection *connection);
void remote_check(const struct remotes *remotes);

// --- remote_interest.c

// One more, or one less, wants this. Returns the round after which all workers know; 0: they do.
uint64_t remote_interest_add(struct remotes *remotes, struct account *account, struct bytes pattern,
                             struct bytes queue);
void remote_interest_remove(struct remotes *remotes, struct account *account, struct bytes pattern, struct bytes queue);
// Announces what changed. Its last batch to each worker completes the round.
void remote_interest_flush(struct remotes *remotes);
void remote_interest_receive(struct remotes *remotes, uint32_t from, const struct remote_record *record);
// An account has come here that others may have known before.
void remote_interest_adopt(struct remotes *remotes, struct account *account);
void remote_interest_drop(struct remotes *remotes);
// A worker has acknowledged: connections that waited go on.
void remote_interest_acked(struct remotes *remotes);
void remote_interest_check(const struct remotes *remotes);

// --- remote_wait.c

// All workers will know in this round what it subscribed to; 0: they do. Until then some operations are held back.
void remote_wait_begin(struct connection *connection, uint64_t round);
// It gets its +OK then; until then no operation is carried out.
void remote_wait_for_ok(struct connection *connection);
// Is this operation held back?
bool remote_wait_holds(const struct connection *connection, enum wire_kind kind);
// It is gone.
void remote_wait_end(struct connection *connection);
// All workers know what was announced up to this round: who waited for it goes on when the turn ends.
void remote_wait_acked(struct remotes *remotes, uint64_t round);
void remote_wait_check(const struct remotes *remotes);

// --- remote_message.c

// The way of one message between workers: where it came from, and where it is sent.
struct remote_passage {
    bool is_hop;                // it came from another worker
    bool wants_answer;          // hop: NO_RESPONDERS when there is nobody
    uint32_t origin;            // worker of the connection that published it
    uint64_t connection;        // id; 0: from inside
    uint64_t visited;           // workers that were asked for a member of the group
    struct bytes group;         // the queue group being looked at; len 0: plain subscribers
    uint64_t workers;           // set of those that have plain subscribers
    uint32_t sent;              // times it was sent to another worker
    struct remote_record *last; // borrowed from its batch
};

// Of a message that begins here.
void remote_passage_begin(struct remote_passage *passage, struct broker_message *message);
// To all workers that have plain subscribers (passage.workers). Returns how many they are.
size_t remote_message_send(struct account *account, struct broker_message *message);
// To a member of passage.group on that worker. False: it was asked before.
bool remote_message_send_group(const struct remote_target *target, struct broker_message *message);
// After all `count` targets had it: if one other worker alone was asked, it is to answer when nobody is there.
void remote_message_finish(struct broker_message *message, size_t count);
void remote_message_receive(struct remotes *remotes, const struct remote_record *record);
// The connection it came from is to be read no more until an inlet here says so.
void remote_message_pause(struct remotes *remotes, const struct remote_passage *passage);
void remote_message_resume(struct remotes *remotes);
void remote_message_no_responders(struct remotes *remotes, const struct remote_record *record);

// --- remote_watch.c

struct watch_entry;

// Asks all other workers; they answer at once, and whenever it changes.
void remote_watch_add(struct remotes *remotes, struct watch_entry *entry);
void remote_watch_remove(struct remotes *remotes, struct watch_entry *entry);
void remote_watch_receive(struct remotes *remotes, uint32_t from, const struct remote_record *record);
void remote_watch_receive_end(struct remotes *remotes, uint32_t from, const struct remote_record *record);
void remote_watch_receive_state(struct remotes *remotes, uint32_t from, const struct remote_record *record);
// Too much for its workers is under way; it will be told when that has changed.
bool remote_watch_is_behind(struct remotes *remotes, struct watch_entry *entry);
// What was under way to this worker has become little.
void remote_watch_recover(struct remotes *remotes, uint32_t worker);
void remote_watch_drop(struct remotes *remotes, struct remote_link *link);

// --- the bytes of a record

static inline struct bytes remote_record_subject(const struct remote_record *record)
{
    return bytes_make((const char *)(record + 1), record->subject_len);
}

static inline struct bytes remote_record_reply(const struct remote_record *record)
{
    return bytes_make((const char *)(record + 1) + record->subject_len, record->reply_len);
}

static inline struct bytes remote_record_queue(const struct remote_record *record)
{
    return bytes_make((const char *)(record + 1) + record->subject_len + record->reply_len, record->queue_len);
}

static inline const char *remote_record_body(const struct remote_record *record)
{
    if (record->block)
        return record->block->data;
    return (const char *)(record + 1) + record->subject_len + record->reply_len + record->queue_len;
}
