// SPDX-License-Identifier: Apache-2.0
// Life of a connection: greeting, pings, sending, and the ways in which it ends; see connection.h. What arrives is
// connection_input.c, what it means connection_operation.c.
#include "broker/connection.h"

#include "broker/closed.h"
#include "broker/connection_log.h"
#include "broker/remote_internal.h"
#include "broker/subscription.h"
#include "broker/system_events.h"
#include "codec/websocket.h"
#include "wire/writer.h"

#define PARTS_MAX 64 // of one net_write()

static uint64_t id_step(const struct broker_options *options);
static struct connection *connection_new(struct broker *broker, struct net_conn *net);
static void send_error(struct connection *connection, enum wire_error error);
static void begin_closing(struct connection *connection, const char *reason);
static bool is_told_elsewhere(enum wire_error error);
static const char *reason_of(enum wire_error error);
static void connection_close(struct connection *connection);
static uint16_t close_status(const char *reason);
static void write_queue(struct connection *connection);
static void leave_congestion(struct connection *connection);
static void touch_watches(struct connection *connection, bool was_congested);
static void leave_account(struct connection *connection);
static uint32_t ping_interval_ms(const struct connection *connection);
static void fire_ping(struct wheel_timer *timer, uint64_t now_ms);
static void fire_deadline(struct wheel_timer *timer, uint64_t now_ms);

uint32_t connection_id_worker(const struct broker_options *options, uint64_t id)
{
    return (uint32_t)((id - 1) % id_step(options));
}

void *connection_accept(void *owner, struct net_conn *net, const struct net_peer *peer)
{
    struct broker *broker = owner;
    if (broker->stopping || broker->draining || broker->lame_duck || broker->refused_count >= BROKER_REFUSED_MAX) {
        broker->turned_away++; // whoever accepted it has counted it
        return NULL;
    }
    struct connection *connection = connection_new(broker, net);
    connection->peer = *peer;
    uint64_t others = (uint64_t)broker->connection_count + broker->connections_elsewhere;
    connection->refused = others >= broker->options.max_connections;
    connection_log(connection, LOG_DEBUG, "Client connection created");
    if (connection->refused) {
        connection_send_info(connection);
        broker->refused_count++;
        connection_fail(connection, WIRE_MAX_CONNECTIONS);
    } else {
        broker->connection_count++;
        connection->account->connection_count++;
        broker->stats.total_connections++;
        connection_greet(connection);
    }
    return connection;
}

void connection_on_writable(void *context)
{
    struct connection *connection = context;
    if (connection->state == CONNECTION_CLOSED || !connection->blocked)
        return;
    connection->blocked = false;
    if (!list_is_linked(&connection->dirty))
        list_push_back(&connection->broker->dirty, &connection->dirty);
}

void connection_on_close(void *context, int error)
{
    struct connection *connection = context;
    struct broker *broker = connection->broker;
    must(broker->depth == 0);
    if (connection->state == CONNECTION_OPEN) {
        connection->reason = error ? "Read Error" : "Client Closed";
        connection_log(connection, LOG_DEBUG, "Client connection closed: %s", connection->reason);
        closed_add(broker, connection);
    }
    connection->state = CONNECTION_CLOSED;
    connection_leave(connection);
    outbound_clear(&connection->outbound, &broker->cache);
    connection_release_tail(connection);
    wheel_cancel(&broker->wheel, &connection->ping);
    wheel_cancel(&broker->wheel, &connection->deadline);
    system_events_closed(connection);
    connection_login_forget(connection);
    list_remove(&connection->link);
    list_remove(&connection->dirty);
    list_remove(&connection->paused);
    if (broker->remotes)
        remote_connection_remove(broker->remotes, connection);
    leave_account(connection);
    if (connection->refused)
        broker->refused_count--;
    else
        broker->connection_count--;
    mem_free(connection->client);
    connection->client = NULL;
    if (connection->is_leaving)
        connection->is_gone = true;
    else
        mem_free(connection);
}

void connection_account_set(struct connection *connection, struct account *account)
{
    must(connection->subscriptions.count == 0 && account->broker == connection->broker);
    list_remove(&connection->member);
    connection->account->connection_count -= !connection->refused;
    connection->account = account;
    list_push_back(&account->connections, &connection->member);
    account->connection_count += !connection->refused;
}

