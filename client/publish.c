// SPDX-License-Identifier: Apache-2.0
// Publishing. A publish that is waited for is a NATS request, which libnats sends at once; asynchronous ones are gathered by libnats and share
// an inbox for their acknowledgements. Both are sent again, with the same id, when the connection broke before the acknowledgement.
#include "client/client_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { AGAIN_MS = 50, SMALL = 4096, CHUNK = 64, ID_BYTES = 48, SPARES_MAX = 2048 };

static int read_try(struct weir_client *client, const char *channel, const void *data, size_t data_bytes,
                    const struct weir_publish_options *options, struct weir_client_try *ret,
                    struct weir_error *ret_error);
static struct weir_envelope_publish envelope_of(const struct weir_client *client, const struct weir_client_try *publish,
                                                struct weir_bytes id);
static struct weir_bytes id_of(struct weir_client *client, const struct weir_client_try *publish,
                               char memory[ID_BYTES]);
static int request_until(struct weir_client *client, const struct weir_client_try *publish, const char *subject,
                         struct weir_bytes message, struct weir_error *ret_error);
static int take_answer(natsMsg *answer, struct weir_error *ret_error);
static int wait_for_link(struct weir_client *client, const struct weir_client_try *publish,
                         struct weir_error *ret_error);
static void wait_a_little(struct weir_client *client, int64_t deadline_ms);
static size_t room_mark(const struct weir_client *client);
static int wait_for_room(struct weir_client *client, const struct weir_client_try *publish,
                         struct weir_error *ret_error);
static int send_entry(struct weir_client *client, const struct weir_client_try *publish,
                      struct weir_inflight_entry *entry, struct weir_error *ret_error);
static int take_back(struct weir_client *client, struct weir_inflight_entry *entry, natsStatus status,
                     struct weir_error *ret_error);
static void let_go(struct weir_client *client, struct weir_inflight_entry *entry);
static struct weir_inflight_entry *take_spare(struct weir_client *client);
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
    char small[SMALL], id_memory[ID_BYTES];
    if (callback_of_thread == client)
        return weir_error_set(ret_error, WEIR_ERR_INVALID,
                              "publishing and waiting within a callback of a publish would wait for itself");
    struct weir_envelope_publish envelope = envelope_of(client, publish, id_of(client, publish, id_memory));
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
    char id_memory[ID_BYTES];
    struct weir_envelope_publish envelope = envelope_of(client, publish, id_of(client, publish, id_memory));
    bool small =
        weir_envelope_publish_size(&envelope) < WEIR_INFLIGHT_SMALL; // then one is at hand, and copying takes no time
    struct weir_inflight_entry *entry =
        small ? NULL : weir_inflight_entry_new(NULL, client->subjects.publish_prefix, &envelope);
    pthread_mutex_lock(&client->send);
    if (small)
        entry = weir_inflight_entry_new(take_spare(client), client->subjects.publish_prefix, &envelope);
    int error = entry ? 0 : weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    if (!error && !client->acks)
        error = weir_client_listen(client, client->ack_inbox, on_ack, &client->acks, ret_error);
    if (!error) {
        entry->deadline_ms = publish->deadline_ms;
        entry->on_published = on_published;
        entry->closure = closure;
        error = send_entry(client, publish, entry, ret_error);
        let_go(client, entry);
    } else {
        free(entry);
    }
    pthread_mutex_unlock(&client->send);
    return error;
}

