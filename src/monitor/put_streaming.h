// SPDX-License-Identifier: Apache-2.0
// What several pages about NATS Streaming show: subscriptions (ST-H06), durables and groups; and what they have in common.
//
// Upstream's members come first, in its order; behind them what only Weir has (ST-H09).
#pragma once

#include "codec/json_writer.h"
#include "monitor/page.h"
#include "stan/stan_inspect.h"

struct monitor;

// About so much is done in one step of a page: names gathered or compared, and objects written.
#define STREAMING_STEP_NAMES   1024
#define STREAMING_STEP_OBJECTS 64
// How often a page waits for the disk to tell how old a message is, before it leaves out what it does not know.
#define STREAMING_PATIENCE 256
// A page with more objects has no line breaks, so that more of them fit.
#define STREAMING_INDENTED_MAX 1024
// Bounds of the parameter "held".
#define STREAMING_HELD_MAX  1000
#define STREAMING_NAMES_MAX (1024 * 1024)

// The parameters that lists of channels and clients have, read as leniently as nats-streaming-server reads them.
struct streaming_query {
    bool subs;
    uint32_t held; // messages listed per subscription
    uint64_t offset, limit;
};

void put_streaming_read(const struct page *page, struct streaming_query *ret);
// What the pages of nats-streaming-server begin with: an object, cluster, server, time.
void put_streaming_begin(struct monitor *monitor, struct page *page, struct json_writer *json, bool compact);
// Of a list with so many in all: its bounds as JSON. Gives where it begins and ends.
void put_streaming_bounds(struct json_writer *json, const struct streaming_query *query, size_t total, size_t *ret_from,
                          size_t *ret_to);

// With up to `held` of the messages that the subscription has. Returns how many objects' work that was.
size_t put_streaming_subscription(struct json_writer *json, const struct stan_subscription_view *subscription,
                                  uint32_t held);

// How long the oldest messages of a durable or group have been there, and when its channel is told about.
struct streaming_age {
    bool waiting_known, unacked_known;
    uint64_t waiting_ns, unacked_ns; // since they were published
};

// False: a message's time is being read, and there is patience left, which is less then; ask in a while.
bool put_streaming_age(struct monitor *monitor, const struct stan_channel_view *channel,
                       const struct stan_consumer_view *consumer, uint32_t *patience, struct streaming_age *ret);
void put_streaming_consumer(struct json_writer *json, const struct stan_consumer_view *consumer,
                            const struct streaming_age *age);
