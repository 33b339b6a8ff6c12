// SPDX-License-Identifier: Apache-2.0
// The thread of a client. It tells of events, pings the streaming server, sends publishes again when the connection is back, ends those whose
// time is over, and ends the client when the server has given it up. It sleeps until something changes or is due.
#include "client/client_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { SAYINGS_MAX_BYTES = 8 << 20, SAY_AGAIN_MS = 100 };

static void *keep(void *closure);
static int64_t step(struct weir_client *client);
static bool tell_link(struct weir_client *client);
static int64_t ping_if_due(struct weir_client *client, int64_t now_ms);
static void expire_publishes(struct weir_client *client, int64_t now_ms);
static int64_t say_again(struct weir_client *client, int64_t now_ms);
static void end_lost(struct weir_client *client);
static void tell(struct weir_client *client, enum weir_event event, const char *why);

int weir_client_start_keeper(struct weir_client *client, struct weir_error *ret_error)
{
    client->next_ping_ms = weir_client_now_ms() + client->options.ping_interval_ms;
    client->heard_ms = weir_client_now_ms();
    client->keeper_runs = true;
    if (pthread_create(&client->keeper, NULL, keep, client) == 0)
        return 0;
    client->keeper_runs = false;
    return weir_error_set(ret_error, WEIR_ERR_MEMORY, "no thread could be started");
}

void weir_client_ping_now(struct weir_client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->ping_asked = true;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->mutex);
}

int64_t weir_client_heard_ms(struct weir_client *client)
{
    pthread_mutex_lock(&client->mutex);
    int64_t heard_ms = client->heard_ms;
    pthread_mutex_unlock(&client->mutex);
    return heard_ms;
}

int weir_client_say_later(struct weir_client *client, const char *subject, const char *bytes, size_t len)
{
    size_t subject_len = strlen(subject), size = sizeof(struct weir_client_saying) + len + subject_len + 1;
    struct weir_client_saying *saying = malloc(size);
    if (!saying)
        return WEIR_ERR_MEMORY;
    saying->next = NULL;
    saying->len = len;
    saying->subject = saying->bytes + len;
    memcpy(saying->bytes, bytes, len);
    memcpy(saying->subject, subject, subject_len + 1);
    pthread_mutex_lock(&client->mutex);
    int error = weir_client_check(client, NULL);
    if (!error && client->saying_bytes + size > SAYINGS_MAX_BYTES)
        error = WEIR_ERR_UNREACHABLE;
    if (!error) {
        *client->sayings_end = saying;
        client->sayings_end = &saying->next;
        client->saying_bytes += size;
        pthread_cond_broadcast(&client->changed);
    }
    pthread_mutex_unlock(&client->mutex);
    if (error)
        free(saying);
    return error;
}

void weir_client_free_sayings(struct weir_client *client)
{
    for (struct weir_client_saying *saying = client->sayings, *next; saying; saying = next) {
        next = saying->next;
        free(saying);
    }
}

static void *keep(void *closure)
{
    struct weir_client *client = closure;
    pthread_mutex_lock(&client->mutex);
    while (client->keeper_runs && client->state == WEIR_CLIENT_OPEN) {
        int64_t next_ms = step(client);
        if (next_ms > weir_client_now_ms() && client->keeper_runs && client->state == WEIR_CLIENT_OPEN)
            weir_client_wait(client, next_ms);
    }
    pthread_mutex_unlock(&client->mutex);
    nats_ReleaseThreadMemory();
    return NULL;
}

