// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// CLIENT.*: the clients of NATS Streaming.
#include <stdlib.h>

#include "admin/admin_internal.h"
#include "base/memory.h"
#include "stan/stan_control.h"

struct holding {
    struct admin_api *api;
    struct json_writer *json; // NULL: only sums
    uint64_t messages, bytes;
    size_t looked;
    bool unknown; // not all bytes are known
};

enum { SUBSCRIPTIONS_LOOK = 1000, ENTRY_ROOM = 16384 }; // of a client; bytes that a group's entry takes at most

static enum admin_step kick_connection(struct admin_api *api, struct admin_ask *ask);
static enum admin_step end_kick(struct admin_ask *ask);
static enum admin_step close_client(struct admin_api *api, struct admin_ask *ask, struct bytes id);
static bool render_kicked(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static bool render_info(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static size_t numbers_above(struct admin_api *api, const struct admin_ask *ask, uint64_t after, uint32_t **ret_numbers,
                            uint64_t *ret_total);
static int by_number(const void *a, const void *b);
static void put_client(struct admin_api *api, struct json_writer *json, const struct stan_client_view *client);
static void add_held(void *context, uint32_t member, struct bytes channel);
static void put_group(void *context, uint32_t member, struct bytes channel);
static void put_held(struct json_writer *json, const struct holding *holding);

enum admin_step admin_client_list(struct admin_api *api, struct admin_ask *ask)
{
    uint64_t after[2];
    (void)api;
    return admin_page_after(ask, after) ? admin_show(ask, render_list) : ADMIN_FAILED;
}

enum admin_step admin_client_info(struct admin_api *api, struct admin_ask *ask)
{
    struct stan_client_view client;
    struct bytes id = ask->fields.client_id;
    if (!stan_inspect_client(api->options.stan, id, &client))
        return admin_fail(ask, ADMIN_CLIENT_NOT_FOUND, "client_id", "there is no client \"%.*s\"", (int)id.len, id.ptr);
    ask->client = client.number;
    return admin_show(ask, render_info);
}

enum admin_step admin_client_kick(struct admin_api *api, struct admin_ask *ask)
{
    struct stan *stan = api->options.stan;
    struct stan_client_view client;
    if (ask->begun)
        return end_kick(ask);
    if (admin_has(ask, FIELD_CLIENT_ID) == admin_has(ask, FIELD_CID))
        return admin_fail(ask, ADMIN_BAD_REQUEST, "client_id", "either client_id or cid must be given");
    if (admin_has(ask, FIELD_CLIENT_ID)) {
        struct bytes id = ask->fields.client_id;
        return stan_inspect_client(stan, id, &client) ? close_client(api, ask, id)
                                                      : admin_fail(ask, ADMIN_CLIENT_NOT_FOUND, "client_id",
                                                                   "there is no client \"%.*s\"", (int)id.len, id.ptr);
    }
    return kick_connection(api, ask);
}

// All clients that were seen on it last are closed, and it itself by whichever worker has it.
static enum admin_step kick_connection(struct admin_api *api, struct admin_ask *ask)
{
    struct stan_client_view client;
    uint32_t position = 0;
    while (stan_inspect_client_next(api->options.stan, &position, &client)) {
        if (client.connection != ask->fields.cid)
            continue;
        if (close_client(api, ask, client.id) == ADMIN_FAILED)
            return ADMIN_FAILED;
        ask->count++;
        position = 0; // it is not listed any more
    }
    if (api->options.kick)
        api->options.kick(api->options.owner, ask->fields.cid, ask->number);
    else
        admin_api_kicked(api, ask->number, false);
    return end_kick(ask);
}

// A connection that has gone may still have had clients.
static enum admin_step end_kick(struct admin_ask *ask)
{
    if (!ask->over)
        return ADMIN_LATER;
    if (ask->outcome && ask->count == 0)
        return admin_fail(ask, ADMIN_CLIENT_NOT_FOUND, "cid", "there is no connection %llu",
                          (unsigned long long)ask->fields.cid);
    return admin_show(ask, render_kicked);
}

static enum admin_step close_client(struct admin_api *api, struct admin_ask *ask, struct bytes id)
{
    int error = stan_control_close_client(api->options.stan, id, &ask->index);
    return error ? admin_fail_with(ask, error, "close the client") : admin_show(ask, render_kicked);
}

static bool render_kicked(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct json_writer json;
    (void)api;
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    json_writer_put_bool(&json, "kicked", true);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}

static bool render_list(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct admin_page page;
    struct json_writer json;
    uint64_t after[2], total;
    uint32_t *numbers;
    (void)!admin_page_after(ask, after);
    admin_page_begin(&page, api, ask, "clients", out);
    size_t count = numbers_above(api, ask, after[0], &numbers, &total), i = 0;
    for (; i < count; i++) {
        struct stan_client_view client;
        if (!stan_inspect_client_number(api->options.stan, numbers[i], &client))
            continue;
        if (!admin_page_entry(&page, &json))
            break;
        json_writer_begin_object(&json);
        put_client(api, &json, &client);
        json_writer_end(&json);
        if (!admin_page_put(&page, &json, client.number, 0))
            break;
    }
    mem_free(numbers);
    return admin_page_end(&page, ask, i < count, total);
}

static bool render_info(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    struct stan_client_view client;
    struct json_writer json;
    if (!stan_inspect_client_number(api->options.stan, ask->client, &client)) {
        admin_fail(ask, ADMIN_CLIENT_NOT_FOUND, "client_id", "the client has gone");
        return false;
    }
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    put_client(api, &json, &client);
    json_writer_key(&json, "groups");
    json_writer_begin_array(&json);
    struct holding holding = {.api = api, .json = &json};
    stan_inspect_client_each(api->options.stan, client.id, &holding, put_group);
    json_writer_end(&json);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}

// Of the clients that are meant and have a higher number, in order. *ret_numbers is the caller's.
static size_t numbers_above(struct admin_api *api, const struct admin_ask *ask, uint64_t after, uint32_t **ret_numbers,
                            uint64_t *ret_total)
{
    struct stan_stats stats;
    struct stan_client_view client;
    uint32_t position = 0;
    size_t count = 0;
    stan_stats_get(api->options.stan, &stats);
    *ret_total = 0;
    *ret_numbers = mem_alloc((size_t)(stats.clients + 1) * sizeof(**ret_numbers));
    while (stan_inspect_client_next(api->options.stan, &position, &client)) {
        if (admin_has(ask, FIELD_MATCH) && !admin_find_matches(ask->fields.match, client.id))
            continue;
        ++*ret_total;
        if (client.number > after)
            (*ret_numbers)[count++] = client.number;
    }
    if (count)
        qsort(*ret_numbers, count, sizeof(**ret_numbers), by_number);
    return count;
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void put_client(struct admin_api *api, struct json_writer *json, const struct stan_client_view *client)
{
    struct holding holding = {.api = api};
    stan_inspect_client_each(api->options.stan, client->id, &holding, add_held);
    json_writer_put_string(json, "client_id", client->id);
    if (client->connection)
        json_writer_put_u64(json, "cid", client->connection);
    if (client->since_ns)
        admin_object_put_time(json, "since", client->since_ns);
    json_writer_put_u64(json, "subscriptions", client->subscriptions);
    put_held(json, &holding);
    json_writer_put_u64(json, "heartbeats_failed", client->heartbeats_missed);
}

static void add_held(void *context, uint32_t id, struct bytes channel)
{
    struct holding *holding = context;
    struct member *member = engine_member_by_id(holding->api->engine, id);
    struct pending_info infos[64];
    (void)channel;
    if (!member)
        return;
    if (++holding->looked > SUBSCRIPTIONS_LOOK) {
        holding->messages += member_in_flight(member);
        holding->unknown = true;
        return;
    }
    size_t count = member_pending_list(member, infos, 64);
    holding->messages += member_in_flight(member);
    holding->unknown |= count < member_in_flight(member);
    for (size_t i = 0; i < count; i++)
        holding->bytes += infos[i].size;
}

static void put_group(void *context, uint32_t id, struct bytes channel)
{
    const struct holding *all = context;
    struct member *member = engine_member_by_id(all->api->engine, id);
    struct holding holding = {.api = all->api};
    struct bytes client;
    const struct buffer *out = all->json->out;
    if (!member || out->len + ENTRY_ROOM > out->max)
        return;
    add_held(&holding, id, channel);
    json_writer_begin_object(all->json);
    json_writer_put_string(all->json, "channel", channel);
    json_writer_put_string(all->json, "group", admin_find_group_name(member_consumer(member), &client));
    json_writer_put_u64(all->json, "group_id", consumer_id(member_consumer(member)));
    json_writer_put_u64(all->json, "member", id);
    put_held(all->json, &holding);
    json_writer_end(all->json);
}

// The bytes of very many are left out.
static void put_held(struct json_writer *json, const struct holding *holding)
{
    json_writer_put_object(json, "in_flight");
    json_writer_put_u64(json, "messages", holding->messages);
    if (!holding->unknown)
        json_writer_put_u64(json, "bytes", holding->bytes);
    json_writer_end(json);
}
