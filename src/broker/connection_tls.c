// SPDX-License-Identifier: Apache-2.0
// The beginning of a connection: INFO in the clear or after a handshake, and the ways to a secure connection (CO-S01, picture in
// connection.h). Nothing of the protocol is carried out before that is settled. Timing and words are nats-server's.
#include "broker/connection.h"
#include "broker/connection_log.h"
#include "wire/info.h"

// First byte of a TLS connection: the type of a handshake record. No operation of ours begins so.
#define TLS_HANDSHAKE_RECORD 0x16

static void greet_in_clear(struct connection *connection);
static bool may_begin(struct broker *broker);
static void settle(struct connection *connection);
static void set_timer(struct connection *connection, uint32_t wait_ms);
static void log_handshake(const struct connection *connection, const char *what, const char *why);

void connection_greet(struct connection *connection)
{
    const struct broker_tls *tls = &connection->broker->options.tls;
    if (!tls->enabled || !net_may_start_tls(connection->net)) {
        connection_send_info(connection);
        settle(connection);
    } else if (tls->first == BROKER_TLS_HANDSHAKE) {
        connection_start_tls(connection, (struct bytes){0});
    } else if (tls->first == BROKER_TLS_AUTO) {
        connection->tls = CONNECTION_TLS_QUIET;
        set_timer(connection, tls->fallback_ms);
    } else {
        greet_in_clear(connection);
    }
}

bool connection_take_tls(struct connection *connection, struct bytes data)
{
    if (connection->state != CONNECTION_OPEN)
        return true;
    bool is_tls = data.len > 0 && (uint8_t)data.ptr[0] == TLS_HANDSHAKE_RECORD;
    if (connection->tls == CONNECTION_TLS_LOOKING && !is_tls) {
        settle(connection);
        return false;
    }
    // Whoever speaks before INFO must mean TLS; if not, the handshake will say so.
    must(connection->tls == CONNECTION_TLS_LOOKING || connection->tls == CONNECTION_TLS_QUIET);
    connection_start_tls(connection, data);
    return true;
}

void connection_hurry_tls(struct connection *connection)
{
    if (connection->tls == CONNECTION_TLS_QUIET) {
        greet_in_clear(connection);
    } else if (connection->tls == CONNECTION_TLS_LOOKING) {
        settle(connection);
    } else {
        log_handshake(connection, "TLS handshake timeout", "");
        connection_finish(connection, "TLS Handshake Failure");
    }
}

void connection_start_tls(struct connection *connection, struct bytes received)
{
    if (!may_begin(connection->broker)) {
        connection_fail(connection, WIRE_THROTTLED);
        return;
    }
    connection->tls = CONNECTION_TLS_HANDSHAKE;
    set_timer(connection, connection->broker->options.tls.timeout_ms);
    net_start_tls(connection->net, received);
    net_read_resume(connection->net);
}

void connection_on_secure(void *context, const struct net_tls_info *info)
{
    struct connection *connection = context;
    if (connection->state != CONNECTION_OPEN)
        return;
    if (!info->failure) {
        connection->is_secure = true;
        connection->tls_first = !connection->info_sent;
        if (connection->tls_first)
            connection_send_info(connection);
        settle(connection);
        return;
    }
    log_handshake(connection, "TLS handshake error: ", info->failure);
    if (info->is_plain)
        connection_fail(connection, WIRE_TLS_REQUIRED);
    else
        connection_finish(connection, "TLS Handshake Failure");
}

void connection_send_info(struct connection *connection)
{
    const struct broker_options *options = &connection->broker->options;
    const struct broker_tls *tls = &options->tls;
    bool has_tls = tls->enabled && (connection->is_secure || net_may_start_tls(connection->net));
    char nonce[CONNECTION_NONCE_LEN];
    struct wire_info info = {
        .server_id = bytes_from_string(options->server_id),
        .server_name = bytes_from_string(options->server_name),
        .host = bytes_from_string(options->host),
        .port = options->port,
        .client_ip = bytes_from_string(connection->peer.ip),
        .client_id = connection->id,
        .max_payload = options->max_payload,
        .headers = true,
        .auth_required = connection_listener(connection)->info_required,
        .nonce = connection_nonce(connection, nonce),
        .tls_required = has_tls && (!tls->allow_plain || connection->is_secure),
        .tls_verify = has_tls && tls->verify,
        .tls_available = has_tls && tls->allow_plain,
        .lame_duck = connection->broker->lame_duck || connection->is_sent_away,
    };
    char line[INFO_LINE_SIZE_MAX];
    size_t len;
    int error = info_encode(&info, line, sizeof(line), &len);
    must(error == 0); // the composition root gives names of sane length
    connection->info_sent = true;
    connection_send(connection, bytes_make(line, len));
}

// Not read until it has left: what comes behind it belongs to the handshake.
static void greet_in_clear(struct connection *connection)
{
    const struct broker_tls *tls = &connection->broker->options.tls;
    connection->tls = tls->allow_plain ? CONNECTION_TLS_LOOKING : CONNECTION_TLS_LEAVING;
    if (connection->tls == CONNECTION_TLS_LEAVING)
        net_read_pause(connection->net);
    set_timer(connection, tls->timeout_ms);
    connection_send_info(connection);
}

// Every worker has its share of the rate.
static bool may_begin(struct broker *broker)
{
    uint32_t rate = broker->options.tls.rate_limit, workers = broker->options.worker_count;
    uint32_t share = workers > 1 ? rate / workers + (rate % workers != 0) : rate;
    if (broker->now_ms >= broker->tls_second_at_ms) {
        broker->tls_begun = 0;
        broker->tls_second_at_ms = broker->now_ms + 1000;
    }
    if (rate != 0 && broker->tls_begun >= share)
        return false;
    broker->tls_begun++;
    return true;
}

// From here on the client may speak the protocol.
static void settle(struct connection *connection)
{
    connection->tls = CONNECTION_TLS_SETTLED;
    connection_login_begin(connection);
}

static void set_timer(struct connection *connection, uint32_t wait_ms)
{
    struct broker *broker = connection->broker;
    wheel_set(&broker->wheel, &connection->ping, broker->now_ms + wait_ms);
}

static void log_handshake(const struct connection *connection, const char *what, const char *why)
{
    connection_log(connection, LOG_ERROR, "%s%s", what, why);
}