void connection_send(struct connection *connection, struct bytes bytes)
{
    if (connection_is_traced(connection))
        connection_trace_out(connection, bytes);
    outbound_append(&connection->outbound, &connection->broker->cache, bytes);
    connection_queued(connection);
}

void connection_fail(struct connection *connection, enum wire_error error)
{
    if (connection->state != CONNECTION_OPEN)
        return;
    send_error(connection, error);
    if (wire_error_fate(error) != WIRE_ERROR_CLOSE)
        return;
    if (!is_told_elsewhere(error))
        connection_log(connection, LOG_ERROR, "%s", wire_error_text(error));
    begin_closing(connection, reason_of(error));
}

void connection_finish(struct connection *connection, const char *reason)
{
    if (connection->state == CONNECTION_OPEN)
        begin_closing(connection, reason);
}

void connection_client_set(struct connection *connection, const struct wire_connect *options)
{
    struct bytes user = options->nkey.len > 0 ? options->nkey : options->user;
    if (user.len == 0 && options->auth_token.len > 0)
        user = BYTES("[REDACTED]");
    const struct bytes from[] = {options->name, options->lang, options->version, user};
    size_t lens[4], size = 0;
    for (size_t i = 0; i < 4; i++) {
        lens[i] = from[i].len < CONNECTION_CLIENT_TEXT_MAX ? from[i].len : CONNECTION_CLIENT_TEXT_MAX;
        size += lens[i];
    }
    struct connection_client *client = size > 0 ? mem_alloc(sizeof(*client) + size) : NULL;
    char *at = client ? client->text : NULL;
    for (size_t i = 0; client && i < 4; i++) {
        *(struct bytes *[]){&client->name, &client->lang, &client->version, &client->user}[i] = bytes_make(at, lens[i]);
        at = broker_copy(at, bytes_make(from[i].ptr, lens[i]));
    }
    mem_free(connection->client);
    connection->client = client;
}

void connection_queue_flush(struct connection *connection)
{
    connection->flush_queued = true;
    list_push_back(&connection->broker->dirty, &connection->dirty);
}

void connection_queue_long(struct connection *connection)
{
    const struct broker_options *options = &connection->broker->options;
    uint64_t size_bytes = connection->outbound.size_bytes;
    if (connection->state != CONNECTION_OPEN)
        return;
    if (size_bytes > options->congested_bytes && !connection->congested) {
        connection->congested = true;
        touch_watches(connection, true);
    }
    if (size_bytes > options->max_pending) {
        // Told only if it takes the whole queue now; see connection_flush().
        connection->slow = true;
        connection->reason = "Slow Consumer (Pending Bytes)";
        connection->broker->stats.slow_consumers++;
        connection_log(connection, LOG_INFO, "Slow Consumer Detected: MaxPending of %llu Exceeded",
                       (unsigned long long)options->max_pending);
        connection_fail(connection, WIRE_SLOW_CONSUMER);
    }
}

void connection_flush(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSED) {
        connection->flush_queued = false;
        return;
    }
    if (connection->state == CONNECTION_CLOSING) {
        // Not earlier: the operation that was being carried out may lie in the tail.
        connection_release_tail(connection);
        connection_leave(connection);
    }
    if (!connection->blocked)
        write_queue(connection);
    if (connection->tls == CONNECTION_TLS_LEAVING && connection->outbound.size_bytes == 0 &&
        connection->state == CONNECTION_OPEN)
        connection_start_tls(connection, (struct bytes){0});
    if (connection->state == CONNECTION_CLOSING && (connection->slow || connection->outbound.size_bytes == 0))
        connection_close(connection);
}

void connection_ping_start(struct connection *connection, bool is_first)
{
    // As nats-server: the first ping comes early and measures the round trip; up to a fifth later, so that clients that
    // came together do not ping together.
    struct broker *broker = connection->broker;
    uint64_t wait_ms = ping_interval_ms(connection);
    if (is_first) {
        wait_ms = wait_ms < BROKER_FIRST_PING_MS ? wait_ms : BROKER_FIRST_PING_MS;
        wait_ms += prng_below(&broker->prng, wait_ms / 5 + 1);
    }
    wheel_set(&broker->wheel, &connection->ping, broker->now_ms + wait_ms);
}

