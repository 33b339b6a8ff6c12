// SPDX-License-Identifier: Apache-2.0
// The thread of one server of a fleet. It makes the client there, and again when the server has forgotten us; brings subscriptions to where they
// should be; and finds out when a server that was silent answers again. A server that does not answer holds up its own thread only.
#include "client/fleet_internal.h"

#include <stdio.h>

enum { RETRY_MS = 250, LISTEN_MS = 200 };

static void *serve(void *closure);
static bool step(struct weir_fleet_server *server, int64_t *ret_next_ms);
static bool open_client(struct weir_fleet_server *server);
static void drop_client(struct weir_fleet_server *server, bool wait);
static bool tell(struct weir_fleet_server *server);
static void listen_for_life(struct weir_fleet_server *server, int64_t *ret_next_ms);
static void on_event(struct weir_client *client, enum weir_event event, const char *why, void *closure);

int weir_fleet_server_start(struct weir_fleet_server *server)
{
    if (pthread_create(&server->thread, NULL, serve, server) != 0)
        return WEIR_ERR_MEMORY;
    server->thread_runs = true;
    return 0;
}

void weir_fleet_server_set_state(struct weir_fleet_server *server, enum weir_server_state state, const char *why)
{
    if (state == WEIR_SERVER_SILENT && server->state != WEIR_SERVER_SILENT)
        server->silent_since_ms = weir_client_now_ms();
    server->state = state;
    snprintf(server->why, sizeof(server->why), "%s", why);
    pthread_cond_broadcast(&server->fleet->changed);
}

static void *serve(void *closure)
{
    struct weir_fleet_server *server = closure;
    struct weir_fleet *fleet = server->fleet;
    pthread_mutex_lock(&fleet->mutex);
    while (!fleet->closing) {
        int64_t next_ms = INT64_MAX;
        if (!step(server, &next_ms) && !fleet->closing)
            weir_fleet_pause(fleet, next_ms);
    }
    drop_client(server, true);
    pthread_mutex_unlock(&fleet->mutex);
    nats_ReleaseThreadMemory();
    return NULL;
}

// One thing that is to be done; false: there was nothing, look again at *ret_next_ms or when something changes. The lock is held, and let go
// of for calls.
static bool step(struct weir_fleet_server *server, int64_t *ret_next_ms)
{
    if (tell(server))
        return true;
    if (server->client && server->lost) {
        drop_client(server, false);
        return true;
    }
    if (!server->client)
        return open_client(server);
    if (server->state == WEIR_SERVER_SILENT)
        listen_for_life(server, ret_next_ms);
    return weir_fleet_sub_settle(server, ret_next_ms);
}

// True, unless there is nothing to do for now: then it has waited already.
static bool open_client(struct weir_fleet_server *server)
{
    struct weir_fleet *fleet = server->fleet;
    struct weir_client_options options = fleet->options;
    struct weir_client *client = NULL;
    struct weir_error error = {0, ""};
    options.servers = server->url;
    options.on_event = on_event;
    options.closure = server;
    server->lost = false;
    pthread_mutex_unlock(&fleet->mutex);
    int result = weir_client_open(&options, &client, &error);
    if (result == 0)
        client->server = server->index;
    pthread_mutex_lock(&fleet->mutex);
    if (result == 0) {
        server->client = client;
        if (!server->lost)
            weir_fleet_server_set_state(server, weir_client_is_connected(client) ? WEIR_SERVER_UP : WEIR_SERVER_DOWN,
                                        "");
        return true;
    }
    // Told once, and again when it is for another reason; who asks for a server that never was there hears nothing else of it.
    if (strncmp(server->why, error.text, sizeof(server->why) - 1) != 0)
        server->tell_why = true;
    weir_fleet_server_set_state(server, WEIR_SERVER_DOWN, error.text);
    int64_t until_ms = weir_client_now_ms() + RETRY_MS;
    while (!fleet->closing && weir_client_now_ms() < until_ms)
        weir_fleet_pause(fleet, until_ms);
    return true;
}

static void drop_client(struct weir_fleet_server *server, bool wait)
{
    struct weir_client *client = server->client;
    if (!client)
        return;
    weir_fleet_sub_forget(server);
    server->client = NULL;
    server->state = WEIR_SERVER_DOWN;
    pthread_mutex_unlock(&server->fleet->mutex);
    if (wait)
        weir_client_free(client);
    else
        weir_client_abandon(client); // handlers may still be at work
    pthread_mutex_lock(&server->fleet->mutex);
}

// Tells of a state that was not told yet; true if there was one.
static bool tell(struct weir_fleet_server *server)
{
    struct weir_fleet *fleet = server->fleet;
    enum weir_server_state state = server->state;
    char why[sizeof(server->why)];
    if (server->told_state == state && !server->tell_why)
        return false;
    server->told_state = state;
    server->tell_why = false;
    snprintf(why, sizeof(why), "%s", server->why);
    if (fleet->on_event) {
        pthread_mutex_unlock(&fleet->mutex);
        fleet->on_event(fleet, server->index, state, why, fleet->closure);
        pthread_mutex_lock(&fleet->mutex);
    }
    return true;
}

static void listen_for_life(struct weir_fleet_server *server, int64_t *ret_next_ms)
{
    if (weir_client_heard_ms(server->client) > server->silent_since_ms) {
        weir_fleet_server_set_state(server, WEIR_SERVER_UP, "");
        *ret_next_ms = 0;
        return;
    }
    weir_client_ping_now(server->client);
    int64_t next_ms = weir_client_now_ms() + LISTEN_MS;
    if (next_ms < *ret_next_ms)
        *ret_next_ms = next_ms;
}

// On the keeper thread of the client.
static void on_event(struct weir_client *client, enum weir_event event, const char *why, void *closure)
{
    struct weir_fleet_server *server = closure;
    (void)client;
    pthread_mutex_lock(&server->fleet->mutex);
    if (event == WEIR_EVENT_LOST)
        server->lost = true;
    weir_fleet_server_set_state(server, event == WEIR_EVENT_RECONNECTED ? WEIR_SERVER_UP : WEIR_SERVER_DOWN, why);
    pthread_mutex_unlock(&server->fleet->mutex);
}
