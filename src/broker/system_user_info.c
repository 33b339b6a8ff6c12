// SPDX-License-Identifier: Apache-2.0
// See system_user_info.h.
#include "broker/system_user_info.h"

#include "auth/auth_config.h"
#include "broker/connection.h"
#include "broker/system_events.h"
#include "codec/json_writer.h"

#define ANSWER_MAX (1024 * 1024) // bytes; a longer one is not sent

static void put_permissions(struct json_writer *json, const struct auth_permissions *permissions);
static void put_side(struct json_writer *json, const char *key, const struct auth_rules *allow,
                     const struct auth_rules *deny);
static void put_rules(struct json_writer *json, const char *key, const struct auth_rules *rules);

bool system_user_info_take(struct connection *connection, struct bytes subject, struct bytes reply)
{
    if (!bytes_equal(subject, BYTES(SYSTEM_USER_INFO_SUBJECT)) || reply.len == 0)
        return false;
    const struct connection_identity *identity = connection->identity;
    struct buffer text;
    buffer_init(&text, ANSWER_MAX);
    struct json_writer json;
    json_writer_init_compact(&json, &text);
    json_writer_begin_object(&json);
    system_events_put_server(connection->broker, &json);
    json_writer_put_object(&json, "data");
    json_writer_put_string(&json, "user", connection_user_name(connection));
    json_writer_put_string(&json, "account", account_name(connection->account));
    if (identity && identity->user && identity->user->permissions)
        put_permissions(&json, identity->user->permissions);
    json_writer_end(&json);
    json_writer_end(&json);
    struct bytes part = buffer_bytes(&text);
    if (json_writer_finish(&json) == 0)
        account_publish(connection->account, reply, (struct bytes){0}, (struct bytes){0}, &part, 1);
    buffer_deinit(&text);
    return true;
}

static void put_permissions(struct json_writer *json, const struct auth_permissions *permissions)
{
    json_writer_put_object(json, "permissions");
    put_side(json, "publish", &permissions->publish_allow, &permissions->publish_deny);
    put_side(json, "subscribe", &permissions->subscribe_allow, &permissions->subscribe_deny);
    if (permissions->allow_responses) {
        json_writer_put_object(json, "responses");
        json_writer_put_i64(json, "max", permissions->response_max);
        json_writer_put_i64(json, "ttl", permissions->response_ttl_ns);
        json_writer_end(json);
    }
    json_writer_end(json);
}

static void put_side(struct json_writer *json, const char *key, const struct auth_rules *allow,
                     const struct auth_rules *deny)
{
    if (allow->count == 0 && deny->count == 0)
        return;
    json_writer_put_object(json, key);
    put_rules(json, "allow", allow);
    put_rules(json, "deny", deny);
    json_writer_end(json);
}

// "subject", or "subject queue".
static void put_rules(struct json_writer *json, const char *key, const struct auth_rules *rules)
{
    if (rules->count == 0)
        return;
    json_writer_key(json, key);
    json_writer_begin_array(json);
    for (uint32_t i = 0; i < rules->count; i++) {
        struct bytes subject = rules->items[i].subject, queue = rules->items[i].queue;
        struct buffer rule;
        buffer_init(&rule, ANSWER_MAX);
        int error = buffer_append(&rule, subject);
        if (!error && queue.len > 0)
            error = buffer_append(&rule, BYTES(" "));
        if (!error && queue.len > 0)
            error = buffer_append(&rule, queue);
        if (!error)
            json_writer_string(json, buffer_bytes(&rule));
        buffer_deinit(&rule);
    }
    json_writer_end(json);
}
