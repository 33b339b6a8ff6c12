// SPDX-License-Identifier: Apache-2.0
// tidy: prefix deliver
// The engine's adapter: what is delivered becomes a MsgProto (ST-M03) to the subscription's inbox (ST-P10), with the message's NATS
// headers, which only connections that take headers get; and a member is ready exactly while somebody listens there.
#include "base/memory.h"
#include "base/must.h"
#include "base/prefetch.h"
#include "stan/channel.h"
#include "stan/dead_letter.h"
#include "stan/envelope.h"
#include "stan/member_data.h"
#include "stan/stan_internal.h"

enum { NOT_COPIED_MS = 60000 }; // between two lines about it

static bool deliver(void *owner, const struct delivery *delivery);
static void member_added(void *owner, struct member *member, bool recovered);
static void member_removed(void *owner, struct member *member);
static int dead_letter(void *owner, const struct dead_letter *letter, struct stream **ret_stream,
                       struct buffer *headers);
static void not_copied(void *owner, struct consumer *consumer, const struct dead_info *dead);
static void ahead(void *owner, void *const *contexts, size_t count);
static void interest_changed(struct broker_watch *watch, enum broker_interest interest);

void deliver_adapter(struct stan *stan, struct engine_adapter *ret_adapter)
{
    *ret_adapter = (struct engine_adapter){
        .owner = stan,
        .deliver = deliver,
        .member_added = member_added,
        .member_removed = member_removed,
        .dead_letter = dead_letter,
        .not_copied = not_copied,
        .ahead = ahead,
    };
}

void deliver_forget(struct subscription *subscription)
{
    struct stan *stan = subscription->stan;
    member_set_context(subscription->member, NULL);
    broker_watch_remove(stan->broker, &subscription->watch);
    if (subscription->former_ack.implementation)
        broker_inlet_remove(stan->broker, &subscription->former_ack);
    if (subscription->client)
        subscription->client->subscription_count--;
    list_remove(&subscription->of_client);
    list_remove(&subscription->link);
    stan->subscriptions--;
    mem_free(subscription);
}

static bool deliver(void *owner, const struct delivery *delivery)
{
    struct stan *stan = owner;
    struct subscription *subscription = member_context(delivery->member);
    if (!subscription || broker_watch_is_behind(&subscription->watch))
        return false;
    const struct message_record *message = delivery->message;
    struct envelope_delivery envelope = {
        .sequence = message->sequence,
        .subject = stream_name(delivery->stream),
        .reply = message->reply,
        .data_len = message->payload.len,
        .time_ns = message->time_ns,
        .redelivery_count = delivery->redelivery_count,
    };
    buffer_clear(&stan->scratch);
    char *head = buffer_reserve(&stan->scratch, envelope_head_size(&envelope) + ENVELOPE_TAIL_MAX);
    must(head);
    size_t head_len = envelope_head_encode(head, &envelope);
    size_t tail_len = envelope_tail_encode(head + head_len, &envelope);
    const struct bytes parts[] = {bytes_make(head, head_len), message->payload, bytes_make(head + head_len, tail_len)};
    if (broker_publish_along(stan->broker, &subscription->path, subscription->inbox, message->headers, parts, 3) == 0)
        return false;
    if (delivery->first)
        subscription->last_sent = message->sequence;
    else
        subscription->redelivered++;
    stan->stats.out_msgs++;
    stan->stats.out_bytes += message->payload.len;
    return true;
}

