// SPDX-License-Identifier: Apache-2.0
// The clients of NATS Streaming and what they subscribe to (ST-H04).
//
// Made in steps: the ids are gathered, sorted, cut, and written; of each client the same is done with its subscriptions, which are
// gathered at once. A client that goes meanwhile is left out.
#include "monitor/monitor_copy.h"
#include "monitor/monitor_internal.h"
#include "monitor/name_list.h"
#include "monitor/parameter.h"
#include "monitor/put.h"
#include "monitor/put_streaming.h"

enum phase { GATHER, SORT, LIST, SORT_SUBSCRIPTIONS, SUBSCRIPTIONS };

struct clientsz {
    struct monitor_copy copy; // first
    struct streaming_query query;
    char client[PARAMETER_TEXT_SIZE]; // "": all
    struct name_list names;           // ids of clients
    uint32_t gathered;                // how far stan_inspect_client_next() has come
    struct arena arena;
    struct name_list subscriptions; // of the client that is being written: by channel
    struct json_writer json;
    enum phase phase;
    size_t at, to;         // of the names that are written
    size_t subscription;   // of its subscriptions, the next
    struct bytes channel;  // whose array is open; in the arena
    bool has_subscription; // one was written: the object is open
};

static bool step(struct monitor_copy *copy);
static void release(struct monitor_copy *copy);
static bool gather(struct clientsz *clientsz);
static void begin(struct clientsz *clientsz);
static bool list(struct clientsz *clientsz);
static void begin_client(struct clientsz *clientsz, const struct stan_client_view *client);
static void gather_subscription(void *context, uint32_t member, struct bytes channel);
static void write_subscriptions(struct clientsz *clientsz, size_t *left);
static void end_client(struct clientsz *clientsz);

void monitor_clientsz(struct monitor *monitor, struct page *page)
{
    if (!monitor->options.stan) {
        monitor_say(page, 404, "404 page not found; / lists the pages");
        return;
    }
    struct clientsz *clientsz = monitor_copy_new_steps(sizeof(*clientsz), monitor, page, step, release);
    put_streaming_read(page, &clientsz->query);
    if (!parameter_text(page, "client", clientsz->client)) {
        monitor_copy_free(&clientsz->copy);
        return;
    }
    name_list_init(&clientsz->names, &clientsz->copy.inspection.arena, STREAMING_NAMES_MAX);
    arena_init(&clientsz->arena, 16 * 1024, MONITOR_COPY_MAX);
    name_list_init(&clientsz->subscriptions, &clientsz->arena, STREAMING_NAMES_MAX);
    monitor_copy_start(&clientsz->copy);
}

static bool step(struct monitor_copy *copy)
{
    struct clientsz *clientsz = (struct clientsz *)copy;
    switch (clientsz->phase) {
    case GATHER: return !gather(clientsz);
    case SORT:
        if (name_list_sort(&clientsz->names, STREAMING_STEP_NAMES))
            begin(clientsz);
        return false;
    case SORT_SUBSCRIPTIONS:
        if (name_list_sort(&clientsz->subscriptions, STREAMING_STEP_NAMES))
            clientsz->phase = SUBSCRIPTIONS;
        return false;
    default: return list(clientsz);
    }
}

static void release(struct monitor_copy *copy)
{
    struct clientsz *clientsz = (struct clientsz *)copy;
    name_list_deinit(&clientsz->names);
    name_list_deinit(&clientsz->subscriptions);
    arena_deinit(&clientsz->arena);
}

// False: the page is full of an error.
static bool gather(struct clientsz *clientsz)
{
    const struct stan *stan = clientsz->copy.monitor->options.stan;
    struct stan_client_view client;
    bool fits = true;
    if (clientsz->client[0] != '\0') {
        clientsz->phase = SORT;
        if (!stan_inspect_client(stan, bytes_from_string(clientsz->client), &client)) {
            monitor_say_missing(clientsz->copy.page, "Client", clientsz->client);
            return false;
        }
        return name_list_add(&clientsz->names, client.id, 0);
    }
    for (size_t left = STREAMING_STEP_NAMES; fits && left > 0 && clientsz->phase == GATHER; left--) {
        if (stan_inspect_client_next(stan, &clientsz->gathered, &client))
            fits = name_list_add(&clientsz->names, client.id, 0);
        else
            clientsz->phase = SORT;
    }
    if (!fits)
        monitor_say(clientsz->copy.page, 503, "too many clients to list");
    return fits;
}

