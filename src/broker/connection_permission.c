// SPDX-License-Identifier: Apache-2.0
// What a connection may publish and subscribe (CO-S06), and how it is told that it may not (CO-P14): the words, their order and
// their quotes are nats-server's.
#include "auth/permit.h"
#include "auth/replies.h"
#include "broker/connection.h"
#include "broker/connection_log.h"
#include "broker/subscription.h"
#include "subject/subject.h"
#include "wire/quote.h"

#define REFUSALS_LOGGED 10             // lines per connection
#define QUOTED_SIZE     160            // of a name or a subject in one
#define SYSTEM_GROUP    BYTES("_sys_") // queue group of what only servers subscribe to

// The parts of "-ERR '<text>"<first>"<joint>"<second>"<end>'".
struct violation {
    enum wire_error error;
    struct bytes first, joint, second, end;
};

static bool take_reply(struct connection *connection, struct bytes subject);
static bool is_reserved_reply(struct bytes reply);
static void tell(struct connection *connection, const struct violation *violation);
static void append(struct buffer *line, struct bytes bytes);
static void append_quoted(struct buffer *line, struct bytes bytes);
static const char *quote(struct bytes bytes, char room[QUOTED_SIZE]);

void connection_note_reply(struct connection *connection, struct bytes reply)
{
    if (connection->identity->replies)
        replies_add(connection->identity->replies, reply, connection->broker->now_ms);
}

bool connection_may_publish(struct connection *connection, struct bytes subject, struct bytes reply)
{
    if (subject.len > 5 && bytes_starts_with(subject, BYTES("_GR_."))) {
        tell(connection, &(struct violation){.error = WIRE_PUBLISH_PERMISSION, .first = subject});
        return false;
    }
    if (connection->permit && !permit_publish(connection->permit, subject) && !take_reply(connection, subject)) {
        tell(connection, &(struct violation){.error = WIRE_PUBLISH_PERMISSION, .first = subject});
        connection_log_refusal(connection, "Publish Violation", connection_user_name(connection), subject);
        return false;
    }
    if (is_reserved_reply(reply)) {
        tell(connection, &(struct violation){.error = WIRE_REPLY_PERMISSION, .first = reply});
        connection_log_refusal(connection, "Publish Violation", connection_user_name(connection), reply);
        return false;
    }
    return true;
}

bool connection_may_subscribe(struct connection *connection, struct bytes subject, struct bytes queue)
{
    bool allowed = !bytes_equal(queue, SYSTEM_GROUP);
    if (allowed && (!connection->permit || permit_subscribe(connection->permit, subject, queue)))
        return true;
    struct violation violation = {.error = WIRE_SUBSCRIBE_PERMISSION, .first = subject};
    if (queue.len) {
        violation.joint = BYTES(" using queue ");
        violation.second = queue;
    }
    tell(connection, &violation);
    connection_log_refusal(connection, "Subscription Violation", connection_user_name(connection), subject);
    return false;
}

bool connection_may_have_tokens(struct connection *connection, struct bytes subject)
{
    uint32_t max = connection->broker->options.max_sub_tokens;
    if (max == 0 || subject_token_count(subject) <= max)
        return true;
    tell(connection,
         &(struct violation){.error = WIRE_SUBSCRIBE_PERMISSION, .first = subject, .end = BYTES(", too many tokens")});
    connection_log_refusal(connection, "Subscription Violation, too many tokens", connection_user_name(connection),
                           subject);
    return false;
}

// Who is behind an uplink, and what speaks for them, only the server there knows.
enum inlet_standing connection_standing(const struct connection *connection, struct bytes subject)
{
    const struct broker *broker = connection->broker;
    if (broker->options.has_uplink)
        return INLET_STANDING_NONE;
    // A page of any site that a browser here shows can open a websocket, and what ends TLS for others is often here, too.
    if (!broker->auth || !auth_config_view(broker->auth)->has_users)
        return connection->peer.transport != NET_WEBSOCKET && net_peer_is_local(&connection->peer)
                   ? INLET_STANDING_LOCAL
                   : INLET_STANDING_NONE;
    bool named = connection->permit && permit_names(permit_permissions(connection->permit), subject);
    return named ? INLET_STANDING_NAMED : INLET_STANDING_NONE;
}