// Does what is due; returns when to look again, 0 if at once. The mutex is held, and let go of for calls.
static int64_t step(struct weir_client *client)
{
    int64_t now_ms = weir_client_now_ms();
    if (tell_link(client))
        return 0;
    if (client->lost_why[0]) {
        end_lost(client);
        return 0;
    }
    if (weir_client_link_up(client) && client->sent_events != client->link_events) {
        pthread_mutex_unlock(&client->mutex);
        weir_client_send_again(client);
        pthread_mutex_lock(&client->mutex);
        return 0;
    }
    expire_publishes(client, now_ms);
    int64_t ping_ms = ping_if_due(client, now_ms);
    int64_t say_ms = say_again(client, now_ms);
    int64_t next_ms = client->next_deadline_ms; // read last: it may have changed while the mutex was let go of
    next_ms = next_ms < ping_ms ? next_ms : ping_ms;
    return next_ms < say_ms ? next_ms : say_ms;
}

// Says what could not be said before, first come, first said.
static int64_t say_again(struct weir_client *client, int64_t now_ms)
{
    while (client->sayings && weir_client_link_up(client)) {
        struct weir_client_saying *saying = client->sayings;
        if (natsConnection_Publish(client->nc, saying->subject, saying->bytes, (int)saying->len) != NATS_OK)
            return now_ms + SAY_AGAIN_MS;
        client->sayings = saying->next;
        if (!client->sayings)
            client->sayings_end = &client->sayings;
        client->saying_bytes -= sizeof(*saying) + saying->len + strlen(saying->subject) + 1;
        free(saying);
    }
    return INT64_MAX;
}

// Tells of the next change of the connection that was not told yet; true if there was one.
static bool tell_link(struct weir_client *client)
{
    if (client->link_events_told == client->link_events)
        return false;
    enum weir_event event = client->link_events_told++ % 2 == 0 ? WEIR_EVENT_DISCONNECTED : WEIR_EVENT_RECONNECTED;
    tell(client, event, client->why);
    return true;
}

static int64_t ping_if_due(struct weir_client *client, int64_t now_ms)
{
    bool due = now_ms >= client->next_ping_ms, asked = client->ping_asked;
    client->ping_asked = false;
    if (due)
        client->next_ping_ms = now_ms + client->options.ping_interval_ms;
    if (!weir_client_link_up(client) || !(due || asked))
        return client->next_ping_ms; // what is not connected is not given up
    if (due && client->pings_out >= client->options.ping_max_out) {
        snprintf(client->lost_why, sizeof(client->lost_why), "the server did not answer %u pings", client->pings_out);
        return 0;
    }
    client->pings_out += due;
    pthread_mutex_unlock(&client->mutex);
    weir_request_ping(client->nc, client->subjects.ping, client->heartbeat_inbox, client->connection_id);
    pthread_mutex_lock(&client->mutex);
    return client->next_ping_ms;
}

static void expire_publishes(struct weir_client *client, int64_t now_ms)
{
    if (now_ms < client->next_deadline_ms)
        return;
    char why[sizeof(client->why) + 64];
    snprintf(why, sizeof(why), "not acknowledged in time%s%s", client->why[0] ? "; before that: " : "", client->why);
    pthread_mutex_unlock(&client->mutex);
    weir_client_end_publishes(client, weir_client_take_expired(client, now_ms), WEIR_ERR_TIMEOUT, why);
    pthread_mutex_lock(&client->mutex);
}

static void end_lost(struct weir_client *client)
{
    client->state = WEIR_CLIENT_LOST;
    weir_client_set_ready(client);
    pthread_cond_broadcast(&client->changed);
    pthread_cond_broadcast(&client->room);
    pthread_mutex_unlock(&client->mutex);
    weir_client_shut(client, WEIR_ERR_LOST);
    pthread_mutex_lock(&client->mutex);
    tell(client, WEIR_EVENT_LOST, client->lost_why);
}

// The mutex is held, and let go of for the call.
static void tell(struct weir_client *client, enum weir_event event, const char *why)
{
    char text[sizeof(client->why)];
    snprintf(text, sizeof(text), "%s", why);
    if (!client->options.on_event)
        return;
    pthread_mutex_unlock(&client->mutex);
    client->options.on_event(client, event, text, client->options.closure);
    pthread_mutex_lock(&client->mutex);
}