void weir_client_take_publishes(struct weir_client *client, const struct weir_inflight_entry *entries)
{
    bool enough = false; // waiters are woken when the mark is passed, not again and again below it
    for (; entries; entries = entries->next) {
        atomic_fetch_add_explicit(&client->ends_running, 1, memory_order_relaxed);
        enough |= --client->publishes == room_mark(client);
    }
    if (enough && client->room_waiters > 0)
        pthread_cond_broadcast(&client->room);
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
        let_go(client, entry);
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

void weir_client_free_spares(struct weir_client *client)
{
    for (struct weir_inflight_entry *entry; (entry = take_spare(client));)
        free(entry);
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

// One that is made up is the client's unique text and a number.
static struct weir_bytes id_of(struct weir_client *client, const struct weir_client_try *publish, char memory[ID_BYTES])
{
    if (publish->id.len > 0)
        return publish->id;
    char *to = memory + ID_BYTES;
    uint64_t number = atomic_fetch_add_explicit(&client->made_ids, 1, memory_order_relaxed);
    do
        *--to = "0123456789abcdefghijklmnopqrstuv"[number & 31];
    while ((number >>= 5) > 0);
    to -= WEIR_UNIQUE_BYTES - 1;
    memcpy(to, client->ids, WEIR_UNIQUE_BYTES - 1);
    return (struct weir_bytes){to, (size_t)(memory + ID_BYTES - to)};
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

// Who waits for room is woken when there is some, not for each place.
static size_t room_mark(const struct weir_client *client)
{
    size_t max = client->options.max_publishes_in_flight;
    return max - (max + 3) / 4;
}

// Makes sure that there is room for one more; may wait for it, without `send`, which the keeper may need to make it. Both locks are held.
static int wait_for_room(struct weir_client *client, const struct weir_client_try *publish,
                         struct weir_error *ret_error)
{
    bool wait = publish->wait && callback_of_thread != client;
    int error;
    while (!(error = weir_client_check(client, ret_error)) &&
           client->publishes >= client->options.max_publishes_in_flight) {
        if (!wait || weir_client_now_ms() >= publish->deadline_ms)
            return weir_error_set(ret_error, wait ? WEIR_ERR_TIMEOUT : WEIR_ERR_LIMIT,
                                  "%zu publishes wait for their acknowledgement", client->publishes);
        pthread_mutex_unlock(&client->send);
        while (client->publishes > room_mark(client) && client->state == WEIR_CLIENT_OPEN &&
               weir_client_now_ms() < publish->deadline_ms)
            weir_client_wait_for_room(client, publish->deadline_ms);
        pthread_mutex_unlock(&client->mutex);
        pthread_mutex_lock(&client->send);
        pthread_mutex_lock(&client->mutex);
    }
    return error;
}

// `send` is held. The table has a reference of its own.
static int send_entry(struct weir_client *client, const struct weir_client_try *publish,
                      struct weir_inflight_entry *entry, struct weir_error *ret_error)
{
    natsStatus status = NATS_OK;
    pthread_mutex_lock(&client->mutex);
    int error = wait_for_room(client, publish, ret_error);
    if (!error && !publish->wait && !weir_client_link_up(client))
        error = weir_error_set(ret_error, WEIR_ERR_UNREACHABLE, "not connected: %s", client->why);
    bool now = !error && weir_client_link_up(client) && client->sent_events == client->link_events;
    if (!error) {
        weir_inflight_entry_ref(entry);
        weir_inflight_add(&client->inflight, entry);
        client->publishes++;
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
    if (status == NATS_MAX_PAYLOAD || status == NATS_NO_MEMORY || status == NATS_INVALID_SUBJECT)
        error = take_back(client, entry, status, ret_error);
    return error;
}

// What waiting does not make better. Nothing, if somebody else has ended it already.
static int take_back(struct weir_client *client, struct weir_inflight_entry *entry, natsStatus status,
                     struct weir_error *ret_error)
{
    pthread_mutex_lock(&client->mutex);
    bool there = weir_inflight_has(&client->inflight, entry);
    if (there) {
        weir_inflight_remove(&client->inflight, entry);
        client->publishes--;
    }
    pthread_mutex_unlock(&client->mutex);
    if (!there)
        return 0;
    let_go(client, entry);
    return weir_error_nats(ret_error, status, "publishing");
}

// Drops a reference. With the last one a small entry is kept to be used again: what one thread allocates and another frees is dear.
static void let_go(struct weir_client *client, struct weir_inflight_entry *entry)
{
    if (!weir_inflight_entry_unref(entry))
        return;
    if (entry->capacity > WEIR_INFLIGHT_SMALL ||
        atomic_load_explicit(&client->spent_count, memory_order_relaxed) >= SPARES_MAX) {
        free(entry);
        return;
    }
    atomic_fetch_add_explicit(&client->spent_count, 1, memory_order_relaxed);
    entry->next = atomic_load_explicit(&client->spent, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&client->spent, &entry->next, entry, memory_order_release,
                                                  memory_order_relaxed))
        ;
}

// NULL: there is none. `send` is held.
static struct weir_inflight_entry *take_spare(struct weir_client *client)
{
    if (!client->spares)
        client->spares = atomic_exchange_explicit(&client->spent, NULL, memory_order_acquire);
    struct weir_inflight_entry *entry = client->spares;
    if (entry) {
        client->spares = entry->next;
        atomic_fetch_sub_explicit(&client->spent_count, 1, memory_order_relaxed);
    }
    return entry;
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
