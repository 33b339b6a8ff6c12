// SPDX-License-Identifier: Apache-2.0
// What the server has for a subscription: asked at its ack inbox, answered with the JSON object of its group (docs/admin-api.md).
#include "client/sub_internal.h"

#include <jansson.h>

static int read_answer(natsMsg *answer, struct weir_backlog *ret_backlog, struct weir_error *ret_error);
static void add_part(struct weir_backlog *backlog, const json_t *part, uint64_t *ret_messages, uint64_t *ret_bytes);
static uint64_t number_of(const json_t *object, const char *name);

int weir_sub_backlog(struct weir_sub *sub, struct weir_backlog *ret_backlog, struct weir_error *ret_error)
{
    struct weir_client *client = sub->client;
    natsMsg *answer = NULL;
    pthread_mutex_lock(&client->mutex);
    int error = weir_client_check(client, ret_error);
    if (!error && atomic_load(&sub->closed))
        error = weir_error_set(ret_error, WEIR_ERR_CLOSED, "the subscription was closed");
    if (!error && !weir_client_link_up(client))
        error = weir_error_set(ret_error, WEIR_ERR_UNREACHABLE, "not connected: %s", client->why);
    pthread_mutex_unlock(&client->mutex);
    if (error)
        return error;
    natsStatus status =
        natsConnection_RequestString(&answer, client->nc, sub->ack_inbox, "+INFO", client->options.request_timeout_ms);
    if (status != NATS_OK)
        return weir_error_nats(ret_error, status, "asking for the backlog");
    error = read_answer(answer, ret_backlog, ret_error);
    natsMsg_Destroy(answer);
    return error;
}

static int read_answer(natsMsg *answer, struct weir_backlog *ret_backlog, struct weir_error *ret_error)
{
    struct weir_backlog backlog = {.oldest_age_ms = -1};
    json_error_t where;
    json_t *root =
        json_loadb(natsMsg_GetData(answer), (size_t)natsMsg_GetDataLength(answer), JSON_REJECT_DUPLICATES, &where);
    const char *words = json_string_value(json_object_get(json_object_get(root, "error"), "message"));
    int error = 0;
    if (words) {
        error = weir_error_set(ret_error, WEIR_ERR_REFUSED, "%s", words);
    } else if (!json_is_object(json_object_get(root, "waiting"))) {
        error = weir_error_set(ret_error, WEIR_ERR_PROTOCOL, "the answer about the backlog cannot be read");
    } else {
        const json_t *members = json_object_get(root, "members");
        add_part(&backlog, json_object_get(root, "waiting"), &backlog.waiting_messages, &backlog.waiting_bytes);
        add_part(&backlog, json_object_get(root, "in_flight"), &backlog.in_flight_messages, &backlog.in_flight_bytes);
        backlog.dead_messages = number_of(json_object_get(root, "dead"), "messages");
        backlog.members = json_is_array(members) ? json_array_size(members) : number_of(root, "members");
        *ret_backlog = backlog;
    }
    json_decref(root);
    return error;
}

static void add_part(struct weir_backlog *backlog, const json_t *part, uint64_t *ret_messages, uint64_t *ret_bytes)
{
    const json_t *age = json_object_get(part, "oldest_age_ms");
    *ret_messages = number_of(part, "messages");
    *ret_bytes = number_of(part, "bytes");
    backlog->messages += *ret_messages;
    backlog->bytes += *ret_bytes;
    if (json_is_integer(age) && json_integer_value(age) > backlog->oldest_age_ms)
        backlog->oldest_age_ms = json_integer_value(age);
}

static uint64_t number_of(const json_t *object, const char *name)
{
    json_int_t number = json_integer_value(json_object_get(object, name));
    return number > 0 ? (uint64_t)number : 0;
}
