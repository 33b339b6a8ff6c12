// SPDX-License-Identifier: Apache-2.0
#include "broker/inspection_describe.h"

#include <stdio.h>

#include "broker/subscription.h"

static void show_tls(void *owner, const struct net_tls_info *info);
static uint64_t wall_at(const struct broker *broker, uint64_t mono_ms);
static char *copy_text(char *at, struct bytes *text);
static char *copy_subscription(const struct subscription *subscription, struct bytes account,
                               struct inspection_subscription *ret_copy, char *at);

void inspection_describe(const struct connection *connection, struct inspection_connection *ret_info)
{
    const struct broker *broker = connection->broker;
    const struct connection_client *client = connection->client;
    *ret_info = (struct inspection_connection){
        .cid = connection->id,
        .type = connection->peer.transport == NET_WEBSOCKET ? "websocket" : "nats",
        .port = connection->peer.port,
        .start_ns = connection->start_ns,
        .last_activity_ns = wall_at(broker, connection->last_active_ms),
        .reason = connection->reason,
        .rtt_ns = connection->rtt_ns,
        .pending_bytes = connection->outbound.size_bytes,
        .in_msgs = connection->traffic.in_msgs,
        .out_msgs = connection->traffic.out_msgs,
        .in_bytes = connection->traffic.in_bytes,
        .out_bytes = connection->traffic.out_bytes,
        .subscription_count = connection->is_leaving ? 0 : connection->subscriptions.count,
        .user = connection_user_name(connection),
        .account = account_name(connection->account),
        .tls_first = connection->tls_first,
    };
    memcpy(ret_info->ip, connection->peer.ip, sizeof(ret_info->ip));
    net_describe_tls(connection->net, ret_info, show_tls);
    if (client) {
        ret_info->name = client->name;
        ret_info->lang = client->lang;
        ret_info->version = client->version;
    }
}

void inspection_texts(struct inspection_connection *info, struct bytes *ret_texts[INSPECTION_TEXTS])
{
    struct bytes *texts[INSPECTION_TEXTS] = {&info->name, &info->lang, &info->version, &info->user, &info->account};
    memcpy(ret_texts, texts, sizeof(texts));
}

void inspection_describe_subscription(const struct subscription *subscription, char room[NUMBER_MAX_DIGITS],
                                      struct inspection_subscription *ret_info)
{
    *ret_info = (struct inspection_subscription){
        .account = account_name(subscription->connection->account),
        .subject = subscription_pattern(subscription),
        .queue = trie_entry_queue(&subscription->target.entry),
        .sid = subscription_sid_text(subscription, room),
        .delivered = subscription->delivered,
        .max = subscription->max,
        .cid = subscription->connection->id,
    };
}

size_t inspection_text_size(const struct inspection_connection *info, const struct connection *connection,
                            uint32_t listed)
{
    size_t size = info->name.len + info->lang.len + info->version.len + info->user.len + info->account.len;
    subscription_set_foreach(subscription, &connection->subscriptions)
    {
        if (listed-- == 0)
            break;
        char digits[NUMBER_MAX_DIGITS];
        size += subscription_pattern(subscription).len + trie_entry_queue(&subscription->target.entry).len +
                subscription_sid_text(subscription, digits).len;
    }
    return size;
}

void inspection_copy(const struct inspection_connection *info, const struct connection *connection, uint32_t listed,
                     struct inspection_connection *ret_copy, void *to)
{
    struct inspection_subscription *subscriptions = to;
    char *at = (char *)(subscriptions + listed);
    *ret_copy = *info;
    struct bytes *texts[INSPECTION_TEXTS];
    inspection_texts(ret_copy, texts);
    for (size_t i = 0; i < INSPECTION_TEXTS; i++)
        at = copy_text(at, texts[i]);
    ret_copy->subscriptions = subscriptions;
    ret_copy->listed_count = 0;
    subscription_set_foreach(subscription, &connection->subscriptions)
    {
        if (ret_copy->listed_count == listed)
            break;
        at = copy_subscription(subscription, ret_copy->account, &subscriptions[ret_copy->listed_count++], at);
    }
}

static void show_tls(void *owner, const struct net_tls_info *info)
{
    struct inspection_connection *to = owner;
    snprintf(to->tls_version, sizeof(to->tls_version), "%s", info->version);
    snprintf(to->tls_cipher_suite, sizeof(to->tls_cipher_suite), "%s", info->cipher_suite);
}

// The wall clock when the monotonic one showed this; both are known of the current turn.
static uint64_t wall_at(const struct broker *broker, uint64_t mono_ms)
{
    uint64_t passed_ns = (broker->now_ms - mono_ms) * 1000000;
    return broker->now.wall_ns > passed_ns ? broker->now.wall_ns - passed_ns : 0;
}

static char *copy_text(char *at, struct bytes *text)
{
    char *end = broker_copy(at, *text);
    *text = bytes_make(at, text->len);
    return end;
}

static char *copy_subscription(const struct subscription *subscription, struct bytes account,
                               struct inspection_subscription *ret_copy, char *at)
{
    char room[NUMBER_MAX_DIGITS];
    inspection_describe_subscription(subscription, room, ret_copy);
    ret_copy->account = account;
    at = copy_text(at, &ret_copy->subject);
    at = copy_text(at, &ret_copy->queue);
    return copy_text(at, &ret_copy->sid);
}
