// SPDX-License-Identifier: Apache-2.0
// Publishing. A publish that is waited for is a NATS request, which libnats sends at once; asynchronous ones are gathered by libnats and share
// an inbox for their acknowledgements. Both are sent again, with the same id, when the connection broke before the acknowledgement.
#include "client/client_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { AGAIN_MS = 50, SMALL = 4096, CHUNK = 64 };

static int read_try(struct weir_client *client, const char *channel, const void *data, size_t data_bytes,
                    const struct weir_publish_options *options, struct weir_client_try *ret,
                    struct weir_error *ret_error);
static struct weir_envelope_publish envelope_of(const struct weir_client *client, const struct weir_client_try *publish,
                                                struct weir_bytes id);
static struct weir_bytes id_of(struct weir_client *client, const struct weir_client_try *publish, char *memory,
                               size_t size);
static int request_until(struct weir_client *client, const struct weir_client_try *publish, const char *subject,
                         struct weir_bytes message, struct weir_error *ret_error);
static int take_answer(natsMsg *answer, struct weir_error *ret_error);
static int wait_for_link(struct weir_client *client, const struct weir_client_try *publish,
                         struct weir_error *ret_error);
static void wait_a_little(struct weir_client *client, int64_t deadline_ms);
static int reserve(struct weir_client *client, const struct weir_client_try *publish, struct weir_error *ret_error);
static void unreserve(struct weir_client *client);
static int send_entry(struct weir_client *client, struct weir_inflight_entry *entry, struct weir_error *ret_error);
static void on_ack(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure);

static _Thread_local const void *callback_of_thread;

int weir_client_publish(struct weir_client *client, const char *channel, const void *data, size_t data_bytes,
                        const struct weir_publish_options *options, struct weir_error *ret_error)
{
    struct weir_client_try publish;
    int error = read_try(client, channel, data, data_bytes, options, &publish, ret_error);
    return error ? error : weir_client_try_publish(client, &publish, ret_error);
}

int weir_client_publish_async(struct weir_client *client, const char *channel, const void *data, size_t data_bytes,
                              const struct weir_publish_options *options, weir_published_fn *on_published,
                              void *closure, struct weir_error *ret_error)
{
    struct weir_client_try publish;
    int error = read_try(client, channel, data, data_bytes, options, &publish, ret_error);
    return error ? error : weir_client_try_publish_async(client, &publish, on_published, closure, ret_error);
}

int weir_client_flush(struct weir_client *client, int64_t timeout_ms)
{
    int64_t deadline_ms = weir_client_now_ms() + timeout_ms;
    if (callback_of_thread == client || timeout_ms < 0)
        return WEIR_ERR_INVALID;
    pthread_mutex_lock(&client->mutex);
    atomic_fetch_add(&client->flushers, 1);
    uint64_t last = client->inflight.serials;
    bool done;
    for (;;) {
        done = !(client->inflight.first && client->inflight.first->serial <= last) &&
               atomic_load(&client->ends_running) == 0;
        if (done || weir_client_now_ms() >= deadline_ms)
            break;
        weir_client_wait(client, deadline_ms);
    }
    atomic_fetch_sub(&client->flushers, 1);
    pthread_mutex_unlock(&client->mutex);
    return done ? 0 : WEIR_ERR_TIMEOUT;
}

int weir_client_try_publish(struct weir_client *client, const struct weir_client_try *publish,
                            struct weir_error *ret_error)
{
    char small[SMALL], id_memory[64];
    if (callback_of_thread == client)
        return weir_error_set(ret_error, WEIR_ERR_INVALID,
                              "publishing and waiting within a callback of a publish would wait for itself");
    struct weir_envelope_publish envelope =
        envelope_of(client, publish, id_of(client, publish, id_memory, sizeof(id_memory)));
    size_t message_len = weir_envelope_publish_size(&envelope);
    size_t subject_len = strlen(client->subjects.publish_prefix) + 1 + strlen(publish->channel);
    size_t size = subject_len + 1 + message_len;
    char *memory = size <= sizeof(small) ? small : malloc(size);
    if (!memory)
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    snprintf(memory, subject_len + 1, "%s.%s", client->subjects.publish_prefix, publish->channel);
    struct weir_bytes message = {memory + subject_len + 1, message_len};
    weir_envelope_publish_encode(memory + subject_len + 1, &envelope);
    int error = request_until(client, publish, memory, message, ret_error);
    if (memory != small)
        free(memory);
    return error;
}

