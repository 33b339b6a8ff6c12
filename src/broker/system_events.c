// SPDX-License-Identifier: Apache-2.0
// See system_events.h.
#include "broker/system_events.h"

#include <stdio.h>

#include "broker/connection.h"
#include "broker/request_info.h"
#include "codec/json_writer.h"
#include "codec/timestamp.h"
#include "wire/info.h"

#define SUBJECT_MAX  (ACCOUNT_NAME_LEN_MAX + 64)
#define EVENT_MAX    (64 * 1024) // bytes of an event; names and texts in it are bounded
#define EVENT_ID_LEN 22
#define TYPE_PREFIX  "io.nats.server.advisory.v1."
#define AUTH_FAILURE "Authentication Failure"
#define AUTH_TIMEOUT "Authentication Timeout"
#define AUTH_EXPIRED "Authentication Expired"
#define NO_ACCOUNT   "Missing Account"

// One event while it is written.
struct event {
    struct account *account;
    struct bytes subject;
    struct buffer text;
    struct json_writer json;
    char subject_text[SUBJECT_MAX];
};

static bool begin(struct event *event, struct account *account, const char *format, struct bytes name);
static void end(struct event *event, struct bytes subject);
static void begin_typed(struct event *event, const char *type);
static void put_server_fields(struct broker *broker, struct json_writer *json);
static void put_client(struct event *event, const struct connection *connection, bool is_gone);
static void put_traffic(struct event *event, const char *key, uint64_t msgs, uint64_t bytes);
static void tell_closed(struct event *event, const struct connection *connection, const char *reason);
static void tell_server(struct broker *broker, const char *what);
static bool is_login_failure(const char *reason);

void system_events_connected(struct connection *connection)
{
    struct broker *broker = connection->broker;
    struct event event;
    if (connection->account == broker->global)
        return;
    connection->announced = true;
    if (!begin(&event, broker->system, "$SYS.ACCOUNT.%.*s.CONNECT", account_name(connection->account)))
        return;
    begin_typed(&event, TYPE_PREFIX "client_connect");
    put_client(&event, connection, false);
    json_writer_end(&event.json);
    end(&event, event.subject);
}

void system_events_closed(const struct connection *connection)
{
    struct broker *broker = connection->broker;
    const char *reason = connection->reason ? connection->reason : "Client Closed";
    struct event event;
    if (connection->announced) {
        if (begin(&event, broker->system, "$SYS.ACCOUNT.%.*s.DISCONNECT", account_name(connection->account)))
            tell_closed(&event, connection, reason);
    } else if (is_login_failure(reason)) {
        struct bytes id = bytes_from_string(broker->options.server_id);
        if (begin(&event, broker->system, "$SYS.SERVER.%.*s.CLIENT.AUTH.ERR", id))
            tell_closed(&event, connection, reason);
        if (connection->account != broker->global &&
            begin(&event, connection->account, "$SYS.ACCOUNT.CLIENT.AUTH.ERR%.*s", (struct bytes){0}))
            tell_closed(&event, connection, reason);
    }
}

void system_events_shutdown(struct broker *broker)
{
    tell_server(broker, "SHUTDOWN");
}

void system_events_lame_duck(struct broker *broker)
{
    tell_server(broker, "LAMEDUCK");
}