static void member_added(void *owner, struct member *member, bool recovered)
{
    struct stan *stan = owner;
    struct member_data data;
    if (member_data_decode(member_config_get(member)->data, &data))
        return;
    struct subscription *subscription = mem_alloc_aligned(PREFETCH_LINE_BYTES, sizeof(*subscription));
    memset(subscription, 0, sizeof(*subscription));
    subscription->stan = stan;
    subscription->member = member;
    subscription->inbox = data.inbox;
    subscription->ack_inbox = data.ack_inbox;
    struct consumer_state consumer;
    consumer_state_get(member_consumer(member), &consumer);
    subscription->last_sent = consumer.next_sequence - 1;
    // By number: its id may be another's by now.
    struct stan_client *client = registry_by_number(&stan->registry, data.client);
    subscription->client = client && !client->close_index && !client->closing ? client : NULL;
    subscription->remove_index = subscribe_joined(stan, member);
    list_push_back(&stan->all, &subscription->link);
    member_set_context(member, subscription);
    // Without its client it was cut short by a crash or by the client's end: it goes at the turn's end.
    list_push_back(subscription->client ? &subscription->client->subscriptions : &stan->orphans,
                   &subscription->of_client);
    if (subscription->client)
        subscription->client->subscription_count++;
    if (subscription->client && subscription->client->failures)
        engine_member_set_suspect(stan->engine, member, true);
    stan->subscriptions++;
    subscription->former_ack.on_message = acknowledge_on_former;
    if (data.ack_inbox.len && broker_inlet_add(stan->broker, &subscription->former_ack, data.ack_inbox))
        logger_write(stan->options.logger, LOG_WARN,
                     "%.*s is no subject: what its subscription acknowledges is not heard", BYTES_ARG(data.ack_inbox));
    subscription->watch.on_change = interest_changed;
    interest_changed(&subscription->watch, broker_watch_add(stan->broker, &subscription->watch, subscription->inbox));
}

static void member_removed(void *owner, struct member *member)
{
    (void)owner;
    if (member_context(member))
        deliver_forget(member_context(member));
}

static int dead_letter(void *owner, const struct dead_letter *letter, struct stream **ret_stream,
                       struct buffer *headers)
{
    struct stan *stan = owner;
    struct stream_state origin;
    stream_state_get(letter->stream, &origin);
    struct bytes name = origin.config.dead_letter;
    int error = dead_letter_headers(letter, headers);
    if (error || !channel_name_is_valid(name))
        return error ? error : ERR_INVALID;
    *ret_stream = engine_stream_find(stan->engine, origin.config.account, name);
    if (!*ret_stream)
        error = channels_create(stan, name, ret_stream);
    if (error && !stan->dead_letters_wait)
        logger_write(stan->options.logger, LOG_WARN,
                     "dead messages of channel %.*s wait, because channel %.*s cannot be made for them: %s",
                     BYTES_ARG(origin.config.name), BYTES_ARG(name), error_text(error));
    stan->dead_letters_wait = error != 0;
    return error ? ERR_AGAIN : 0; // whatever stands in the way may go
}

// One line for many: a cycle of channels may make thousands.
static void not_copied(void *owner, struct consumer *consumer, const struct dead_info *dead)
{
    struct stan *stan = owner;
    uint64_t now_ms = moment_mono_ms(stan->now);
    stan->not_copied++;
    if (now_ms < stan->not_copied_ms)
        return;
    struct stream_state state;
    stream_state_get(consumer_stream(consumer), &state);
    logger_write(stan->options.logger, LOG_WARN,
                 "%llu dead messages did not get to their dead letter channel, the last one, %llu of channel %.*s, not "
                 "to %.*s: they "
                 "came to too many dead letter channels, could not be read, or are too large",
                 (unsigned long long)stan->not_copied, (unsigned long long)dead->sequence, BYTES_ARG(state.config.name),
                 BYTES_ARG(state.config.dead_letter));
    stan->not_copied = 0;
    stan->not_copied_ms = now_ms + NOT_COPIED_MS;
}

// Each step for all before the next one, which needs what it has called for.
static void ahead(void *owner, void *const *contexts, size_t count)
{
    (void)owner;
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(contexts[i], 1);
    for (size_t i = 0; i < count; i++) {
        const struct subscription *subscription = contexts[i];
        if (!subscription)
            continue;
        prefetch_lines(subscription->inbox.ptr, subscription->inbox.len);
        broker_path_ahead(&subscription->path);
    }
}

static void interest_changed(struct broker_watch *watch, enum broker_interest interest)
{
    struct subscription *subscription = container_of(watch, struct subscription, watch);
    enum member_state state = interest == BROKER_INTEREST_NONE    ? MEMBER_GONE
                              : interest == BROKER_INTEREST_READY ? MEMBER_READY
                                                                  : MEMBER_CONGESTED;
    engine_member_set_state(subscription->stan->engine, subscription->member, state, stan_time(subscription->stan));
}