int weir_client_try_publish_async(struct weir_client *client, const struct weir_client_try *publish,
                                  weir_published_fn *on_published, void *closure, struct weir_error *ret_error)
{
    char id_memory[64];
    struct weir_envelope_publish envelope =
        envelope_of(client, publish, id_of(client, publish, id_memory, sizeof(id_memory)));
    int error = reserve(client, publish, ret_error);
    if (error)
        return error;
    struct weir_inflight_entry *entry = weir_inflight_entry_new(client->subjects.publish_prefix, &envelope);
    if (!entry) {
        unreserve(client);
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    }
    entry->deadline_ms = publish->deadline_ms;
    entry->on_published = on_published;
    entry->closure = closure;
    pthread_mutex_lock(&client->send);
    error = client->acks ? 0 : weir_client_listen(client, client->ack_inbox, on_ack, &client->acks, ret_error);
    if (!error)
        error = send_entry(client, entry, ret_error);
    else
        weir_inflight_entry_unref(entry);
    pthread_mutex_unlock(&client->send);
    if (error)
        unreserve(client);
    return error;
}

void weir_client_take_publishes(struct weir_client *client, const struct weir_inflight_entry *entries)
{
    for (; entries; entries = entries->next) {
        atomic_fetch_add(&client->ends_running, 1);
        client->publishes--;
    }
    if (client->room_waiters > 0)
        pthread_cond_broadcast(&client->changed);
}

void weir_client_end_publishes(struct weir_client *client, struct weir_inflight_entry *entries, int result,
                               const char *why)
{
    for (struct weir_inflight_entry *entry = entries, *next; entry; entry = next) {
        next = entry->next;
        if (entry->on_published) {
            pthread_mutex_lock(&client->ending);
            const void *outer = callback_of_thread;
            callback_of_thread = client;
            entry->on_published(result, entry->id, why, entry->closure);
            callback_of_thread = outer;
            pthread_mutex_unlock(&client->ending);
        }
        weir_inflight_entry_unref(entry);
        atomic_fetch_sub(&client->ends_running, 1);
        if (atomic_load(&client->flushers) > 0) {
            pthread_mutex_lock(&client->mutex);
            pthread_cond_broadcast(&client->changed);
            pthread_mutex_unlock(&client->mutex);
        }
    }
}

// While this holds `send`, nothing new gets ahead of what was published before.
void weir_client_send_again(struct weir_client *client)
{
    pthread_mutex_lock(&client->send);
    pthread_mutex_lock(&client->mutex);
    uint64_t link = client->link_events;
    bool all = false;
    while (!all && client->link_events == link && client->state == WEIR_CLIENT_OPEN) {
        size_t sent = 0;
        struct weir_inflight_entry *entry = client->inflight.first;
        for (; entry && sent < CHUNK; entry = entry->next) {
            if (entry->epoch == link + 1)
                continue;
            entry->epoch = link + 1;
            natsConnection_PublishRequest(client->nc, entry->subject, client->ack_inbox, entry->message.ptr,
                                          (int)entry->message.len);
            sent++;
        }
        all = !entry;
        pthread_mutex_unlock(&client->mutex); // acknowledgements get their turn
        pthread_mutex_lock(&client->mutex);
    }
    if (all && client->link_events == link)
        client->sent_events = link;
    pthread_mutex_unlock(&client->mutex);
    pthread_mutex_unlock(&client->send);
}

const void *weir_client_callback_of_thread(void)
{
    return callback_of_thread;
}

void weir_client_set_callback_of_thread(const void *handle)
{
    callback_of_thread = handle;
}

