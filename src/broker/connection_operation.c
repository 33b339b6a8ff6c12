// SPDX-License-Identifier: Apache-2.0
// What a client's operations do (CO-P02…P05, P07, P13). Errors and their fates are those of nats-server.
#include "broker/connection.h"

#include "broker/connection_log.h"
#include "broker/remote_internal.h"
#include "broker/subscription.h"
#include "broker/system_user_info.h"
#include "subject/subject.h"
#include "wire/connect.h"
#include "wire/writer.h"

#define NO_RESPONDERS_BEGIN BYTES("NATS/1.0 503\r\nNats-Subject: ")
#define NO_RESPONDERS_END   BYTES("\r\n\r\n")

static void connect(struct connection *connection, const struct wire_op *op);
static void ping(struct connection *connection);
static enum wire_error connect_error(const struct wire_connect *options);
static void pong(struct connection *connection);
static void publish(struct connection *connection, const struct wire_op *op);
static inline bool needs_permission(const struct connection *connection, const struct wire_op *op);
static inline bool is_administrative(struct bytes subject);
static struct subscription *find_own(struct connection *connection, const struct trie_match *match);
static void subscribe(struct connection *connection, const struct wire_op *op);
static void unsubscribe(struct connection *connection, const struct wire_op *op);

void connection_operate(struct connection *connection, const struct wire_op *op)
{
    if (connection_is_traced(connection))
        connection_trace_in(connection, op);
    switch (op->kind) {
    case WIRE_PUB: publish(connection, op); break;
    case WIRE_SUB: subscribe(connection, op); break;
    case WIRE_UNSUB: unsubscribe(connection, op); break;
    case WIRE_PING: ping(connection); break;
    case WIRE_PONG: pong(connection); break;
    case WIRE_CONNECT: connect(connection, op); break;
    case WIRE_MINUS_ERR: connection_finish(connection, "Client Closed"); break; // it gives up
    case WIRE_INFO:
    case WIRE_PLUS_OK: break; // accepted from anybody, for what only other servers send
    case WIRE_MSG: must(false); break;
    }
}

// Through its own subscription to the reply subject; without one there is nobody to tell.
void connection_tell_no_responders(struct connection *connection, struct bytes subject, struct bytes reply)
{
    struct broker *broker = connection->broker;
    if (connection->state != CONNECTION_OPEN)
        return;
    struct trie *trie = connection->account->trie;
    const struct trie_match *match = trie_match_find(trie, reply);
    struct subscription *own = find_own(connection, match);
    if (own) {
        char digits[NUMBER_MAX_DIGITS];
        struct bytes sid = subscription_sid_text(own, digits);
        size_t header_len = NO_RESPONDERS_BEGIN.len + subject.len + NO_RESPONDERS_END.len;
        size_t room = writer_msg_len_max(reply.len, sid.len, 0) + header_len + 2;
        char *begin = outbound_reserve(&connection->outbound, &broker->cache, room);
        char *at = writer_msg(begin, reply, sid, (struct bytes){0}, true, header_len, 0);
        at = broker_copy(at, NO_RESPONDERS_BEGIN);
        at = broker_copy(at, subject);
        at = broker_copy(at, NO_RESPONDERS_END);
        at = broker_copy(at, BYTES("\r\n"));
        if (connection_is_traced(connection))
            connection_trace_out(connection, bytes_make(begin, (size_t)(at - begin)));
        outbound_commit(&connection->outbound, at);
        connection_queued(connection);
    }
    trie_match_release(trie, match);
}

static void connect(struct connection *connection, const struct wire_op *op)
{
    // Of another CONNECT: what it leaves out stays.
    struct wire_connect options = {
        .verbose = connection->verbose,
        .pedantic = connection->pedantic,
        .echo = connection->echo,
        .headers = connection->headers,
        .no_responders = connection->no_responders,
        .protocol = connection->takes_info,
    };
    if (connect_parse_over(op->text, &options)) {
        connection_fail(connection, WIRE_PARSER_ERROR);
        return;
    }
    connection->echo = options.echo;
    connection->verbose = options.verbose;
    connection->pedantic = options.pedantic;
    connection->headers = options.headers;
    connection->no_responders = options.no_responders;
    connection->takes_info = options.protocol >= 1;
    connection_client_set(connection, &options);
    connection->connected = true;
    connection->connect_error = (uint8_t)connect_error(&options);
    connection_login(connection, &options);
    connect_deinit(&options);
}

// What is said about it once it is known who it is.
static enum wire_error connect_error(const struct wire_connect *options)
{
    if (options->account.len)
        return WIRE_AUTHORIZATION_VIOLATION; // a wish that nobody may have any more
    if (!connect_is_supported(options))
        return WIRE_INVALID_CLIENT_PROTOCOL;
    return options->no_responders && !options->headers ? WIRE_NO_RESPONDERS_NEEDS_HEADERS : WIRE_OK;
}

