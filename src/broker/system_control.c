// SPDX-License-Identifier: Apache-2.0
// See system_control.h.
#include "broker/system_control.h"

#include <stdio.h>

#include "broker/connection.h"
#include "broker/system_events.h"
#include "codec/json_fields.h"
#include "codec/json_writer.h"
#include "subject/subject.h"

#define SUBJECT_SIZE 256
#define ANSWER_MAX   4096

struct system_control {
    struct broker *broker;   // borrowed
    struct account *account; // borrowed: where the inlets are
    struct inlet kick, lame_duck;
};

static void add(struct system_control *control, struct inlet *inlet,
                bool (*on_message)(struct inlet *, const struct inlet_message *), const char *name);
static void drop(struct system_control *control, struct inlet *inlet);
static bool kick(struct inlet *inlet, const struct inlet_message *message);
static bool lame_duck(struct inlet *inlet, const struct inlet_message *message);
static int64_t read_cid(const struct inlet_message *message);
static bool is_ours(const struct broker *broker, int64_t cid);
static struct connection *find(struct broker *broker, int64_t cid);
static void answer(struct system_control *control, const struct inlet_message *message, bool is_found);

void system_control_listen(struct broker *broker)
{
    struct system_control *control = broker->control;
    if (control && control->account == broker->system)
        return;
    system_control_stop(broker);
    if (!broker->system)
        return;
    control = mem_alloc_zero(sizeof(*control));
    control->broker = broker;
    control->account = broker->system;
    broker->control = control;
    add(control, &control->kick, kick, "KICK");
    add(control, &control->lame_duck, lame_duck, "LDM");
}

bool system_control_kick(struct broker *broker, uint64_t cid)
{
    bool possible = cid <= INT64_MAX && is_ours(broker, (int64_t)cid);
    struct connection *connection = possible ? find(broker, (int64_t)cid) : NULL;
    if (connection)
        connection_finish(connection, "Kicked");
    return connection != NULL;
}

void system_control_stop(struct broker *broker)
{
    struct system_control *control = broker->control;
    if (!control)
        return;
    drop(control, &control->kick);
    drop(control, &control->lame_duck);
    mem_free(control);
    broker->control = NULL;
}

static void add(struct system_control *control, struct inlet *inlet,
                bool (*on_message)(struct inlet *, const struct inlet_message *), const char *name)
{
    char subject[SUBJECT_SIZE];
    int len = snprintf(subject, sizeof(subject), "$SYS.REQ.SERVER.%s.%s", control->broker->options.server_id, name);
    must(len > 0 && (size_t)len < sizeof(subject));
    inlet->on_message = on_message;
    // A server without an id (in tests) cannot be named.
    if (account_inlet_add(control->account, inlet, bytes_from_string(subject)))
        inlet->on_message = NULL;
}

static void drop(struct system_control *control, struct inlet *inlet)
{
    if (inlet->on_message)
        broker_inlet_remove(control->broker, inlet);
}

static bool kick(struct inlet *inlet, const struct inlet_message *message)
{
    struct system_control *control = container_of(inlet, struct system_control, kick);
    int64_t cid = read_cid(message);
    if (!is_ours(control->broker, cid))
        return true;
    struct connection *connection = find(control->broker, cid);
    answer(control, message, connection != NULL);
    if (connection)
        connection_finish(connection, "Kicked");
    return true;
}

static bool lame_duck(struct inlet *inlet, const struct inlet_message *message)
{
    struct system_control *control = container_of(inlet, struct system_control, lame_duck);
    int64_t cid = read_cid(message);
    if (!is_ours(control->broker, cid))
        return true;
    struct connection *connection = find(control->broker, cid);
    answer(control, message, connection != NULL);
    if (connection) {
        connection->is_sent_away = true;
        broker_info_push(connection);
    }
    return true;
}

// 0, which nobody has: there is none in it.
static int64_t read_cid(const struct inlet_message *message)
{
    struct {
        int64_t cid;
    } request = {0};
    const struct json_field field = {"cid", 0, JSON_FIELD_I64, false};
    char *owned = NULL;
    if (json_fields_read(message->payload, &field, 1, &request, &owned))
        return 0;
    mem_free(owned);
    return request.cid;
}

// Every worker gets the request, one has to answer.
static bool is_ours(const struct broker *broker, int64_t cid)
{
    uint32_t worker = cid > 0 ? connection_id_worker(&broker->options, (uint64_t)cid) : 0;
    return worker == broker->options.worker;
}

static struct connection *find(struct broker *broker, int64_t cid)
{
    list_foreach(link, &broker->connections)
    {
        struct connection *connection = container_of(link, struct connection, link);
        if (connection->state == CONNECTION_OPEN && (int64_t)connection->id == cid)
            return connection;
    }
    return NULL;
}

static void answer(struct system_control *control, const struct inlet_message *message, bool is_found)
{
    if (message->reply.len == 0)
        return;
    struct buffer text;
    buffer_init(&text, ANSWER_MAX);
    struct json_writer json;
    json_writer_init_compact(&json, &text);
    json_writer_begin_object(&json);
    system_events_put_server(control->broker, &json);
    if (!is_found) {
        json_writer_put_object(&json, "error");
        json_writer_put_u64(&json, "code", 500);
        json_writer_put_string(&json, "description", BYTES("no such client"));
        json_writer_end(&json);
    }
    json_writer_end(&json);
    struct bytes part = buffer_bytes(&text);
    if (json_writer_finish(&json) == 0)
        account_publish(control->account, message->reply, (struct bytes){0}, (struct bytes){0}, &part, 1);
    buffer_deinit(&text);
}
