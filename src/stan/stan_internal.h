// SPDX-License-Identifier: Apache-2.0
// What the files of stan/ share: the struct, answers, subscriptions. Not for other layers.
#pragma once

#include "base/buffer.h"
#include "base/wheel.h"
#include "shard/hold.h"
#include "stan/inactivity.h"
#include "stan/registry.h"
#include "stan/stan.h"
#include "stan/stan.pb-c.h"

enum { STAN_SUBJECT_MAX = 512 }; // bytes of a subject made by us

enum stan_inlet {
    STAN_INLET_CONNECT,     // ST-P01
    STAN_INLET_PUBLISH,     // ST-P02
    STAN_INLET_SUBSCRIBE,   // ST-P03
    STAN_INLET_UNSUBSCRIBE, // ST-P04
    STAN_INLET_SUB_CLOSE,   // ST-P05
    STAN_INLET_ACK,         // ST-P06
    STAN_INLET_CLOSE,       // ST-P07
    STAN_INLET_PING,        // ST-P08
    STAN_INLET_HEARTBEAT,   // answers to ST-P09
    STAN_INLET_PROBE,       // answers to ST-P11
    STAN_INLET_COUNT,
};

struct stan {
    struct stan_options options;
    struct broker *broker;         // borrowed
    struct shard *shard;           // borrowed
    struct engine *engine;         // the shard's
    struct channel_limits *limits; // owned
    struct moment now;
    struct wheel wheel; // heartbeats, probes
    bool wheel_ready;
    struct registry registry;
    struct inactivity inactivity;
    struct inlet inlets[STAN_INLET_COUNT];
    bool inlet_open[STAN_INLET_COUNT];
    struct hold answers;
    struct buffer scratch;   // frames being encoded
    struct buffer headers;   // of a publish, without what is ours
    struct buffer backlog;   // publishes that came while the log was full (publish.c)
    size_t backlog_head;     // bytes of it already taken
    uint64_t refused;        // publishes, ever
    struct list subscribing; // subscribe requests that wait for a read (subscribe.c)
    struct list all;         // subscriptions
    struct list orphans;     // subscriptions whose client has gone and whose end is not proposed yet
    bool dead_letters_wait;  // their channel could not be made
    uint64_t not_copied;     // dead messages without a copy that no line in the log has told of
    uint64_t not_copied_ms;  // the next line may come then
    uint64_t name_counter;   // makes names of anonymous consumers unique
    uint64_t subscriptions;
    void (*describe)(void *owner, uint32_t member, struct buffer *out); // see stan_describe_with()
    void *describe_owner;
    struct stan_stats stats;
    // Subjects, NUL-terminated; the literal part of those that end in a number or a channel.
    char publish_prefix[STAN_SUBJECT_MAX]; // "_STAN.pub.<cid>"
    char subscribe_subject[STAN_SUBJECT_MAX];
    char unsubscribe_subject[STAN_SUBJECT_MAX];
    char sub_close_subject[STAN_SUBJECT_MAX];
    char close_subject[STAN_SUBJECT_MAX];
    char ping_subject[STAN_SUBJECT_MAX];
    char inbox_prefix[STAN_SUBJECT_MAX]; // "_INBOX.STAN-<cid>": ours, so that clients may publish to it
};

// A STAN subscription: the adapter's side of a member.
struct subscription {
    // What each message needs comes first: one line of a processor's cache, up to what the watch says about being behind.
    struct bytes inbox;      // in the member's data
    struct broker_path path; // to it
    uint64_t
        last_sent; // sequence: of its first deliveries the newest; before any where its consumer stood when it came
    uint64_t redelivered;       // deliveries to it that were not a message's first
    struct broker_watch watch;  // of the inbox
    struct stan *stan;          // borrowed
    struct member *member;      // borrowed; frees us when it goes
    struct stan_client *client; // borrowed; NULL while an orphan
    struct bytes ack_inbox;     // as inbox; len 0: the one made of the member's id
    struct inlet former_ack;    // of the ack inbox, if it is in the member's data
    struct list of_client;      // list link: stan_client.subscriptions, or stan.orphans
    struct list link;           // list link: stan.all
    uint64_t remove_index;      // of the proposal that removes it; 0: none
};

// --- answers (answer.c) ---------------------------------------------------------------------------------------------

// First byte of a held frame: what it is, so that a refusal can say so in the right message.
enum answer_kind { ANSWER_PUBLISH = 'p', ANSWER_CONNECT = 'c', ANSWER_SUBSCRIBE = 's', ANSWER_CLOSE = 'x' };

