// SPDX-License-Identifier: Apache-2.0
// Subscriptions of connections; see subscription.h. Never sends: it fills queues.
#include "broker/subscription.h"

#include "auth/permit.h"
#include "broker/connection.h"
#include "broker/connection_log.h"
#include "broker/remote_internal.h"
#include "subject/subject.h"
#include "wire/writer.h"

// Up to this size line and body are reserved in one piece; longer bodies are spread over chunks.
#define CONTIGUOUS_BODY_MAX 1024

static char *write_line(const struct subscription *subscription, const struct broker_message *message,
                        size_t header_len, char *at);
static void append_body(struct connection *connection, struct broker_message *message, bool with_header);

struct subscription *subscription_find(const struct connection *connection, struct bytes sid)
{
    return subscription_set_find(&connection->subscriptions, connection->broker->sid_seed, sid);
}

int subscription_add(struct connection *connection, struct bytes subject, struct bytes queue, struct bytes sid)
{
    struct account *account = connection->account;
    if (!subject_is_valid_subscribe(subject) || sid.len > SUBSCRIPTION_SID_LEN_MAX)
        return ERR_INVALID;
    size_t subject_len = subject_has_wildcard(subject) ? 0 : subject.len;
    size_t text_len = subject_len ? writer_prefix_len(subject.len, sid.len) : sid.len;
    // There may be millions: the text begins in what would be padding.
    size_t size = offsetof(struct subscription, text) + text_len;
    struct subscription *subscription = mem_alloc(size > sizeof(*subscription) ? size : sizeof(*subscription));
    *subscription = (struct subscription){
        .connection = connection,
        .target.literal_len = (uint32_t)subject_len,
        .sid_len = (uint16_t)sid.len,
    };
    int error = trie_insert(account->trie, &subscription->target.entry, subject, queue);
    if (error) {
        mem_free(subscription);
        return error;
    }
    if (subject_len)
        writer_prefix(subscription->text, subject, sid);
    else
        broker_copy(subscription->text, sid);
    subscription_set_add(&connection->subscriptions, connection->broker->sid_seed, subscription);
    subscription->target.is_filtered = connection->permit && permit_filters(connection->permit, subject);
    account->subscription_count++;
    connection->broker->stats.subscriptions++;
    broker_inlet_count_overlap(account, NULL, subject, 1);
    broker_watch_touch(account, subject, false);
    if (connection->broker->remotes)
        remote_wait_begin(connection, remote_interest_add(connection->broker->remotes, account, subject, queue));
    return 0;
}

void subscription_remove(struct subscription *subscription)
{
    struct connection *connection = subscription->connection;
    struct broker *broker = connection->broker;
    must(!subscription->target.dead);
    if (connection_is_traced(connection))
        connection_trace_end(connection, subscription_sid(subscription));
    struct account *account = connection->account;
    if (account->prefix_count > 0 || account->watch_count > 0 || broker->remotes) {
        struct bytes pattern = subscription_pattern(subscription);
        if (broker->remotes)
            remote_interest_remove(broker->remotes, account, pattern, trie_entry_queue(&subscription->target.entry));
        broker_inlet_count_overlap(account, NULL, pattern, -1);
        broker_watch_touch(account, pattern, false);
    }
    trie_remove(account->trie, &subscription->target.entry);
    // Not when all of them go.
    if (connection->subscriptions.count > 0)
        subscription_set_remove(&connection->subscriptions, broker->sid_seed, subscription);
    account->subscription_count--;
    broker->stats.subscriptions--;
    broker_bury(broker, &subscription->target);
}

void subscription_limit(struct subscription *subscription, uint64_t max)
{
    if (max > subscription->delivered)
        subscription->max = max;
    else
        subscription_remove(subscription);
}

bool subscription_deliver(struct subscription *subscription, struct broker_message *message)
{
    if (subscription->target.dead)
        return false;
    struct connection *connection = subscription->connection;
    struct broker *broker = connection->broker;
    if (connection->state != CONNECTION_OPEN || (connection == message->from && !connection->echo))
        return false;
    if (subscription->target.is_filtered && !permit_deliver(connection->permit, message->subject))
        return false;
    if (connection->permit && message->reply.len > 0)
        connection_note_reply(connection, message->reply);
    bool with_header = message->header.len > 0 && connection->headers;
    size_t header_len = with_header ? message->header.len : 0;
    size_t body_len = header_len + message->payload_len;
    bool contiguous = body_len <= CONTIGUOUS_BODY_MAX;
    size_t room = writer_prefix_len(message->subject.len, subscription->sid_len) +
                  writer_msg_end_len_max(message->reply.len) + (contiguous ? body_len + 2 : 0);
    char *begin = outbound_reserve(&connection->outbound, &broker->cache, room);
    char *at = write_line(subscription, message, header_len, begin);
    if (connection_is_traced(connection))
        connection_trace_out(connection, bytes_make(begin, (size_t)(at - begin)));
    if (contiguous) {
        if (with_header)
            at = broker_copy(at, message->header);
        for (size_t i = 0; i < message->part_count; i++)
            at = broker_copy(at, message->parts[i]);
        *at++ = '\r';
        *at++ = '\n';
        outbound_commit(&connection->outbound, at);
    } else {
        outbound_commit(&connection->outbound, at);
        append_body(connection, message, with_header);
    }
    connection->traffic.out_msgs++;
    connection->traffic.out_bytes += body_len;
    connection_queued(connection);
    if (++subscription->delivered == subscription->max)
        subscription_remove(subscription);
    return true;
}

struct bytes subscription_pattern(const struct subscription *subscription)
{
    if (subscription->target.literal_len)
        return bytes_make(subscription->text + sizeof("HMSG ") - 1, subscription->target.literal_len);
    char *scratch = subscription->connection->broker->scratch;
    return bytes_make(scratch, trie_entry_pattern(&subscription->target.entry, scratch, SUBJECT_LEN_MAX));
}

static char *write_line(const struct subscription *subscription, const struct broker_message *message,
                        size_t header_len, char *at)
{
    if (!subscription->target.literal_len)
        return writer_msg(at, message->subject, subscription_sid(subscription), message->reply, header_len > 0,
                          header_len, message->payload_len);
    size_t prefix_len = writer_prefix_len(subscription->target.literal_len, subscription->sid_len);
    size_t skip = header_len > 0 ? 0 : 1;
    at = broker_copy(at, bytes_make(subscription->text + skip, prefix_len - skip));
    if (header_len > 0)
        return writer_hmsg_end(at, message->reply, header_len, message->payload_len);
    return writer_msg_end(at, message->reply, message->payload_len);
}

static void append_body(struct connection *connection, struct broker_message *message, bool with_header)
{
    struct outbound *outbound = &connection->outbound;
    struct outbound_cache *cache = &connection->broker->cache;
    if (message->shares_block && (with_header || message->header.len == 0)) {
        outbound_append_block(outbound, cache, broker_message_block(connection->broker, message));
    } else {
        if (with_header)
            outbound_append(outbound, cache, message->header);
        for (size_t i = 0; i < message->part_count; i++)
            outbound_append(outbound, cache, message->parts[i]);
    }
    outbound_append(outbound, cache, BYTES("\r\n"));
}
