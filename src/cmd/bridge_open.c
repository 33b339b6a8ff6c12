// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bridge
// The connections of `weir bridge`, lost and made again, and what a channel needs before it is copied.
#include <stdio.h>

#include "cmd/bridge_internal.h"

// Acknowledgements that are lost with a server behind another NATS server hold their places of the window for so long.
enum { ACK_WAIT_S = 20 };

static const uint64_t RETRY_NS = 500000000;

static void probe(struct bridge *bridge, size_t index, bool begins);
static void subscribe(struct bridge *bridge, size_t index);
static bool end_subscription(struct bridge *bridge, struct bridge_channel *channel);

int bridge_open_from(struct bridge *bridge)
{
    if (bridge->from_open)
        stan_session_drop(&bridge->from);
    bridge->from_open = false;
    bridge->from =
        (struct stan_session){.on_message = bridge_on_from_message, .is_stopped = bridge_is_stopped, .owner = bridge};
    int error = stan_session_open(&bridge->from, &bridge->options.from, bridge->options.from_cluster,
                                  bridge->options.client_id);
    if (error)
        return error;
    bridge->from_up = bridge->from_open = true;
    for (size_t i = 0; i < bridge->channel_count; i++) {
        struct bridge_channel *channel = bridge->channels[i];
        channel->sid = channel->probe_sid = 0;
        if (channel->state == BRIDGE_COPYING)
            channel->state = BRIDGE_OPEN;
    }
    return 0;
}

int bridge_open_to(struct bridge *bridge)
{
    if (bridge->to_open)
        stan_session_drop(&bridge->to);
    bridge->to_open = false;
    bridge->to = (struct stan_session){.on_message = bridge_scan_take,
                                       .on_published = bridge_on_published,
                                       .is_stopped = bridge_is_stopped,
                                       .owner = bridge};
    int error =
        stan_session_open(&bridge->to, &bridge->options.to, bridge->options.to_cluster, bridge->options.client_id);
    if (error)
        return error;
    bridge->to_up = bridge->to_open = true;
    bridge->retry_to = false;
    return 0;
}

void bridge_lose_from(struct bridge *bridge, const char *why)
{
    if (!bridge->from_up)
        return;
    bridge->from_up = false;
    bridge->from_next_ns = client_now_ns() + RETRY_NS;
    if (!bridge->stopping)
        bridge_show_line("the old server is lost (%s), trying again", why);
}

void bridge_lose_to(struct bridge *bridge, const char *why)
{
    if (!bridge->to_up)
        return;
    bridge->to_up = false;
    bridge->to_next_ns = client_now_ns() + RETRY_NS;
    if (!bridge->stopping)
        bridge_show_line("the new server is lost (%s), trying again", why);
    for (size_t i = 0; i < bridge->channel_count; i++) {
        struct bridge_channel *channel = bridge->channels[i];
        if (channel->state == BRIDGE_FAILED || seqset_count(&channel->position.in_flight) == 0)
            continue;
        bridge_position_lose(&channel->position);
        channel->state = BRIDGE_SCAN;
    }
}

void bridge_prepare(struct bridge *bridge)
{
    for (size_t i = 0; i < bridge->channel_count && bridge->from_up && bridge->to_up && !bridge->stopping; i++) {
        struct bridge_channel *channel = bridge->channels[i];
        if (channel->state == BRIDGE_COPYING && channel->missed)
            channel->state = BRIDGE_OPEN;
        if (channel->state == BRIDGE_SCAN && bridge_scan(bridge, i) == 0)
            channel->state = BRIDGE_OPEN;
        if (channel->state == BRIDGE_OPEN && bridge->from_up && bridge->to_up)
            subscribe(bridge, i);
        if (i % 16 == 15)
            bridge_serve(bridge, 0);
    }
}