void system_events_begin(struct broker *broker, const char *type, struct json_writer *json)
{
    static const char DIGITS[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    char id[EVENT_ID_LEN], time[TIMESTAMP_TEXT_SIZE];
    for (int i = 0; i < EVENT_ID_LEN; i++)
        id[i] = DIGITS[prng_below(&broker->response_prng, 62)];
    timestamp_format(broker->now.wall_ns, time);
    json_writer_begin_object(json);
    json_writer_put_string(json, "type", bytes_from_string(type));
    json_writer_put_string(json, "id", bytes_make(id, sizeof(id)));
    json_writer_put_string(json, "timestamp", bytes_from_string(time));
}

void system_events_put_server(struct broker *broker, struct json_writer *json)
{
    json_writer_put_object(json, "server");
    put_server_fields(broker, json);
    json_writer_end(json);
}

// False: nobody listens.
static bool begin(struct event *event, struct account *account, const char *format, struct bytes name)
{
    if (!account)
        return false;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int len = snprintf(event->subject_text, sizeof(event->subject_text), format, BYTES_ARG(name));
#pragma GCC diagnostic pop
    must(len > 0 && (size_t)len < sizeof(event->subject_text));
    event->account = account;
    event->subject = bytes_make(event->subject_text, (size_t)len);
    if (!broker_inlet_find(account, event->subject) && !trie_has_interest(account->trie, event->subject))
        return false;
    buffer_init(&event->text, EVENT_MAX);
    json_writer_init_compact(&event->json, &event->text);
    return true;
}

static void end(struct event *event, struct bytes subject)
{
    struct bytes text = buffer_bytes(&event->text);
    if (json_writer_finish(&event->json) == 0)
        account_publish(event->account, subject, (struct bytes){0}, (struct bytes){0}, &text, 1);
    buffer_deinit(&event->text);
}

static void begin_typed(struct event *event, const char *type)
{
    system_events_begin(event->account->broker, type, &event->json);
    system_events_put_server(event->account->broker, &event->json);
}

static void put_server_fields(struct broker *broker, struct json_writer *json)
{
    char time[TIMESTAMP_TEXT_SIZE];
    timestamp_format(broker->now.wall_ns, time);
    json_writer_put_string(json, "name", bytes_from_string(broker->options.server_name));
    json_writer_put_string(json, "host", bytes_from_string(broker->options.host));
    json_writer_put_string(json, "id", bytes_from_string(broker->options.server_id));
    json_writer_put_string(json, "ver", BYTES(INFO_NATS_VERSION));
    json_writer_put_u64(json, "seq", ++broker->event_seq);
    json_writer_put_bool(json, "jetstream", false);
    json_writer_put_string(json, "time", bytes_from_string(time));
}

static void put_client(struct event *event, const struct connection *connection, bool is_gone)
{
    struct request_info info = {
        .account = connection->account,
        .connection = connection,
        .is_detailed = true,
        .stop_ns = is_gone ? connection->broker->now.wall_ns : 0,
    };
    json_writer_key(&event->json, "client");
    request_info_write(&info, &event->json);
}

static void put_traffic(struct event *event, const char *key, uint64_t msgs, uint64_t bytes)
{
    json_writer_put_object(&event->json, key);
    json_writer_put_u64(&event->json, "msgs", msgs);
    json_writer_put_u64(&event->json, "bytes", bytes);
    json_writer_end(&event->json);
}

static void tell_closed(struct event *event, const struct connection *connection, const char *reason)
{
    const struct broker_traffic *traffic = &connection->traffic;
    begin_typed(event, TYPE_PREFIX "client_disconnect");
    put_client(event, connection, true);
    put_traffic(event, "sent", traffic->out_msgs, traffic->out_bytes);
    put_traffic(event, "received", traffic->in_msgs, traffic->in_bytes);
    json_writer_put_string(&event->json, "reason", bytes_from_string(reason));
    json_writer_end(&event->json);
    end(event, event->subject);
}

static void tell_server(struct broker *broker, const char *what)
{
    char format[64];
    struct event event;
    if (broker->options.worker != 0)
        return;
    must(snprintf(format, sizeof(format), "$SYS.SERVER.%%.*s.%s", what) < (int)sizeof(format));
    if (!begin(&event, broker->system, format, bytes_from_string(broker->options.server_id)))
        return;
    json_writer_begin_object(&event.json);
    put_server_fields(broker, &event.json);
    json_writer_end(&event.json);
    end(&event, event.subject);
}

static bool is_login_failure(const char *reason)
{
    static const char *const FAILURES[] = {AUTH_FAILURE, AUTH_TIMEOUT, AUTH_EXPIRED, NO_ACCOUNT};
    for (size_t i = 0; i < sizeof(FAILURES) / sizeof(FAILURES[0]); i++) {
        if (strcmp(reason, FAILURES[i]) == 0)
            return true;
    }
    return false;
}