// As nats-server, an INFO that is due follows the first PONG after CONNECT: clients wait for that one in their handshake (CO-P18).
static void ping(struct connection *connection)
{
    connection_send(connection, BYTES(WRITER_PONG));
    if (!connection->connected || connection->was_ponged)
        return;
    connection->was_ponged = true;
    if (connection->info_is_due)
        broker_info_push(connection);
}

static void pong(struct connection *connection)
{
    connection->pings_out = 0;
    if (connection->ping_sent_ns > 0)
        connection->rtt_ns = connection->broker->now.mono_ns - connection->ping_sent_ns;
    connection->ping_sent_ns = 0;
}

static void publish(struct connection *connection, const struct wire_op *op)
{
    if (op->has_header && !connection->headers) {
        connection_fail(connection, WIRE_HEADERS_NOT_SUPPORTED);
        return;
    }
    struct broker_message message = {
        .subject = op->subject,
        .reply = op->reply,
        .header = op->has_header ? op->header : (struct bytes){0},
        .parts = &op->payload,
        .part_count = 1,
        .payload_len = op->payload.len,
        .from = connection,
    };
    connection_active(connection);
    connection->traffic.in_msgs++;
    connection->traffic.in_bytes += message.header.len + message.payload_len;
    // Told, but carried out all the same: that is what nats-server does.
    if (connection->pedantic && !subject_is_valid_publish(op->subject))
        connection_fail(connection, WIRE_INVALID_PUBLISH_SUBJECT);
    if (needs_permission(connection, op) && !connection_may_publish(connection, op->subject, op->reply))
        return;
    connection_confirm(connection);
    if (is_administrative(op->subject))
        message.standing = connection_standing(connection, op->subject);
    if (inlet_run_add(&connection->broker->run, connection, &message))
        return;
    if (op->subject.len == sizeof(SYSTEM_USER_INFO_SUBJECT) - 1 &&
        system_user_info_take(connection, op->subject, op->reply))
        return;
    size_t count = broker_route(connection->account, &message);
    if (count == 0 && op->reply.len > 0 && connection->no_responders && connection->state == CONNECTION_OPEN)
        connection_tell_no_responders(connection, op->subject, op->reply);
}

// Nearly everything goes past here without a call.
static inline bool needs_permission(const struct connection *connection, const struct wire_op *op)
{
    return connection->permit || (op->subject.len > 1 && op->subject.ptr[0] == '_' && op->subject.ptr[1] == 'G') ||
           (op->reply.len > 1 && (op->reply.ptr[0] == '$' || (op->reply.ptr[0] == '_' && op->reply.ptr[1] != 'I')));
}

static inline bool is_administrative(struct bytes subject)
{
    return bytes_starts_with(subject, BYTES(BROKER_ADMIN_PREFIX));
}

static struct subscription *find_own(struct connection *connection, const struct trie_match *match)
{
    for (uint32_t i = 0; i < match->count; i++) {
        struct target *target = container_of(match->entries[i], struct target, entry);
        if (target->kind != TARGET_SUBSCRIPTION || target->dead)
            continue;
        struct subscription *subscription = container_of(target, struct subscription, target);
        if (subscription->connection == connection)
            return subscription;
    }
    return NULL;
}

static void subscribe(struct connection *connection, const struct wire_op *op)
{
    connection_active(connection);
    if (!connection_may_subscribe(connection, op->subject, op->queue) ||
        !connection_may_have_tokens(connection, op->subject))
        return;
    if (connection->subscriptions.count >= connection->subscriptions_max) {
        connection_fail(connection, WIRE_MAX_SUBSCRIPTIONS);
        return;
    }
    // A sid in use keeps its subscription; that is no error.
    int error = 0;
    if (!subscription_find(connection, op->sid))
        error = subscription_add(connection, op->subject, op->queue, op->sid);
    if (error)
        connection_fail(connection, error == ERR_LIMIT ? WIRE_MAX_SUBJECT_TOKENS : WIRE_INVALID_SUBJECT);
    else if (connection->is_waiting && connection->verbose)
        remote_wait_for_ok(connection);
    else
        connection_confirm(connection);
}

static void unsubscribe(struct connection *connection, const struct wire_op *op)
{
    connection_active(connection);
    struct subscription *subscription = subscription_find(connection, op->sid);
    connection_confirm(connection);
    if (subscription)
        subscription_limit(subscription, op->max);
}

void connection_confirm(struct connection *connection)
{
    if (connection->verbose && connection->state == CONNECTION_OPEN)
        connection_send(connection, BYTES(WRITER_OK));
}
