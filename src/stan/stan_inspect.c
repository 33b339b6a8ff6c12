// SPDX-License-Identifier: Apache-2.0
#include "stan/stan_inspect.h"

#include <stdio.h>

#include "stan/member_data.h"
#include "stan/stan_internal.h"

enum { ACCOUNT_OF_STAN = 1, REDELIVERED_LOOK = 64 };
enum { KIND_SINGLE, KIND_OFFLINE, KIND_GROUP, KIND_END };

static void channel_get(struct stream *stream, struct stan_channel_view *ret);
static bool is_offline(const struct consumer_state *consumer);
static bool is_of_kind(const struct stan_consumer_view *consumer, unsigned kind);
static void offline_get(const struct stan_channel_view *channel, const struct stan_consumer_view *consumer,
                        struct stan_subscription_view *ret);
static void online_get(const struct stan *stan, const struct member *member, struct stan_subscription_view *ret);

bool stan_inspect_channel_next(const struct stan *stan, uint32_t after, struct stan_channel_view *ret)
{
    struct stream *stream = engine_stream_after(stan->engine, after);
    if (stream)
        channel_get(stream, ret);
    return stream;
}

bool stan_inspect_channel(const struct stan *stan, uint32_t id, struct stan_channel_view *ret)
{
    struct stream *stream = engine_stream_by_id(stan->engine, id);
    if (stream)
        channel_get(stream, ret);
    return stream;
}

bool stan_inspect_channel_find(const struct stan *stan, struct bytes name, struct stan_channel_view *ret)
{
    struct stream *stream = engine_stream_find(stan->engine, ACCOUNT_OF_STAN, name);
    if (stream)
        channel_get(stream, ret);
    return stream;
}

bool stan_inspect_consumer_next(const struct stan *stan, const struct stan_channel_view *channel, bool all,
                                uint32_t after, struct stan_consumer_view *ret)
{
    struct consumer *consumer = engine_consumer_after(stan->engine, channel->stream, after);
    for (; consumer; consumer = stream_consumer_next(channel->stream, consumer)) {
        stan_inspect_consumer(consumer, ret);
        if (all || ret->durable.len || ret->group.len)
            return true;
    }
    return false;
}

// Its name says what it is (subscribe.c).
void stan_inspect_consumer(const struct consumer *consumer, struct stan_consumer_view *ret)
{
    *ret = (struct stan_consumer_view){.consumer = consumer};
    consumer_state_get(consumer, &ret->state);
    ret->id = ret->state.id;
    struct bytes name = ret->state.config.name, rest = bytes_skip(name, name.len < 2 ? name.len : 2);
    const char *mark = NULL;
    if (bytes_starts_with(name, BYTES("d.")) && (mark = memchr(rest.ptr, '.', rest.len))) {
        ret->client_id = bytes_make(rest.ptr, (size_t)(mark - rest.ptr));
        ret->durable = bytes_skip(rest, ret->client_id.len + 1);
    } else if (bytes_starts_with(name, BYTES("Q.")) && (mark = memchr(rest.ptr, ':', rest.len))) {
        ret->queue = rest;
        ret->durable = bytes_make(rest.ptr, (size_t)(mark - rest.ptr));
        ret->group = bytes_skip(rest, ret->durable.len + 1);
    } else if (bytes_starts_with(name, BYTES("q."))) {
        ret->queue = ret->group = rest;
    }
}

uint64_t stan_inspect_redelivered(const struct stan_consumer_view *consumer, size_t max)
{
    struct pending_info infos[REDELIVERED_LOOK];
    uint64_t count = 0, from = 0;
    for (size_t looked = 0, got = 1; looked < max && got > 0; looked += got) {
        size_t want = max - looked < REDELIVERED_LOOK ? max - looked : REDELIVERED_LOOK;
        got = consumer_pending_list(consumer->consumer, from, infos, want);
        for (size_t i = 0; i < got; i++)
            count += infos[i].attempts > 1;
        from = got > 0 ? infos[got - 1].sequence + 1 : from;
    }
    return count;
}

bool stan_inspect_subscription_next(const struct stan *stan, const struct stan_channel_view *channel,
                                    struct stan_inspect_place *place, struct stan_subscription_view *ret)
{
    for (; place->kind < KIND_END; place->kind++, place->consumer = place->member = 0) {
        // The consumer that is under way, or the next one.
        uint32_t before = place->member ? place->consumer - 1 : place->consumer;
        while (stan_inspect_consumer_next(stan, channel, true, before, &ret->consumer)) {
            struct consumer *consumer = engine_consumer_after(stan->engine, channel->stream, ret->consumer.id - 1);
            uint32_t joined = ret->consumer.id == place->consumer ? place->member : 0;
            before = ret->consumer.id;
            *place = (struct stan_inspect_place){place->kind, before, 0};
            if (!is_of_kind(&ret->consumer, place->kind))
                continue;
            if (is_offline(&ret->consumer.state)) {
                offline_get(channel, &ret->consumer, ret);
                return true;
            }
            const struct member *member = engine_member_after(stan->engine, consumer, joined);
            if (!member)
                continue;
            place->member = member_id(member);
            online_get(stan, member, ret);
            return true;
        }
    }
    return false;
}

bool stan_inspect_subscription(const struct stan *stan, uint32_t id, struct stan_subscription_view *ret)
{
    const struct member *member = engine_member_by_id(stan->engine, id);
    if (member)
        online_get(stan, member, ret);
    return member;
}