void answer_init(struct stan *stan);
// Leaves when `index` is durable. A reply of len 0 is nobody to answer.
void answer_publish(struct stan *stan, uint64_t index, struct bytes reply, struct bytes guid);
void answer_connect(struct stan *stan, uint64_t index, struct bytes reply, const struct stan_client *client);
void answer_subscribe(struct stan *stan, uint64_t index, struct bytes reply, struct bytes ack_inbox);
// To an inquiry; waits until everything that was proposed is durable.
void answer_inquiry(struct stan *stan, struct bytes reply, uint64_t first_sequence, uint64_t last_sequence);
void answer_close(struct stan *stan, uint64_t index, struct bytes reply);
// Leaves at once: nothing was stored. `guid` for ANSWER_PUBLISH.
void answer_error(struct stan *stan, enum answer_kind kind, struct bytes reply, struct bytes guid, const char *text);
// The same for a refusal because of what is there (or not there any more): leaves when all that is known is durable. If that is
// refused instead, so is this, with the log's error.
void answer_reject(struct stan *stan, enum answer_kind kind, struct bytes reply, struct bytes guid, const char *text);
// Whether an ERR_* of the engine says what is there; else it is about the request or the log.
bool answer_error_waits(int error);
// What a client reads for an ERR_* of the engine.
const char *answer_error_text(enum answer_kind kind, int error);

// --- requests -------------------------------------------------------------------------------------------------------

// Allocator for protobuf-c: ours.
extern const ProtobufCAllocator answer_allocator;

// The turn's time, for the engine.
static inline struct engine_time stan_time(const struct stan *stan)
{
    return (struct engine_time){stan->now.mono_ns, stan->now.wall_ns};
}

static inline struct bytes stan_field(ProtobufCBinaryData field)
{
    return bytes_make(field.data, field.len);
}

// --- channels (channels.c) ------------------------------------------------------------------------------------------

// A stream for a channel of this valid name, with the configured limits. ERR_LIMIT; ERR_IN_USE: one of this name is being removed;
// admission errors.
int channels_create(struct stan *stan, struct bytes name, struct stream **ret_stream) MUST_USE;
// The channels that are there get the limits that count for them now (ST-B20), but for those that somebody gave their own.
void channels_follow_limits(struct stan *stan);
// 0: the channel is never removed for inactivity.
uint64_t channels_max_inactivity_ns(const struct stan *stan, struct bytes name);

bool publish_on_message(struct stan *stan, const struct inlet_message *message);
// The same for a run (see struct inlet).
bool publish_on_run(struct stan *stan, const struct inlet_message *messages, size_t count);
// Takes what waits in the backlog while the log takes it, or refuses it when the log says so.
void publish_resume(struct stan *stan);
bool publish_is_waiting(const struct stan *stan);

void subscribe_on_request(struct stan *stan, const struct inlet_message *message);
void subscribe_on_unsubscribe(struct stan *stan, const struct inlet_message *message, bool close_only);
// Under which name the engine has the consumer of a subscription with a durable name, a group, or both (group without its
// "durable:"). Writes less than CHANNEL_NAME_MAX bytes, returns how many.
size_t subscribe_consumer_name(struct bytes client_id, struct bytes durable, struct bytes group, char *to);
// The subscription of a request has become a member: the request is over. Returns the index of its removal, if that was proposed, or 0.
uint64_t subscribe_joined(struct stan *stan, const struct member *member);
// Proposes the end of subscriptions that have lost their client.
void subscribe_reap_orphans(struct stan *stan);
// Does a subscribe request of this channel wait for where it begins?
bool subscribe_is_coming(const struct stan *stan, struct bytes channel);
// Removals proposed after last_good are not in the log.
void subscribe_drop_tail(struct stan *stan, uint64_t last_good);
// The program ends: subscriptions let go of their members.
void subscribe_forget_all(struct stan *stan);
// The client is going: requests that wait are given up, its subscriptions become orphans.
void subscribe_forget_client(struct stan *stan, struct stan_client *client);

void deliver_adapter(struct stan *stan, struct engine_adapter *ret_adapter);
// Its member goes, or the program ends. Frees it.
void deliver_forget(struct subscription *subscription);

void acknowledge_on_run(struct stan *stan, const struct inlet_message *messages, size_t count);
void acknowledge_on_message(struct stan *stan, const struct inlet_message *message);
// For subscription.former_ack: where the server told the client to acknowledge whose place we have taken (IM-13).
bool acknowledge_on_former(struct inlet *inlet, const struct inlet_message *message);

void heartbeat_start(struct stan_client *client);
void heartbeat_stop(struct stan_client *client);
void heartbeat_on_answer(struct stan *stan, struct bytes subject);
// The client has pinged us: if its heartbeats fail, try one at once (ST-B16).
void heartbeat_on_ping(struct stan_client *client);

// Connect, close and ping requests and the probe of a duplicate id (connect.c).
void connect_on_request(struct stan *stan, const struct inlet_message *message);
void connect_on_close(struct stan *stan, const struct inlet_message *message);
void connect_on_ping(struct stan *stan, const struct inlet_message *message);
void connect_on_probe_answer(struct stan *stan, struct bytes subject);
void connect_probe_free(struct stan_client *client);
// The client whose id somebody waits for has gone: the waiting one takes it.
void connect_probe_succeed(struct stan_client *client);

// The number after the last '.' of a subject of ours. ERR_INVALID.
int stan_subject_number(struct bytes subject, uint32_t *ret_number) MUST_USE;
