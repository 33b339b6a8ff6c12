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

static void append_body(struct connection *connection, struct broker_message *message, bool with_header);

struct subscription_sid subscription_sid_of(struct bytes text)
{
    struct subscription_sid sid = {.text = text};
    uint64_t number;
    bool is_plain = text.len > 0 && (text.ptr[0] != '0' || text.len == 1);
    if (is_plain && number_parse_u64(text, UINT32_MAX, &number) == 0) {
        sid.is_number = true;
        sid.number = (uint32_t)number;
    }
    return sid;
}

struct bytes subscription_sid_text(const struct subscription *subscription, char room[NUMBER_MAX_DIGITS])
{
    if (!subscription->target.has_text)
        return bytes_make(room, (size_t)(writer_number(room, subscription->target.sid) - room));
    uint16_t len;
    memcpy(&len, subscription->text, sizeof(len));
    return bytes_make(subscription->text + sizeof(len), len);
}

bool subscription_has_sid(const struct subscription *subscription, const struct subscription_sid *sid)
{
    if (subscription->target.has_text == sid->is_number || subscription->target.sid != sid->number)
        return false;
    return sid->is_number || bytes_equal(subscription_sid_text(subscription, NULL), sid->text);
}

struct subscription *subscription_new(const struct subscription_sid *sid)
{
    uint16_t len = (uint16_t)sid->text.len;
    size_t text_size = sid->is_number ? 0 : sizeof(len) + len;
    struct subscription *subscription = mem_alloc(sizeof(*subscription) + text_size);
    *subscription = (struct subscription){.target.has_text = !sid->is_number, .target.sid = sid->number};
    if (!sid->is_number) {
        memcpy(subscription->text, &len, sizeof(len));
        broker_copy(subscription->text + sizeof(len), sid->text);
    }
    return subscription;
}

struct subscription *subscription_find(const struct connection *connection, struct bytes sid)
{
    struct subscription_sid wanted = subscription_sid_of(sid);
    return subscription_set_find(&connection->subscriptions, connection->broker->sid_seed, &wanted);
}

int subscription_add(struct connection *connection, struct bytes subject, struct bytes queue, struct bytes sid)
{
    struct account *account = connection->account;
    if (!subject_is_valid_subscribe(subject) || sid.len > SUBSCRIPTION_SID_LEN_MAX)
        return ERR_INVALID;
    struct subscription_sid own = subscription_sid_of(sid);
    struct subscription *subscription = subscription_new(&own);
    subscription->connection = connection;
    int error = trie_insert(account->trie, &subscription->target.entry, subject, queue);
    if (error) {
        mem_free(subscription);
        return error;
    }
    subscription_set_add(&connection->subscriptions, connection->broker->sid_seed, subscription);
    subscription->target.is_filtered = connection->permit && permit_filters(connection->permit, subject);
    account->subscription_count++;
    connection->broker->stats.subscriptions++;
    broker_inlet_count_overlap(account, NULL, subject, 1);
    broker_watch_touch(account, subject, false);
    if (connection->broker->remotes)
        remote_wait_begin(connection, remote_interest_add(connection->broker->remotes, account, subject, queue));
    if (connection->broker->leaving_count > 0)
        connection_leave_two(connection->broker);
    return 0;
}

void subscription_remove(struct subscription *subscription)
{
    struct connection *connection = subscription->connection;
    subscription_set_remove(&connection->subscriptions, connection->broker->sid_seed, subscription);
    connection->account->subscription_count--;
    connection->broker->stats.subscriptions--;
    subscription_end(subscription);
}

void subscription_end(struct subscription *subscription)
{
    struct connection *connection = subscription->connection;
    struct broker *broker = connection->broker;
    must(!subscription->target.dead);
    if (connection_is_traced(connection) && !connection->is_gone) {
        char room[NUMBER_MAX_DIGITS];
        connection_trace_end(connection, subscription_sid_text(subscription, room));
    }
    struct account *account = connection->account;
    if (account->prefix_count > 0 || account->watch_count > 0 || broker->remotes) {
        struct bytes pattern = subscription_pattern(subscription);
        if (broker->remotes)
            remote_interest_remove(broker->remotes, account, pattern, trie_entry_queue(&subscription->target.entry));
        broker_inlet_count_overlap(account, NULL, pattern, -1);
        broker_watch_touch(account, pattern, false);
    }
    trie_remove(account->trie, &subscription->target.entry);
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
    char digits[NUMBER_MAX_DIGITS];
    struct bytes sid = subscription_sid_text(subscription, digits);
    size_t room =
        writer_msg_len_max(message->subject.len, sid.len, message->reply.len) + (contiguous ? body_len + 2 : 0);
    char *begin = outbound_reserve(&connection->outbound, &broker->cache, room);
    char *at = writer_msg(begin, message->subject, sid, message->reply, with_header, header_len, message->payload_len);
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
    char *scratch = subscription->connection->broker->scratch;
    return bytes_make(scratch, trie_entry_pattern(&subscription->target.entry, scratch, SUBJECT_LEN_MAX));
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
