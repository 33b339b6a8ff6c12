// SPDX-License-Identifier: Apache-2.0
// The calls of driver.c that are about fleets.
#include "driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERVERS_MAX = 64 };

static void on_event(struct weir_fleet *fleet, size_t server, enum weir_server_state state, const char *why,
                     void *closure)
{
    static const char *const names[] = {"down", "up", "silent"};
    (void)fleet;
    driver_say(json_pack("{ss ss sI ss}", "client", (const char *)closure, "event", names[state], "server",
                         (json_int_t)server, "why", why));
}

static int open_fleet(const json_t *call, struct weir_error *error)
{
    struct weir_fleet_options options;
    struct weir_client_options client_options;
    const json_t *urls = json_object_get(call, "urls");
    const char *servers[SERVERS_MAX];
    struct weir_fleet *fleet;
    weir_fleet_options_init(&options);
    driver_read_client(call, &client_options);
    for (size_t i = 0; i < json_array_size(urls) && i < SERVERS_MAX; i++)
        servers[i] = json_string_value(json_array_get(urls, i));
    options.servers = servers;
    options.servers_count = json_array_size(urls);
    options.client = driver_truth(call, "defaults") ? NULL : &client_options;
    options.try_timeout_ms = driver_number(call, "try_timeout_ms");
    options.on_event = on_event;
    options.closure = strdup(driver_text(call, "name"));
    int result = weir_fleet_open(&options, &fleet, error);
    if (result == 0)
        driver_add(KIND_FLEET, options.closure, fleet, options.closure);
    else
        free(options.closure);
    return result;
}

static int publish(struct weir_fleet *fleet, const json_t *call, json_t *answer, struct weir_error *error)
{
    struct weir_publish_options options;
    const char *channel = driver_text(call, "channel"), *data = driver_text(call, "data");
    driver_read_publish(call, &options);
    if (!driver_truth(call, "async")) {
        size_t server = WEIR_ALL_SERVERS;
        options.ret_server = &server;
        int result = weir_fleet_publish(fleet, channel, data, strlen(data), &options, error);
        if (server != WEIR_ALL_SERVERS)
            json_object_set_new(answer, "server", json_integer((json_int_t)server));
        return result;
    }
    struct driver_pending pending = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 1, 0, "", NULL, "", false};
    int result =
        weir_fleet_publish_async(fleet, channel, data, strlen(data), &options, driver_on_published, &pending, error);
    if (result)
        return result;
    pthread_mutex_lock(&pending.mutex);
    while (pending.left > 0)
        pthread_cond_wait(&pending.done, &pending.mutex);
    pthread_mutex_unlock(&pending.mutex);
    snprintf(error->text, sizeof(error->text), "%s", pending.why);
    return pending.result;
}

static int subscribe(struct weir_fleet *fleet, const json_t *call, struct weir_error *error)
{
    struct weir_sub_options options;
    struct driver_handler *handler = calloc(1, sizeof(*handler));
    struct weir_fleet_sub *sub;
    driver_read_sub(call, &options);
    snprintf(handler->name, sizeof(handler->name), "%s", driver_text(call, "name"));
    handler->keep = options.manual_ack;
    handler->hold_ms = driver_number(call, "hold_ms");
    int result =
        weir_fleet_subscribe(fleet, driver_text(call, "channel"), driver_truth(call, "defaults") ? NULL : &options,
                             driver_on_message, handler, &sub, error);
    if (result == 0)
        driver_add(KIND_FLEET_SUB, handler->name, sub, handler);
    else
        free(handler);
    return result;
}

static size_t server_of(const json_t *call)
{
    return json_object_get(call, "server") ? (size_t)driver_number(call, "server") : WEIR_ALL_SERVERS;
}

static int ask_sub(struct weir_fleet_sub *sub, const json_t *call, const char *what, json_t *answer,
                   struct weir_error *error)
{
    struct weir_backlog backlog;
    uint64_t messages, bytes;
    size_t answers = 0;
    int result;
    if (strcmp(what, "end") == 0)
        return driver_truth(call, "delete") ? weir_fleet_sub_unsubscribe(sub, error) : weir_fleet_sub_close(sub, error);
    if (strcmp(what, "stop") == 0)
        return weir_fleet_sub_stop(sub), 0;
    if (strcmp(what, "nak_all") == 0)
        return weir_fleet_sub_nak_all(sub, !driver_truth(call, "uncounted"));
    if (strcmp(what, "backlog") == 0) {
        if ((result = weir_fleet_sub_backlog(sub, server_of(call), &backlog, &answers, error)) == 0) {
            json_object_set_new(answer, "backlog", driver_backlog(&backlog));
            json_object_set_new(answer, "answers", json_integer((json_int_t)answers));
        }
        return result;
    }
    if ((result = weir_fleet_sub_pending(sub, server_of(call), &messages, &bytes)) == 0) {
        json_object_set_new(answer, "messages", json_integer((json_int_t)messages));
        json_object_set_new(answer, "bytes", json_integer((json_int_t)bytes));
    }
    return result;
}

static void free_sub(const char *name)
{
    struct driver_handler *handler = driver_find(KIND_FLEET_SUB, name)->handler;
    weir_fleet_sub_free(driver_forget(KIND_FLEET_SUB, name));
    free(handler);
}

static void free_fleet(const char *name)
{
    void *closure = driver_find(KIND_FLEET, name)->handler;
    weir_fleet_free(driver_forget(KIND_FLEET, name));
    free(closure);
}

static void states(struct weir_fleet *fleet, json_t *answer)
{
    json_t *list = json_array();
    for (size_t i = 0; i < weir_fleet_servers(fleet); i++)
        json_array_append_new(list, json_pack("{ss sI sb}", "url", weir_fleet_server_url(fleet, i), "state",
                                              (json_int_t)weir_fleet_server_state(fleet, i), "drained",
                                              weir_fleet_is_drained(fleet, i)));
    json_object_set_new(answer, "servers", list);
}

int driver_fleet(const json_t *call, const char *what, json_t *answer, struct weir_error *error)
{
    const char *name = driver_text(call, "fleet"), *sub = driver_text(call, "sub");
    if (strcmp(what, "open") == 0)
        return open_fleet(call, error);
    if (strcmp(what, "free") == 0)
        return sub ? free_sub(sub) : free_fleet(name), 0;
    if (sub)
        return ask_sub(driver_find(KIND_FLEET_SUB, sub)->handle, call, what, answer, error);
    struct weir_fleet *fleet = driver_find(KIND_FLEET, name)->handle;
    if (strcmp(what, "publish") == 0)
        return publish(fleet, call, answer, error);
    if (strcmp(what, "subscribe") == 0)
        return subscribe(fleet, call, error);
    if (strcmp(what, "wait") == 0)
        return weir_fleet_wait(fleet, (size_t)driver_number(call, "count"), driver_number(call, "timeout_ms"), error);
    if (strcmp(what, "drain") == 0)
        return weir_fleet_drain(fleet, server_of(call));
    if (strcmp(what, "undrain") == 0)
        return weir_fleet_undrain(fleet, server_of(call));
    if (strcmp(what, "flush") == 0)
        return weir_fleet_flush(fleet, driver_number(call, "timeout_ms"));
    return states(fleet, answer), 0;
}
