// SPDX-License-Identifier: Apache-2.0
// Makes and ends clients.
#include "client/client_internal.h"

#include "client/sub_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// Of inboxes, which libnats reads letter by letter with each message: so many that no two clients of a server have the same. The one for
// acknowledgements has fewer: if two had it, the ids would tell whose they are.
enum { INBOX_LETTERS = 12, ACK_INBOX_LETTERS = 8 };

static int make(const struct weir_client_options *options, struct weir_client **ret_client,
                struct weir_error *ret_error);
static void wait_on(pthread_cond_t *condition, struct weir_client *client, int64_t until_ms);
static int name_inboxes(struct weir_client *client, struct weir_error *ret_error);
static int register_client(struct weir_client *client, struct weir_error *ret_error);
static void on_control(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure);
static void take_pong(struct weir_client *client, natsMsg *msg);
static void stop_keeper(struct weir_client *client);
static void destroy(struct weir_client *client);

int weir_client_open(const struct weir_client_options *options, struct weir_client **ret_client,
                     struct weir_error *ret_error)
{
    struct weir_client *client = NULL;
    int error = make(options, &client, ret_error);
    if (error)
        return error;
    error = weir_client_connect(client, ret_error);
    if (!error)
        error = register_client(client, ret_error);
    if (!error)
        error = weir_client_start_keeper(client, ret_error);
    if (error) {
        client->state = WEIR_CLIENT_LOST; // there is nobody to say goodbye to
        weir_client_abandon(client);
        return error;
    }
    *ret_client = client;
    return 0;
}

int weir_client_close(struct weir_client *client, struct weir_error *ret_error)
{
    int error = 0;
    pthread_mutex_lock(&client->mutex);
    enum weir_client_state state = client->state;
    bool link_up = weir_client_link_up(client);
    client->state = WEIR_CLIENT_CLOSED;
    weir_client_set_ready(client);
    for (struct weir_sub *sub = client->subs; sub; sub = sub->next)
        atomic_store(&sub->closed, true);
    pthread_cond_broadcast(&client->changed);
    pthread_cond_broadcast(&client->room);
    pthread_mutex_unlock(&client->mutex);
    if (state == WEIR_CLIENT_CLOSED)
        return 0;
    if (state == WEIR_CLIENT_OPEN && link_up)
        error = weir_request_close(client->nc, client->subjects.close, client->options.client_id,
                                   client->options.request_timeout_ms, ret_error);
    else if (state == WEIR_CLIENT_OPEN)
        error = weir_error_set(ret_error, WEIR_ERR_UNREACHABLE, "closing: not connected");
    weir_client_shut(client, WEIR_ERR_CLOSED);
    return error;
}

void weir_client_free(struct weir_client *client)
{
    if (!client)
        return;
    weir_client_close(client, NULL);
    pthread_mutex_lock(&client->mutex);
    for (struct weir_sub *sub = client->subs; sub; sub = sub->next) {
        while (!sub->complete)
            pthread_cond_wait(&client->changed, &client->mutex);
    }
    pthread_mutex_unlock(&client->mutex);
    weir_client_abandon(client);
}

const char *weir_client_id(const struct weir_client *client)
{
    return client->options.client_id;
}

bool weir_client_is_connected(struct weir_client *client)
{
    pthread_mutex_lock(&client->mutex);
    bool connected = client->state == WEIR_CLIENT_OPEN && weir_client_link_up(client);
    pthread_mutex_unlock(&client->mutex);
    return connected;
}

int64_t weir_client_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now); // deadlines need no more, and this is asked for every message
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

int64_t weir_client_deadline_ms(int64_t timeout_ms)
{
    int64_t now_ms = weir_client_now_ms();
    if (timeout_ms > INT64_MAX - now_ms)
        return INT64_MAX;
    return now_ms + (timeout_ms > 0 ? timeout_ms : 0);
}

void weir_client_ref(struct weir_client *client)
{
    atomic_fetch_add(&client->references, 1);
}

void weir_client_unref(struct weir_client *client)
{
    if (atomic_fetch_sub(&client->references, 1) == 1)
        destroy(client);
}

void weir_client_wait(struct weir_client *client, int64_t until_ms)
{
    wait_on(&client->changed, client, until_ms);
}

void weir_client_wait_for_room(struct weir_client *client, int64_t until_ms)
{
    client->room_waiters++;
    wait_on(&client->room, client, until_ms);
    client->room_waiters--;
}

void weir_client_set_ready(struct weir_client *client)
{
    bool ready =
        client->state == WEIR_CLIENT_OPEN && weir_client_link_up(client) && client->sent_events == client->link_events;
    atomic_store_explicit(&client->ready, ready ? client->link_events + 1 : 0, memory_order_release);
}

int weir_client_check(const struct weir_client *client, struct weir_error *ret_error)
{
    if (client->state == WEIR_CLIENT_OPEN)
        return 0;
    if (client->state == WEIR_CLIENT_LOST)
        return weir_error_set(ret_error, WEIR_ERR_LOST, "%s", client->lost_why);
    return weir_error_set(ret_error, WEIR_ERR_CLOSED, "the client was closed");
}

void weir_client_abandon(struct weir_client *client)
{
    weir_client_close(client, NULL);
    stop_keeper(client);
    natsSubscription_Destroy(client->control);
    natsSubscription_Destroy(client->acks);
    client->control = client->acks = NULL;
    for (struct weir_sub *sub = client->subs, *next; sub; sub = next) {
        next = sub->next; // unlinked by that
        weir_sub_release(sub);
    }
    weir_client_unref(client);
}

