// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bridge
// The way of a message through `weir bridge`: from the old server, to the new one, and its acknowledgement back.
#include <stdio.h>

#include "cmd/bridge_internal.h"
#include "cmd/bridge_mark.h"

static size_t index_of(uint64_t sid);
static void copy(struct bridge *bridge, size_t index, const struct stan_session_message *message);
static void acknowledge(struct bridge *bridge, struct bridge_channel *channel, uint64_t sequence);
static bool on_refused(struct bridge *bridge, struct bridge_channel *channel, struct bytes error);

void bridge_on_from_message(void *owner, const struct stan_session_message *message)
{
    struct bridge *bridge = owner;
    size_t index = message->sid >= STAN_SESSION_FIRST_SID ? index_of(message->sid) : BRIDGE_CHANNELS_MAX;
    struct bridge_channel *channel = index < bridge->channel_count ? bridge->channels[index] : NULL;
    if (channel && channel->probe_sid == message->sid) {
        channel->goal = message->sequence > channel->goal ? message->sequence : channel->goal;
        channel->has_goal = true;
        return;
    }
    if (!channel || channel->sid != message->sid || channel->state != BRIDGE_COPYING)
        return;
    channel->heard_ns = client_now_ns();
    if (!bridge->to_up || bridge->stopping || channel->missed) {
        channel->missed = true;
        return;
    }
    switch (bridge_position_take(&channel->position, message->sequence, message->time_ns)) {
    case BRIDGE_COPY: copy(bridge, index, message); break;
    case BRIDGE_PRESENT:
        channel->present++;
        bridge->present++;
        acknowledge(bridge, channel, message->sequence);
        break;
    case BRIDGE_WAIT: break;
    case BRIDGE_GAP: channel->missed = true; break;
    }
}

void bridge_on_published(void *owner, uint64_t tag, struct bytes guid, struct bytes error)
{
    struct bridge *bridge = owner;
    uint64_t epoch, sequence;
    size_t index = (size_t)(tag % BRIDGE_CHANNELS_MAX);
    uint64_t size = tag / BRIDGE_CHANNELS_MAX;
    struct bridge_channel *channel = index < bridge->channel_count ? bridge->channels[index] : NULL;
    if (!channel || bridge_mark_read_guid(guid, &epoch, &sequence))
        return;
    channel->answer_ns = client_now_ns();
    if (error.len && on_refused(bridge, channel, error))
        return; // it is sent again
    if (!bridge_position_arrived(&channel->position, epoch, sequence) || error.len)
        return;
    channel->refusals = 0;
    channel->copied++;
    channel->bytes += size;
    bridge->copied++;
    bridge->bytes += size;
    acknowledge(bridge, channel, sequence);
}

static size_t index_of(uint64_t sid)
{
    return (size_t)((sid - STAN_SESSION_FIRST_SID) % BRIDGE_CHANNELS_MAX);
}

static void copy(struct bridge *bridge, size_t index, const struct stan_session_message *message)
{
    struct bridge_channel *channel = bridge->channels[index];
    const struct bridge_mark mark = {
        .cluster = bytes_from_string(bridge->options.from_cluster),
        .epoch = channel->position.epoch,
        .sequence = message->sequence,
        .time_ns = message->time_ns,
    };
    char guid[BRIDGE_MARK_GUID_SIZE];
    size_t room_size = 2 * message->headers.len + BRIDGE_MARK_FIELDS_SIZE;
    buffer_clear(&bridge->room);
    char *room = buffer_reserve(&bridge->room, room_size);
    struct stan_session_publish publish = {
        .channel = channel->name,
        .tag = message->data.len * BRIDGE_CHANNELS_MAX + index,
        .guid = bridge_mark_guid(&mark, guid),
        .headers = room ? bridge_mark_encode(&mark, message->headers, room, room_size) : message->headers,
        .reply = message->reply,
        .data = message->data,
    };
    if (seqset_count(&channel->position.in_flight) == 1)
        channel->answer_ns = client_now_ns();
    int error = room ? stan_session_publish(&bridge->to, &publish) : ERR_TOO_BIG;
    if (!error)
        return;
    char text[BRIDGE_ERROR_SIZE];
    snprintf(text, sizeof(text), "message %llu: %.300s", (unsigned long long)message->sequence, bridge->to.error);
    (void)bridge_position_arrived(&channel->position, mark.epoch, mark.sequence); // nobody will answer
    bridge_channel_fail(bridge, channel, text);
}

// One that is lost on the way comes again, and is acknowledged again.
static void acknowledge(struct bridge *bridge, struct bridge_channel *channel, uint64_t sequence)
{
    if (bridge->from_up && channel->sid && channel->ack_inbox[0] &&
        stan_session_acknowledge(&bridge->from, channel->ack_inbox, channel->name, sequence))
        bridge_lose_from(bridge, bridge->from.error);
}

// True: it passes by itself; everything on the way counts as lost, is looked for and sent again. Other refusals stay until somebody does
// something.
static bool on_refused(struct bridge *bridge, struct bridge_channel *channel, struct bytes error)
{
    static const char *const passing[] = {"stan: the server is overloaded, try again",
                                          "stan: the server is shutting down", "stan: channel is being deleted",
                                          "stan: invalid publish request"};
    enum { REFUSALS_MAX = 20 };
    char text[BRIDGE_ERROR_SIZE];
    snprintf(text, sizeof(text), "the new server refuses: %.*s", (int)(error.len < 300 ? error.len : 300), error.ptr);
    bool passes = false;
    for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
        passes = passes || bytes_equal(error, bytes_from_string(passing[i]));
    // All that is on the way is refused together.
    channel->refusals += !bridge->retry_to;
    passes = passes && channel->refusals <= REFUSALS_MAX && channel->state != BRIDGE_FAILED;
    if (passes)
        bridge->retry_to = true;
    else
        bridge_channel_fail(bridge, channel, text);
    return passes;
}