void connection_permission_recheck(struct connection *connection)
{
    struct subscription **lost = mem_alloc((connection->subscriptions.count + 1) * sizeof(struct subscription *));
    uint32_t lost_count = 0;
    subscription_set_foreach(subscription, &connection->subscriptions)
    {
        char digits[NUMBER_MAX_DIGITS];
        struct bytes pattern = subscription_pattern(subscription);
        struct bytes queue = trie_entry_queue(&subscription->target.entry);
        if (!connection->permit || permit_subscribe(connection->permit, pattern, queue)) {
            subscription->target.is_filtered = connection->permit && permit_filters(connection->permit, pattern);
            continue;
        }
        // First, since the pattern does not outlive what telling may lead to.
        connection_log_refusal(connection, "Subscription removed, not authorized", connection_user_name(connection),
                               pattern);
        tell(connection, &(struct violation){
                             .error = WIRE_SUBSCRIBE_PERMISSION,
                             .first = pattern,
                             .joint = BYTES(" (sid "),
                             .second = subscription_sid_text(subscription, digits),
                             .end = BYTES(")"),
                         });
        lost[lost_count++] = subscription;
    }
    for (uint32_t i = 0; i < lost_count; i++)
        subscription_remove(lost[i]);
    mem_free(lost);
}

// Who logs much because of a client that does not listen fills disks.
void connection_log_refusal(struct connection *connection, const char *what, struct bytes user, struct bytes subject)
{
    char quoted[2][QUOTED_SIZE];
    if (connection->log_count >= REFUSALS_LOGGED)
        return;
    connection->log_count++;
    bool is_last = connection->log_count == REFUSALS_LOGGED;
    connection_log(connection, LOG_ERROR, "%s - User \"%s\"%s%s%s%s", what, quote(user, quoted[0]),
                   subject.len ? ", Subject \"" : "", subject.len ? quote(subject, quoted[1]) : "",
                   subject.len ? "\"" : "",
                   is_last ? " (the last of this kind that is logged for this connection)" : "");
}

static bool take_reply(struct connection *connection, struct bytes subject)
{
    struct replies *replies = connection->identity->replies;
    return replies && replies_take(replies, subject, connection->broker->now_ms);
}

// What only answers within the server go to.
static bool is_reserved_reply(struct bytes reply)
{
    return (reply.len > 3 && bytes_starts_with(reply, BYTES("_R_."))) ||
           (reply.len > 5 && bytes_starts_with(reply, BYTES("_GR_."))) ||
           (reply.len > 8 && bytes_starts_with(reply, BYTES("$JS.ACK.")));
}

static void tell(struct connection *connection, const struct violation *violation)
{
    struct buffer line;
    if (connection->state != CONNECTION_OPEN)
        return;
    buffer_init(&line, SIZE_MAX / 2); // a control line, and four times that when all of it is escaped
    append(&line, BYTES("-ERR '"));
    append(&line, bytes_from_string(wire_error_text(violation->error)));
    append_quoted(&line, violation->first);
    append(&line, violation->joint);
    if (violation->joint.len)
        append_quoted(&line, violation->second);
    append(&line, violation->end);
    append(&line, BYTES("'\r\n"));
    connection_send(connection, buffer_bytes(&line));
    buffer_deinit(&line);
}

static void append(struct buffer *line, struct bytes bytes)
{
    int error = buffer_append(line, bytes);
    must(error == 0);
}

static void append_quoted(struct buffer *line, struct bytes bytes)
{
    char piece[256];
    size_t len;
    append(line, BYTES("\""));
    while ((len = quote_next(&bytes, piece, sizeof(piece))))
        append(line, bytes_make(piece, len));
    append(line, BYTES("\""));
}

// As much as the room takes.
static const char *quote(struct bytes bytes, char room[QUOTED_SIZE])
{
    room[quote_next(&bytes, room, QUOTED_SIZE - 1)] = '\0';
    return room;
}