void connection_check(const struct connection *connection)
{
    outbound_check(&connection->outbound);
    subscription_set_check(&connection->subscriptions, connection->broker->sid_seed);
    subscription_set_foreach(subscription, &connection->subscriptions)
    {
        must(!subscription->target.dead && subscription->connection == connection);
        must(trie_entry_is_inserted(&subscription->target.entry));
        must(subscription->max == 0 || subscription->delivered < subscription->max);
    }
    must(connection->flush_queued == (list_is_linked(&connection->dirty) || connection->blocked));
    must((connection->paused_for != 0) == list_is_linked(&connection->paused));
    must(!connection->permit || (connection->identity && connection->identity->is_counted));
    // Who was refused may have its last words still to take.
    must(connection->login != CONNECTION_LOGIN_CHECKING || connection->identity->job ||
         connection->state != CONNECTION_OPEN);
    must(connection->state != CONNECTION_CLOSED ||
         ((connection->subscriptions.count == 0 || connection->is_leaving) && connection->outbound.size_bytes == 0));
    must(!connection->is_leaving || (connection->state != CONNECTION_OPEN && connection->subscriptions.count > 0));
    must(connection->state != CONNECTION_OPEN || connection->outbound.size_bytes == 0 || connection->flush_queued);
}

// Numbers are dealt to the workers in turn.
static uint64_t id_step(const struct broker_options *options)
{
    return options->worker_count ? options->worker_count : 1;
}

static struct connection *connection_new(struct broker *broker, struct net_conn *net)
{
    const struct broker_options *options = &broker->options;
    struct connection *connection = mem_alloc(sizeof(*connection));
    *connection = (struct connection){
        .net = net,
        .broker = broker,
        .account = broker->global,
        .id = broker->next_id++ * id_step(options) + options->worker + 1,
        .state = CONNECTION_OPEN,
        .echo = true,
        .verbose = true,
        .pedantic = true,
        .last_in_ms = broker->now_ms,
        .last_active_ms = broker->now_ms,
        .start_ns = broker->now.wall_ns,
        .ping.fire = fire_ping,
        .deadline.fire = fire_deadline,
    };
    list_push_back(&broker->connections, &connection->link);
    list_push_back(&broker->global->connections, &connection->member);
    list_init(&connection->dirty);
    list_init(&connection->paused);
    if (broker->remotes)
        remote_connection_add(broker->remotes, connection);
    connection->subscriptions_max = options->max_subscriptions ? options->max_subscriptions : UINT32_MAX;
    struct parser_config config = {
        .control_line_max = options->max_control_line,
        .payload_max = options->max_payload,
    };
    parser_init(&connection->parser, PARSER_SERVER, &config);
    parser_set_memo(&connection->parser, &broker->parser_memo);
    buffer_init(&connection->tail, SIZE_MAX / 2);
    return connection;
}

static void send_error(struct connection *connection, enum wire_error error)
{
    char line[WRITER_ERROR_LEN_MAX];
    char *end = writer_error(line, error, (struct bytes){0});
    struct bytes bytes = bytes_make(line, (size_t)(end - line));
    if (connection_is_traced(connection))
        connection_trace_out(connection, bytes);
    outbound_append(&connection->outbound, &connection->broker->cache, bytes);
    // No look at the limits: an error line is not what makes a consumer slow.
    if (!connection->flush_queued)
        connection_queue_flush(connection);
}

static void begin_closing(struct connection *connection, const char *reason)
{
    struct broker *broker = connection->broker;
    if (!connection->reason)
        connection->reason = reason;
    connection_log(connection, LOG_DEBUG, "Client connection closed: %s", connection->reason);
    closed_add(broker, connection);
    connection->state = CONNECTION_CLOSING;
    wheel_cancel(&broker->wheel, &connection->ping);
    wheel_set(&broker->wheel, &connection->deadline, broker->now_ms + broker->options.write_deadline_ms);
    // Even while blocked: its subscriptions begin to end this turn.
    connection->flush_queued = true;
    if (!list_is_linked(&connection->dirty))
        list_push_back(&broker->dirty, &connection->dirty);
}