static void begin(struct clientsz *clientsz)
{
    struct json_writer *json = &clientsz->json;
    clientsz->phase = LIST;
    if (clientsz->client[0] != '\0') {
        json_writer_init(json, clientsz->copy.page->body);
        clientsz->to = 1;
        return;
    }
    bool long_one = clientsz->names.count > STREAMING_INDENTED_MAX && clientsz->query.limit > STREAMING_INDENTED_MAX;
    put_streaming_begin(clientsz->copy.monitor, clientsz->copy.page, json, long_one);
    put_time(json, "now", clientsz->copy.monitor->now.wall_ns);
    put_streaming_bounds(json, &clientsz->query, clientsz->names.count, &clientsz->at, &clientsz->to);
    json_writer_key(json, "clients");
    json_writer_begin_array(json);
}

// True: the page is complete.
static bool list(struct clientsz *clientsz)
{
    struct json_writer *json = &clientsz->json;
    struct stan_client_view client;
    for (size_t left = STREAMING_STEP_OBJECTS; left > 0 && clientsz->at < clientsz->to; left--) {
        struct bytes id = clientsz->names.entries[clientsz->at].name;
        if (clientsz->phase == SUBSCRIPTIONS)
            write_subscriptions(clientsz, &left);
        else if (stan_inspect_client(clientsz->copy.monitor->options.stan, id, &client))
            begin_client(clientsz, &client);
        else if (clientsz->client[0] != '\0') {
            monitor_say_missing(clientsz->copy.page, "Client", clientsz->client);
            return true;
        } else
            clientsz->at++;
        if (clientsz->phase == SORT_SUBSCRIPTIONS)
            return false;
    }
    if (clientsz->at < clientsz->to)
        return false;
    while (json->depth > 0)
        json_writer_end(json);
    monitor_finish_json(json, clientsz->copy.page);
    return true;
}

static void begin_client(struct clientsz *clientsz, const struct stan_client_view *client)
{
    struct json_writer *json = &clientsz->json;
    json_writer_begin_object(json);
    json_writer_put_string(json, "id", client->id);
    json_writer_put_string(json, "hb_inbox", client->heartbeat_inbox);
    json_writer_put_u64(json, "subs_count", client->subscriptions);
    json_writer_put_u64(json, "heartbeats_missed", client->heartbeats_missed);
    if (!clientsz->query.subs || client->subscriptions == 0) {
        end_client(clientsz);
        return;
    }
    name_list_deinit(&clientsz->subscriptions);
    arena_reset(&clientsz->arena);
    name_list_init(&clientsz->subscriptions, &clientsz->arena, STREAMING_NAMES_MAX);
    stan_inspect_client_each(clientsz->copy.monitor->options.stan, client->id, clientsz, gather_subscription);
    clientsz->subscription = 0;
    clientsz->has_subscription = false;
    clientsz->phase = SORT_SUBSCRIPTIONS;
}

// What does not fit is left out: subs_count tells.
static void gather_subscription(void *context, uint32_t member, struct bytes channel)
{
    struct clientsz *clientsz = context;
    (void)!name_list_add(&clientsz->subscriptions, channel, member);
}

static void write_subscriptions(struct clientsz *clientsz, size_t *left)
{
    struct json_writer *json = &clientsz->json;
    struct stan_subscription_view subscription;
    while (*left > 1 && clientsz->subscription < clientsz->subscriptions.count) {
        const struct name_entry *entry = &clientsz->subscriptions.entries[clientsz->subscription++];
        if (!stan_inspect_subscription(clientsz->copy.monitor->options.stan, entry->id, &subscription))
            continue; // it has gone
        if (!clientsz->has_subscription)
            json_writer_put_object(json, "subscriptions");
        if (!clientsz->has_subscription || !bytes_equal(clientsz->channel, entry->name)) {
            if (clientsz->has_subscription)
                json_writer_end(json);
            json_writer_key_bytes(json, entry->name);
            json_writer_begin_array(json);
        }
        clientsz->has_subscription = true;
        clientsz->channel = entry->name;
        size_t work = put_streaming_subscription(json, &subscription, clientsz->query.held);
        *left = *left > work ? *left - work : 1;
    }
    if (clientsz->subscription < clientsz->subscriptions.count)
        return;
    if (clientsz->has_subscription) {
        json_writer_end(json);
        json_writer_end(json);
    }
    end_client(clientsz);
}

static void end_client(struct clientsz *clientsz)
{
    json_writer_end(&clientsz->json);
    clientsz->phase = LIST;
    clientsz->at++;
}
