// SPDX-License-Identifier: Apache-2.0
// What monitoring sees of NATS Streaming: channels, clients, subscriptions, durables and groups, to be read and never changed. What
// a view borrows is valid until the end of the turn, and until something is applied.
//
// A page about ten thousand channels is made over many turns, so whoever lists something says how far he came by a number that stays right
// whatever came or went in between.
#pragma once

#include "stan/stan.h"

struct stan_channel_view {
    uint32_t id;       // of its stream, never 0
    struct bytes name; // borrowed
    struct stream *stream;
    struct stream_state state;
    uint64_t
        first_sequence; // as the servers we replace say: 0 before the first message, behind the last when all are gone
    uint32_t subscriptions; // durables and durable groups that are offline included
    uint32_t offline;       // of these
    uint32_t consumers;     // durables and groups: what stan_inspect_consumer_next() lists
};

// The channel with the lowest id above this. False: there is none.
bool stan_inspect_channel_next(const struct stan *stan, uint32_t after, struct stan_channel_view *ret);
// By id, or by name. False: there is none (any more).
bool stan_inspect_channel(const struct stan *stan, uint32_t id, struct stan_channel_view *ret);
bool stan_inspect_channel_find(const struct stan *stan, struct bytes name, struct stan_channel_view *ret);

// What subscriptions take messages from: a durable, a queue group, or one subscription by itself.
struct stan_consumer_view {
    uint32_t id;
    const struct consumer *consumer;
    struct consumer_state state;
    struct bytes client_id; // of a plain durable, also while it is offline
    struct bytes durable;   // len 0: it is none
    struct bytes group;     // len 0: none. Always without "durable:"
    struct bytes queue;     // as the servers we replace write it: "durable:group", or the group; len 0: no queue group
};

// Of a channel, the one with the lowest id above this; `all`: also those of subscriptions by themselves. False: there is none.
bool stan_inspect_consumer_next(const struct stan *stan, const struct stan_channel_view *channel, bool all,
                                uint32_t after, struct stan_consumer_view *ret);
void stan_inspect_consumer(const struct consumer *consumer, struct stan_consumer_view *ret);
// Messages that are out or wait for redelivery, and were delivered more than once; counted among the first `max` that are pending.
uint64_t stan_inspect_redelivered(const struct stan_consumer_view *consumer, size_t max);

// ST-H06. Not to be copied: ack_inbox may point into it.
struct stan_subscription_view {
    struct stan_consumer_view consumer;
    struct bytes channel;
    struct bytes client_id; // len 0: nobody knows whose it was (a durable group that is offline)
    struct bytes inbox;     // len 0: it is offline
    struct bytes ack_inbox;
    char ack_inbox_text[600]; // of it, unless it is in the member's data
    bool is_offline;
    uint64_t max_in_flight; // 0: it is offline
    uint64_t ack_wait_s;
    uint64_t last_sent; // sequence
    uint64_t pending;   // messages delivered and not finished; offline: of the whole durable
    bool is_stalled;
    uint64_t redelivered;        // deliveries to it that were not a message's first
    const struct member *member; // NULL: it is offline
    const char *state;           // "ready", "congested", "gone" (nobody listens at its inbox), "offline"
};

// How far a list of a channel's subscriptions has come. All zero: the beginning.
struct stan_inspect_place {
    uint8_t kind; // subscriptions by themselves and plain durables, those of these that are offline, queue groups
    uint32_t consumer, member;
};

// The next one, in the order of the servers we replace. False: there is none.
bool stan_inspect_subscription_next(const struct stan *stan, const struct stan_channel_view *channel,
                                    struct stan_inspect_place *place, struct stan_subscription_view *ret);
// By the id of its member. False: there is none (any more).
bool stan_inspect_subscription(const struct stan *stan, uint32_t member, struct stan_subscription_view *ret);
// What a subscription holds: the first that are out with it, at most `max`. Returns how many.
size_t stan_inspect_held(const struct stan_subscription_view *subscription, struct pending_info *ret, size_t max);

struct stan_client_view {
    uint32_t number; // durable
    struct bytes id, heartbeat_inbox;
    uint64_t subscriptions;
    uint32_t heartbeats_missed; // in a row
    uint64_t connection;        // where it was seen last; 0: not since the server started
    uint64_t since_ns;          // wall clock; 0: before the server started
};

// All clients in the order in which they came: begin with 0 and ask until false, in as many turns as you like.
bool stan_inspect_client_next(const struct stan *stan, uint32_t *place, struct stan_client_view *ret);
bool stan_inspect_client(const struct stan *stan, struct bytes id, struct stan_client_view *ret);
bool stan_inspect_client_number(const struct stan *stan, uint32_t number, struct stan_client_view *ret);
// The subscriptions of a client: id of the member and name of the channel of each. Within one turn.
void stan_inspect_client_each(const struct stan *stan, struct bytes id, void *context,
                              void (*each)(void *context, uint32_t member, struct bytes channel));

// When the first message from a sequence on was published, wall clock. ERR_AGAIN: that is being read, ask in a while; ERR_NOT_FOUND.
int stan_inspect_time(const struct stan *stan, const struct stan_channel_view *channel, uint64_t sequence,
                      uint64_t *ret_time_ns) MUST_USE;
// Without subscriptions and messages for so long a channel of this name goes; 0: it stays.
uint64_t stan_inspect_inactivity(const struct stan *stan, struct bytes channel);
// For channels that no rule counts for. Borrowed.
const struct channel_limit *stan_inspect_limits(const struct stan *stan, uint32_t *ret_max_channels);