// In the log: by who found it, with what it was about.
static bool is_told_elsewhere(enum wire_error error)
{
    return error == WIRE_SLOW_CONSUMER || error == WIRE_STALE_CONNECTION || error == WIRE_TLS_REQUIRED ||
           error == WIRE_SERVER_SHUTDOWN || error == WIRE_AUTHORIZATION_VIOLATION;
}

// The words of nats-server's monitoring.
static const char *reason_of(enum wire_error error)
{
    switch (error) {
    case WIRE_MAX_CONTROL_LINE: return "Maximum Control Line Exceeded";
    case WIRE_MAX_PAYLOAD: return "Maximum Message Payload Exceeded";
    case WIRE_INVALID_CLIENT_PROTOCOL: return "Bad Client Protocol Version";
    case WIRE_HEADERS_NOT_SUPPORTED:
    case WIRE_BAD_HEADER: return "Message Header Violation";
    case WIRE_NO_RESPONDERS_NEEDS_HEADERS: return "No Responders Requires Headers";
    case WIRE_AUTHORIZATION_VIOLATION: return "Authentication Failure";
    case WIRE_AUTHENTICATION_TIMEOUT: return "Authentication Timeout";
    case WIRE_AUTHENTICATION_EXPIRED: return "Authentication Expired";
    case WIRE_SLOW_CONSUMER: return "Slow Consumer (Pending Bytes)";
    case WIRE_STALE_CONNECTION: return "Stale Connection";
    case WIRE_MAX_CONNECTIONS:
    case WIRE_THROTTLED: return "Maximum Connections Exceeded";
    case WIRE_TLS_REQUIRED: return "TLS Handshake Failure";
    case WIRE_SERVER_SHUTDOWN: return "Server Shutdown";
    case WIRE_MAX_SUBSCRIPTIONS: return "Maximum Subscriptions Exceeded";
    default: return "Protocol Violation";
    }
}

static void connection_close(struct connection *connection)
{
    struct broker *broker = connection->broker;
    connection->state = CONNECTION_CLOSED;
    outbound_clear(&connection->outbound, &broker->cache);
    connection->flush_queued = list_is_linked(&connection->dirty);
    connection->blocked = false;
    wheel_cancel(&broker->wheel, &connection->ping);
    wheel_cancel(&broker->wheel, &connection->deadline);
    if (connection->reason)
        net_explain_close(connection->net, close_status(connection->reason), connection->reason);
    net_close(connection->net);
}

// As nats-server has it; but what may only stand for a frame that never came (1006, 1015) is a violation of policy.
static uint16_t close_status(const char *reason)
{
    static const struct {
        const char *begin; // of the reason
        uint16_t status;
    } statuses[] = {
        {"Client Closed", WEBSOCKET_STATUS_NORMAL},
        {"Server Shutdown", WEBSOCKET_STATUS_GOING_AWAY},
        {"Protocol Violation", WEBSOCKET_STATUS_PROTOCOL_ERROR},
        {"Bad Client Protocol Version", WEBSOCKET_STATUS_PROTOCOL_ERROR},
        {"Maximum Message Payload Exceeded", WEBSOCKET_STATUS_TOO_BIG},
        {"Maximum ", WEBSOCKET_STATUS_POLICY_VIOLATION},
        {"Authentication ", WEBSOCKET_STATUS_POLICY_VIOLATION},
        {"Slow Consumer ", WEBSOCKET_STATUS_POLICY_VIOLATION},
        {"Stale Connection", WEBSOCKET_STATUS_POLICY_VIOLATION},
        {"TLS Handshake Failure", WEBSOCKET_STATUS_POLICY_VIOLATION},
    };
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (strncmp(reason, statuses[i].begin, strlen(statuses[i].begin)) == 0)
            return statuses[i].status;
    }
    return WEBSOCKET_STATUS_INTERNAL_ERROR;
}