void weir_client_shut(struct weir_client *client, int result)
{
    char why[sizeof(client->lost_why)];
    if (client->nc)
        natsConnection_Close(client->nc);
    pthread_mutex_lock(&client->mutex);
    snprintf(why, sizeof(why), "%s", result == WEIR_ERR_LOST ? client->lost_why : "the client was closed");
    pthread_mutex_unlock(&client->mutex);
    weir_client_end_publishes(client, weir_client_take_expired(client, INT64_MAX), result, why);
}

static int make(const struct weir_client_options *options, struct weir_client **ret_client,
                struct weir_error *ret_error)
{
    struct weir_client *client = calloc(1, sizeof(*client));
    pthread_condattr_t attributes;
    pthread_mutexattr_t spinning, nesting;
    int error;
    if (!client)
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    if ((error = weir_options_client_copy(options, &client->options, ret_error))) {
        free(client);
        return error;
    }
    if ((error = weir_options_check_servers(client->options.servers, 1, ret_error))) {
        weir_options_client_deinit(&client->options);
        free(client);
        return error;
    }
    atomic_init(&client->references, 1);
    pthread_mutexattr_init(&spinning); // what these protect is short, and sleeping is what would cost
    pthread_mutexattr_settype(&spinning, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&client->send, &spinning);
    pthread_mutex_init(&client->mutex, &spinning);
    pthread_mutexattr_destroy(&spinning);
    pthread_mutexattr_init(&nesting); // a callback may close the client, which ends the others within it
    pthread_mutexattr_settype(&nesting, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&client->ending, &nesting);
    pthread_mutexattr_destroy(&nesting);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&client->changed, &attributes);
    pthread_cond_init(&client->room, &attributes);
    pthread_condattr_destroy(&attributes);
    client->next_deadline_ms = INT64_MAX;
    weir_client_set_ready(client);
    client->sayings_end = &client->sayings;
    if ((error = weir_inflight_init(&client->inflight, client->options.max_publishes_in_flight)))
        weir_error_set(ret_error, error, "out of memory");
    else
        error = name_inboxes(client, ret_error);
    if (error) {
        weir_client_unref(client);
        return error;
    }
    *ret_client = client;
    return 0;
}

static void wait_on(pthread_cond_t *condition, struct weir_client *client, int64_t until_ms)
{
    struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    if (until_ms == INT64_MAX)
        pthread_cond_wait(condition, &client->mutex);
    else
        pthread_cond_timedwait(condition, &client->mutex, &until);
}

static int name_inboxes(struct weir_client *client, struct weir_error *ret_error)
{
    char inbox[INBOX_LETTERS + 1], ack_inbox[ACK_INBOX_LETTERS + 1];
    if (weir_options_letters(client->connection_id, sizeof(client->connection_id)) ||
        weir_options_letters(client->ids, sizeof(client->ids)) || weir_options_letters(inbox, sizeof(inbox)) ||
        weir_options_letters(ack_inbox, sizeof(ack_inbox)))
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "no random numbers");
    snprintf(client->inbox, sizeof(client->inbox), "_INBOX.%s", inbox);
    snprintf(client->heartbeat_inbox, sizeof(client->heartbeat_inbox), "%s.hb", client->inbox);
    snprintf(client->ack_inbox, sizeof(client->ack_inbox), "_INBOX.%s", ack_inbox);
    return 0;
}

static int register_client(struct weir_client *client, struct weir_error *ret_error)
{
    const struct weir_client_options *options = &client->options;
    char subject[600];
    snprintf(subject, sizeof(subject), "%s.%s", options->discover_prefix, options->cluster_id);
    struct weir_request_connect request = {
        .subject = subject,
        .client_id = options->client_id,
        .connection_id = client->connection_id,
        .heartbeat_inbox = client->heartbeat_inbox,
        .ping_interval_s = (int32_t)(options->ping_interval_ms / 1000),
        .ping_max_out = (int32_t)options->ping_max_out,
    };
    int error = weir_client_listen(client, client->heartbeat_inbox, on_control, &client->control, ret_error);
    return error
               ? error
               : weir_request_connect(client->nc, &request, options->connect_timeout_ms, &client->subjects, ret_error);
}

// Heartbeats of the server are answered (ST-P09), and answers to our pings counted; they are told apart by having a reply subject.
static void on_control(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    const char *reply = natsMsg_GetReply(msg);
    (void)sub;
    if (reply && reply[0])
        natsConnection_Publish(nc, reply, NULL, 0);
    else
        take_pong(closure, msg);
    natsMsg_Destroy(msg);
}

static void take_pong(struct weir_client *client, natsMsg *msg)
{
    char *text = weir_request_ping_error(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg));
    pthread_mutex_lock(&client->mutex);
    if (text && text[0]) {
        snprintf(client->lost_why, sizeof(client->lost_why), "%s", text);
        pthread_cond_broadcast(&client->changed);
    } else {
        client->pings_out = 0;
        client->heard_ms = weir_client_now_ms();
    }
    pthread_mutex_unlock(&client->mutex);
    free(text);
}

static void stop_keeper(struct weir_client *client)
{
    pthread_mutex_lock(&client->mutex);
    bool runs = client->keeper_runs;
    client->keeper_runs = false;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->mutex);
    if (runs)
        pthread_join(client->keeper, NULL);
}

static void destroy(struct weir_client *client)
{
    natsConnection_Destroy(client->nc);
    weir_request_subjects_deinit(&client->subjects);
    weir_options_client_deinit(&client->options);
    weir_inflight_deinit(&client->inflight);
    weir_client_free_spares(client);
    weir_client_free_sayings(client);
    pthread_cond_destroy(&client->changed);
    pthread_cond_destroy(&client->room);
    pthread_mutex_destroy(&client->mutex);
    pthread_mutex_destroy(&client->ending);
    pthread_mutex_destroy(&client->send);
    free(client);
}