size_t stan_inspect_held(const struct stan_subscription_view *subscription, struct pending_info *ret, size_t max)
{
    return subscription->member ? member_pending_list(subscription->member, ret, max)
                                : consumer_pending_list(subscription->consumer.consumer, 0, ret, max);
}

bool stan_inspect_client_next(const struct stan *stan, uint32_t *place, struct stan_client_view *ret)
{
    const struct stan_client *client = registry_after(&stan->registry, *place);
    if (client)
        *place = client->number;
    return client && stan_inspect_client(stan, client->id, ret);
}

bool stan_inspect_client(const struct stan *stan, struct bytes id, struct stan_client_view *ret)
{
    const struct stan_client *client = registry_find(&stan->registry, id);
    if (!client)
        return false;
    *ret = (struct stan_client_view){
        .number = client->number,
        .id = client->id,
        .heartbeat_inbox = client->inbox,
        .heartbeats_missed = client->failures,
        .connection = client->connection,
        .since_ns = client->since_ns,
    };
    ret->subscriptions = client->subscription_count;
    return true;
}

bool stan_inspect_client_number(const struct stan *stan, uint32_t number, struct stan_client_view *ret)
{
    const struct stan_client *client = registry_by_number(&stan->registry, number);
    return client && stan_inspect_client(stan, client->id, ret) && ret->number == number;
}

void stan_inspect_client_each(const struct stan *stan, struct bytes id, void *context,
                              void (*each)(void *context, uint32_t member, struct bytes channel))
{
    const struct stan_client *client = registry_find(&stan->registry, id);
    if (!client)
        return;
    list_foreach(link, &client->subscriptions)
    {
        const struct member *member = container_of(link, struct subscription, of_client)->member;
        each(context, member_id(member), stream_name(consumer_stream(member_consumer(member))));
    }
}

int stan_inspect_time(const struct stan *stan, const struct stan_channel_view *channel, uint64_t sequence,
                      uint64_t *ret_time_ns)
{
    return engine_message_time(stan->engine, channel->stream, sequence, ret_time_ns);
}

uint64_t stan_inspect_inactivity(const struct stan *stan, struct bytes channel)
{
    return channels_max_inactivity_ns(stan, channel);
}

const struct channel_limit *stan_inspect_limits(const struct stan *stan, uint32_t *ret_max_channels)
{
    *ret_max_channels = stan->options.max_channels;
    return channel_limits_find(stan->limits, (struct bytes){0});
}

static void channel_get(struct stream *stream, struct stan_channel_view *ret)
{
    *ret = (struct stan_channel_view){.stream = stream};
    stream_state_get(stream, &ret->state);
    ret->id = ret->state.id;
    ret->name = ret->state.config.name;
    ret->first_sequence = ret->state.last_sequence ? ret->state.first_sequence : 0;
    for (struct consumer *each = stream_consumer_next(stream, NULL); each; each = stream_consumer_next(stream, each)) {
        const struct bytes name = consumer_name_get(each);
        bool listed = !bytes_starts_with(name, BYTES("s."));
        ret->consumers += listed;
        ret->offline += listed && !consumer_member_next(each, NULL);
    }
    ret->subscriptions = ret->state.members + ret->offline;
}

static bool is_offline(const struct consumer_state *consumer)
{
    return consumer->config.durable && consumer->members == 0;
}

static bool is_of_kind(const struct stan_consumer_view *consumer, unsigned kind)
{
    bool offline = is_offline(&consumer->state);
    if (kind == KIND_GROUP)
        return consumer->queue.len > 0;
    return consumer->queue.len == 0 && offline == (kind == KIND_OFFLINE);
}

static void offline_get(const struct stan_channel_view *channel, const struct stan_consumer_view *consumer,
                        struct stan_subscription_view *ret)
{
    *ret = (struct stan_subscription_view){
        .consumer = *consumer,
        .channel = channel->name,
        .client_id = consumer->client_id,
        .is_offline = true,
        .last_sent = consumer->state.next_sequence - 1,
        .pending = consumer->state.pending,
        .redelivered = consumer->state.redelivered,
        .state = "offline",
    };
}

static void online_get(const struct stan *stan, const struct member *member, struct stan_subscription_view *ret)
{
    static const char *const states[] = {
        [MEMBER_GONE] = "gone", [MEMBER_READY] = "ready", [MEMBER_CONGESTED] = "congested"};
    const struct member_config *config = member_config_get(member);
    const struct subscription *subscription = member_context(member);
    struct member_data data = {0};
    (void)!member_data_decode(config->data, &data);
    *ret = (struct stan_subscription_view){
        .channel = stream_name(consumer_stream(member_consumer(member))),
        .client_id = data.client_id,
        .inbox = data.inbox,
        .ack_inbox = data.ack_inbox,
        .max_in_flight = config->max_in_flight,
        .ack_wait_s = config->ack_wait_ns / 1000000000,
        .last_sent = subscription ? subscription->last_sent : 0,
        .pending = member_in_flight(member),
        .redelivered = subscription ? subscription->redelivered : 0,
        .member = member,
        .state = states[member_state_get(member)],
    };
    stan_inspect_consumer(member_consumer(member), &ret->consumer);
    ret->is_stalled = ret->pending >= ret->max_in_flight;
    if (ret->ack_inbox.len == 0) {
        int length = snprintf(ret->ack_inbox_text, sizeof(ret->ack_inbox_text), "%s.ack.%u", stan->inbox_prefix,
                              member_id(member));
        ret->ack_inbox = bytes_make(ret->ack_inbox_text, (size_t)length);
    }
}