static void write_queue(struct connection *connection)
{
    struct broker *broker = connection->broker;
    struct outbound *outbound = &connection->outbound;
    bool progress = false;
    while (outbound->size_bytes > 0 && !connection->blocked) {
        struct bytes parts[PARTS_MAX];
        size_t count = outbound_gather(outbound, parts, PARTS_MAX);
        size_t offered = 0;
        for (size_t i = 0; i < count; i++)
            offered += parts[i].len;
        size_t taken = net_write(connection->net, parts, count);
        must(taken <= offered);
        outbound_consume(outbound, &broker->cache, taken);
        progress |= taken > 0;
        connection->blocked = taken < offered;
    }
    if (outbound->size_bytes == 0)
        outbound_clear(outbound, &broker->cache);
    connection->flush_queued = connection->blocked;
    if (connection->congested && outbound->size_bytes < broker->options.congested_bytes / 2 + 1)
        leave_congestion(connection);
    if (connection->state != CONNECTION_OPEN)
        return; // one deadline for the whole rest
    if (!connection->blocked)
        wheel_cancel(&broker->wheel, &connection->deadline);
    else if (progress || !wheel_is_set(&connection->deadline))
        wheel_set(&broker->wheel, &connection->deadline, broker->now_ms + broker->options.write_deadline_ms);
}

static void leave_congestion(struct connection *connection)
{
    connection->congested = false;
    touch_watches(connection, false);
}

static void touch_watches(struct connection *connection, bool was_congested)
{
    if (connection->account->watch_count == 0)
        return;
    subscription_set_foreach(subscription, &connection->subscriptions)
        broker_watch_touch(connection->account, subscription_pattern(subscription), was_congested);
}

static void leave_account(struct connection *connection)
{
    struct account *account = connection->account;
    struct broker_stats *stats = &connection->broker->stats;
    const struct broker_traffic *traffic = &connection->traffic;
    list_remove(&connection->member);
    account->connection_count -= !connection->refused;
    account->gone.in_msgs += traffic->in_msgs;
    account->gone.out_msgs += traffic->out_msgs;
    account->gone.in_bytes += traffic->in_bytes;
    account->gone.out_bytes += traffic->out_bytes;
    stats->in_msgs += traffic->in_msgs;
    stats->out_msgs += traffic->out_msgs;
    stats->in_bytes += traffic->in_bytes;
    stats->out_bytes += traffic->out_bytes;
}

static uint32_t ping_interval_ms(const struct connection *connection)
{
    const struct broker_options *options = &connection->broker->options;
    bool is_own = connection->peer.transport == NET_WEBSOCKET && options->websocket_ping_interval_ms > 0;
    return is_own ? options->websocket_ping_interval_ms : options->ping_interval_ms;
}

static void fire_ping(struct wheel_timer *timer, uint64_t now_ms)
{
    struct connection *connection = container_of(timer, struct connection, ping);
    if (connection->tls != CONNECTION_TLS_SETTLED) {
        connection_hurry_tls(connection);
        return;
    }
    struct broker *broker = connection->broker;
    const struct broker_options *options = &broker->options;
    if (connection->login == CONNECTION_LOGIN_AWAITED) {
        connection_fail(connection, WIRE_AUTHENTICATION_TIMEOUT);
        return;
    }
    // Recent input proves that the client lives; only the first ping is sent regardless.
    bool is_first = connection->pings_out == 0 && connection->connected && !connection->pinged;
    if (is_first || now_ms - connection->last_in_ms >= ping_interval_ms(connection)) {
        if (connection->pings_out >= options->ping_max) {
            broker->stats.stale_connections++;
            connection_log(connection, LOG_DEBUG, "Stale Client Connection - Closing");
            connection_fail(connection, WIRE_STALE_CONNECTION);
            return;
        }
        connection->pings_out++;
        connection->ping_sent_ns = broker->now.mono_ns;
        connection->pinged = true;
        connection_send(connection, BYTES(WRITER_PING));
    }
    if (connection->state == CONNECTION_OPEN)
        connection_ping_start(connection, false);
}

static void fire_deadline(struct wheel_timer *timer, uint64_t now_ms)
{
    (void)now_ms;
    struct connection *connection = container_of(timer, struct connection, deadline);
    struct broker *broker = connection->broker;
    if (connection->state == CONNECTION_OPEN) {
        connection->slow = true;
        connection->reason = "Slow Consumer (Write Deadline)";
        broker->stats.slow_consumers++;
        connection_log(
            connection, LOG_INFO, "Slow Consumer Detected: WriteDeadline of %ums exceeded with %llu total bytes",
            (unsigned)broker->options.write_deadline_ms, (unsigned long long)connection->outbound.size_bytes);
        connection_fail(connection, WIRE_SLOW_CONSUMER);
    } else {
        connection_close(connection);
    }
}