static int read_try(struct weir_client *client, const char *channel, const void *data, size_t data_bytes,
                    const struct weir_publish_options *options, struct weir_client_try *ret,
                    struct weir_error *ret_error)
{
    struct weir_publish_options read;
    int error = weir_options_read_publish(channel, data, data_bytes, options, &read, ret_error);
    if (error)
        return error;
    *ret = (struct weir_client_try){
        .channel = channel,
        .data = {data, data_bytes},
        .id = {read.id, read.id ? strlen(read.id) : 0},
        .reply = {read.reply, read.reply ? strlen(read.reply) : 0},
        .deadline_ms = weir_client_now_ms() + (read.timeout_ms ? read.timeout_ms : client->options.publish_timeout_ms),
        .wait = true,
    };
    return 0;
}

static struct weir_envelope_publish envelope_of(const struct weir_client *client, const struct weir_client_try *publish,
                                                struct weir_bytes id)
{
    return (struct weir_envelope_publish){
        .client_id = {client->options.client_id, strlen(client->options.client_id)},
        .id = id,
        .channel = {publish->channel, strlen(publish->channel)},
        .reply = publish->reply,
        .data = publish->data,
        .connection_id = {client->connection_id, strlen(client->connection_id)},
    };
}

static struct weir_bytes id_of(struct weir_client *client, const struct weir_client_try *publish, char *memory,
                               size_t size)
{
    if (publish->id.len > 0)
        return publish->id;
    int len = snprintf(memory, size, "%s%" PRIx64, client->ids, (uint64_t)atomic_fetch_add(&client->made_ids, 1));
    return (struct weir_bytes){memory, (size_t)len};
}

static int request_until(struct weir_client *client, const struct weir_client_try *publish, const char *subject,
                         struct weir_bytes message, struct weir_error *ret_error)
{
    for (;;) {
        natsMsg *answer = NULL;
        int error = wait_for_link(client, publish, ret_error);
        if (error)
            return error;
        int64_t left_ms = publish->deadline_ms - weir_client_now_ms();
        natsStatus status =
            left_ms > 0 ? natsConnection_Request(&answer, client->nc, subject, message.ptr, (int)message.len, left_ms)
                        : NATS_TIMEOUT;
        if (status == NATS_OK)
            return take_answer(answer, ret_error);
        pthread_mutex_lock(&client->mutex);
        error = weir_client_check(client, ret_error);
        if (!error && status == NATS_TIMEOUT && weir_client_now_ms() >= publish->deadline_ms)
            error = weir_error_set(ret_error, WEIR_ERR_TIMEOUT, "not acknowledged in time%s%s",
                                   client->why[0] ? "; before that: " : "", client->why);
        else if (!error && (status == NATS_MAX_PAYLOAD || status == NATS_NO_MEMORY || status == NATS_INVALID_SUBJECT))
            error = weir_error_nats(ret_error, status, "publishing");
        else if (!error && !publish->wait) // it may have been stored, unless there is nobody
            error = weir_error_set(ret_error, status == NATS_NO_RESPONDERS ? WEIR_ERR_UNREACHABLE : WEIR_ERR_TIMEOUT,
                                   "publishing: %s", natsStatus_GetText(status));
        pthread_mutex_unlock(&client->mutex);
        if (error)
            return error;
        wait_a_little(client, publish->deadline_ms);
    }
}

static int take_answer(natsMsg *msg, struct weir_error *ret_error)
{
    struct weir_envelope_answer answer;
    int error = weir_envelope_answer_decode(
        (struct weir_bytes){natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg)}, &answer);
    if (error)
        weir_error_set(ret_error, error, "publishing: the answer cannot be read");
    else if (answer.error.len > 0)
        error = weir_error_set(ret_error, WEIR_ERR_REFUSED, "%.*s", (int)answer.error.len, answer.error.ptr);
    natsMsg_Destroy(msg);
    return error;
}

static int wait_for_link(struct weir_client *client, const struct weir_client_try *publish,
                         struct weir_error *ret_error)
{
    int error;
    pthread_mutex_lock(&client->mutex);
    while (!(error = weir_client_check(client, ret_error)) && !weir_client_link_up(client)) {
        if (!publish->wait || weir_client_now_ms() >= publish->deadline_ms) {
            error = weir_error_set(ret_error, publish->wait ? WEIR_ERR_TIMEOUT : WEIR_ERR_UNREACHABLE,
                                   "not connected: %s", client->why);
            break;
        }
        weir_client_wait(client, publish->deadline_ms);
    }
    pthread_mutex_unlock(&client->mutex);
    return error;
}