// Nobody says of an empty channel that it is empty: after a while without a message it counts as that.
void bridge_probe(struct bridge *bridge)
{
    char ack_inbox[STAN_SESSION_TEXT_SIZE];
    size_t known = 0, before = 0;
    struct stan_session_subscription subscription = {
        .durable = "", .max_in_flight = 1, .ack_wait_s = 30, .start = STAN_SESSION_START_LAST, .ack_inbox = ack_inbox};
    for (size_t i = 0; i < bridge->channel_count && bridge->from_up && !bridge->stopping; i++) {
        subscription.channel = bridge->channels[i]->name;
        subscription.sid = bridge->channels[i]->probe_sid = bridge_sid(bridge, i);
        int error = stan_session_subscribe(&bridge->from, &subscription);
        if (error == ERR_EXISTS)
            bridge_channel_fail(bridge, bridge->channels[i], bridge->from.error);
        else if (error)
            bridge_lose_from(bridge, bridge->from.error);
    }
    uint64_t heard_ns = client_now_ns();
    while (known < bridge->channel_count && bridge->from_up && !bridge->stopping &&
           client_now_ns() - heard_ns < bridge->options.idle_ns) {
        bridge_serve(bridge, BRIDGE_TICK_MS);
        known = 0;
        for (size_t i = 0; i < bridge->channel_count; i++)
            known += bridge->channels[i]->has_goal || bridge->channels[i]->state == BRIDGE_FAILED;
        heard_ns = known != before ? client_now_ns() : heard_ns;
        before = known;
    }
    for (size_t i = 0; i < bridge->channel_count && bridge->from_up && !bridge->stopping; i++)
        probe(bridge, i, false);
}

// The last message of a channel, which is not acknowledged: so the subscription ends when it has come.
static void probe(struct bridge *bridge, size_t index, bool begins)
{
    struct bridge_channel *channel = bridge->channels[index];
    if (channel->state == BRIDGE_FAILED)
        return;
    if (index % 16 == 15)
        bridge_serve(bridge, 0); // the other server wants to hear of us meanwhile
    if (begins)
        channel->probe_sid = bridge_sid(bridge, index);
    struct stan_session_subscription subscription = {
        .channel = channel->name,
        .durable = "",
        .sid = channel->probe_sid,
        .max_in_flight = 1,
        .ack_wait_s = 30,
        .start = STAN_SESSION_START_LAST,
        .ack_inbox = channel->ack_inbox,
    };
    int error = begins ? stan_session_subscribe(&bridge->from, &subscription)
                       : stan_session_unsubscribe(&bridge->from, &subscription);
    if (!begins)
        channel->probe_sid = 0;
    if (error == ERR_EXISTS)
        bridge_channel_fail(bridge, channel, bridge->from.error);
    else if (error)
        bridge_lose_from(bridge, bridge->from.error);
}

static void subscribe(struct bridge *bridge, size_t index)
{
    struct bridge_channel *channel = bridge->channels[index];
    if (channel->sid && !end_subscription(bridge, channel))
        return;
    struct stan_session_subscription subscription = {
        .channel = channel->name,
        .durable = bridge->options.durable,
        .sid = bridge_sid(bridge, index),
        .max_in_flight = bridge->options.window,
        .ack_wait_s = ACK_WAIT_S,
        .start = STAN_SESSION_START_FIRST,
        .ack_inbox = channel->ack_inbox,
    };
    // Messages may come before the answer is returned.
    channel->sid = subscription.sid;
    channel->missed = false;
    channel->state = BRIDGE_COPYING;
    channel->heard_ns = client_now_ns();
    int error = stan_session_subscribe(&bridge->from, &subscription);
    if (error == ERR_EXISTS)
        bridge_channel_fail(bridge, channel, bridge->from.error);
    else if (error)
        bridge_lose_from(bridge, bridge->from.error);
}

static bool end_subscription(struct bridge *bridge, struct bridge_channel *channel)
{
    const struct stan_session_subscription ended = {
        .channel = channel->name,
        .durable = bridge->options.durable,
        .sid = channel->sid,
        .ack_inbox = channel->ack_inbox,
    };
    channel->sid = 0;
    int error = stan_session_unsubscribe(&bridge->from, &ended);
    if (error == ERR_UNSUPPORTED)
        bridge_channel_fail(bridge, channel, bridge->from.error);
    else if (error)
        bridge_lose_from(bridge, bridge->from.error);
    return !error;
}
