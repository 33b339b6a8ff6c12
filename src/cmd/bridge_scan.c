// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bridge
// How far earlier runs came: read from the newest messages of a channel at the new server, backwards in blocks, until enough of them
// bear our mark. Others publish there too, perhaps, so a block may have few of ours.
#include <stdio.h>

#include "base/must.h"
#include "cmd/bridge_internal.h"
#include "cmd/bridge_mark.h"

// Behind a message that was refused there are fewer than a window, and after it came fewer again.
enum { MARKS_WANTED = 2 * BRIDGE_WINDOW_MAX, BLOCK = 2 * BRIDGE_WINDOW_MAX, BLOCK_MAX = 1 << 20, STALL_MS = 30000 };

struct bridge_scan {
    struct bridge_channel *channel;
    struct stan_session_subscription subscription;
    char ack_inbox[STAN_SESSION_TEXT_SIZE];
    uint64_t reached; // sequence at the new server
    uint64_t last;    // of the block
    uint64_t marks;
};

static int read_block(struct bridge *bridge, struct bridge_scan *scan, uint64_t first, uint64_t last);
static int wait_for_block(struct bridge *bridge, struct bridge_scan *scan);
static int give_up(struct bridge *bridge, struct bridge_channel *channel, int error);

int bridge_scan(struct bridge *bridge, size_t index)
{
    struct bridge_channel *channel = bridge->channels[index];
    struct bridge_scan scan = {.channel = channel};
    uint64_t first, last;
    int error = stan_session_inquire(&bridge->to, channel->name, &first, &last);
    for (uint64_t size = BLOCK; !error && first <= last && scan.marks < MARKS_WANTED;
         size *= size < BLOCK_MAX ? 2 : 1) {
        uint64_t begin = last - first < size ? first : last - size + 1;
        scan.subscription.sid = bridge_sid(bridge, index);
        error = read_block(bridge, &scan, begin, last);
        last = begin - 1;
    }
    if (error)
        return give_up(bridge, channel, error);
    bridge_position_found_all(&channel->position);
    return 0;
}

void bridge_scan_take(void *owner, const struct stan_session_message *message)
{
    struct bridge *bridge = owner;
    struct bridge_scan *scan = bridge->scan;
    struct bridge_mark mark;
    if (!scan || message->sid != scan->subscription.sid)
        return;
    if (message->sequence <= scan->last &&
        bridge_mark_decode(message->headers, bytes_from_string(bridge->options.from_cluster), &mark) == 0) {
        bridge_position_found(&scan->channel->position, mark.epoch, mark.sequence, mark.time_ns);
        scan->marks++;
    }
    scan->reached = message->sequence;
    if (stan_session_acknowledge(&bridge->to, scan->ack_inbox, scan->channel->name, message->sequence))
        bridge_lose_to(bridge, bridge->to.error);
}

static int read_block(struct bridge *bridge, struct bridge_scan *scan, uint64_t first, uint64_t last)
{
    struct stan_session_subscription *subscription = &scan->subscription;
    *subscription = (struct stan_session_subscription){
        .channel = scan->channel->name,
        .durable = "",
        .sid = subscription->sid,
        .max_in_flight = BRIDGE_WINDOW_MAX,
        .ack_wait_s = 30,
        .start = STAN_SESSION_START_SEQUENCE,
        .start_sequence = first,
        .ack_inbox = scan->ack_inbox,
    };
    scan->reached = 0;
    scan->last = last;
    bridge->scan = scan;
    int error = stan_session_subscribe(&bridge->to, subscription);
    if (!error)
        error = wait_for_block(bridge, scan);
    bridge->scan = NULL;
    return error ? error : stan_session_unsubscribe(&bridge->to, subscription);
}

// Limits may take the block's end away meanwhile: then nothing more comes, and the connection begins anew.
static int wait_for_block(struct bridge *bridge, struct bridge_scan *scan)
{
    uint64_t reached = 0, end_ns = client_now_ns() + STALL_MS * 1000000ull;
    while (scan->reached < scan->last) {
        bridge_serve(bridge, BRIDGE_TICK_MS);
        if (!bridge->to_up)
            return ERR_CLOSED;
        if (scan->reached != reached) {
            reached = scan->reached;
            end_ns = client_now_ns() + STALL_MS * 1000000ull;
        }
        if (bridge->stopping || client_now_ns() >= end_ns) {
            snprintf(bridge->to.error, sizeof(bridge->to.error), "what channel %s has could not be read",
                     scan->channel->name);
            return ERR_TIMEOUT;
        }
    }
    return 0;
}

static int give_up(struct bridge *bridge, struct bridge_channel *channel, int error)
{
    if (error == ERR_EXISTS || error == ERR_UNSUPPORTED)
        bridge_channel_fail(bridge, channel, bridge->to.error);
    else if (bridge->to_up)
        bridge_lose_to(bridge, bridge->to.error);
    return error;
}