// libnats may know of a broken connection before we are told.
static void wait_a_little(struct weir_client *client, int64_t deadline_ms)
{
    int64_t until_ms = weir_client_now_ms() + AGAIN_MS;
    pthread_mutex_lock(&client->mutex);
    weir_client_wait(client, until_ms < deadline_ms ? until_ms : deadline_ms);
    pthread_mutex_unlock(&client->mutex);
}

// Makes sure that there is room for one more; may wait for it.
static int reserve(struct weir_client *client, const struct weir_client_try *publish, struct weir_error *ret_error)
{
    bool wait = publish->wait && callback_of_thread != client;
    int error = publish->wait ? 0 : wait_for_link(client, publish, ret_error);
    if (error)
        return error;
    pthread_mutex_lock(&client->mutex);
    while (!(error = weir_client_check(client, ret_error)) &&
           client->publishes >= client->options.max_publishes_in_flight) {
        if (!wait || weir_client_now_ms() >= publish->deadline_ms) {
            error = weir_error_set(ret_error, wait ? WEIR_ERR_TIMEOUT : WEIR_ERR_LIMIT,
                                   "%zu publishes wait for their acknowledgement", client->publishes);
            break;
        }
        client->room_waiters++;
        weir_client_wait(client, publish->deadline_ms);
        client->room_waiters--;
    }
    if (!error)
        client->publishes++;
    pthread_mutex_unlock(&client->mutex);
    return error;
}

static void unreserve(struct weir_client *client)
{
    pthread_mutex_lock(&client->mutex);
    client->publishes--;
    if (client->room_waiters > 0)
        pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->mutex);
}

// Takes the entry. `send` is held.
static int send_entry(struct weir_client *client, struct weir_inflight_entry *entry, struct weir_error *ret_error)
{
    natsStatus status = NATS_OK;
    pthread_mutex_lock(&client->mutex);
    int error = weir_client_check(client, ret_error);
    bool now = !error && weir_client_link_up(client) && client->sent_events == client->link_events;
    if (!error) {
        weir_inflight_entry_ref(entry);
        weir_inflight_add(&client->inflight, entry);
        entry->epoch = now ? client->link_events + 1 : 0;
        if (entry->deadline_ms < client->next_deadline_ms) {
            client->next_deadline_ms = entry->deadline_ms;
            pthread_cond_broadcast(&client->changed);
        }
    }
    pthread_mutex_unlock(&client->mutex);
    if (now)
        status = natsConnection_PublishRequest(client->nc, entry->subject, client->ack_inbox, entry->message.ptr,
                                               (int)entry->message.len);
    if (status == NATS_MAX_PAYLOAD || status == NATS_NO_MEMORY ||
        status == NATS_INVALID_SUBJECT) { // not to be had by waiting
        pthread_mutex_lock(&client->mutex);
        if (weir_inflight_has(&client->inflight, entry)) {
            weir_inflight_remove(&client->inflight, entry);
            weir_inflight_entry_unref(entry);
            error = weir_error_nats(ret_error, status, "publishing");
        }
        pthread_mutex_unlock(&client->mutex);
    }
    weir_inflight_entry_unref(entry);
    return error;
}

static void on_ack(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    struct weir_client *client = closure;
    struct weir_envelope_answer answer;
    struct weir_inflight_entry *entry = NULL;
    (void)nc;
    (void)sub;
    if (weir_envelope_answer_decode((struct weir_bytes){natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg)},
                                    &answer) == 0) {
        pthread_mutex_lock(&client->mutex);
        entry = weir_inflight_take(&client->inflight, answer.id);
        weir_client_take_publishes(client, entry);
        pthread_mutex_unlock(&client->mutex);
    }
    if (entry && answer.error.len > 0) {
        char why[256];
        snprintf(why, sizeof(why), "%.*s", (int)answer.error.len, answer.error.ptr);
        weir_client_end_publishes(client, entry, WEIR_ERR_REFUSED, why);
    } else if (entry) {
        weir_client_end_publishes(client, entry, WEIR_OK, "");
    }
    natsMsg_Destroy(msg);
}
