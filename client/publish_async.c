// SPDX-License-Identifier: Apache-2.0
// Publishes that are not waited for. libnats gathers them; they share an inbox for their acknowledgements, and are sent again, in their order and
// with the same ids, when the connection broke before the acknowledgement.
//
// An entry has one owner at a time. Who publishes makes it, sends it and hands it over (`fresh`); whoever looks into the table (`inflight`) takes in
// first what was handed over; who takes it out of there calls back, and hands it back to be used again (`spent`). So the thread that publishes
// and the one that reads acknowledgements share no lock but when one of them has to wait: there is no room, or the acknowledgement
// comes before its publish was handed over.
#include "client/client_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK = 64 };

static struct weir_inflight_entry *make_entry(struct weir_client *client, const struct weir_client_try *publish,
                                              uint64_t number, struct weir_inflight_entry *spare);
static int enter(struct weir_client *client, const struct weir_client_try *publish, uint64_t *ret_epoch,
                 struct weir_error *ret_error);
static size_t in_flight(const struct weir_client *client);
static size_t room_mark(const struct weir_client *client);
static void take_publishes(struct weir_client *client, const struct weir_inflight_entry *entries);
static int wait_for_room(struct weir_client *client, const struct weir_client_try *publish,
                         struct weir_error *ret_error);
static int send_entry(struct weir_client *client, struct weir_inflight_entry *entry, struct weir_error *ret_error);
static void hand_over(struct weir_client *client, struct weir_inflight_entry *entry);
static void take_in(struct weir_client *client);
static struct weir_inflight_entry *take_acknowledged(struct weir_client *client, struct weir_bytes id);
static void on_ack(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure);
static void destroy_read_acks(struct weir_client *client);

static _Thread_local const void *callback_of_thread;

int weir_client_flush(struct weir_client *client, int64_t timeout_ms)
{
    int64_t deadline_ms = weir_client_deadline_ms(timeout_ms);
    if (callback_of_thread == client || timeout_ms < 0)
        return WEIR_ERR_INVALID;
    pthread_mutex_lock(&client->send);
    pthread_mutex_lock(&client->mutex);
    take_in(client);
    pthread_mutex_unlock(&client->send);
    atomic_fetch_add(&client->flushers, 1);
    uint64_t last = client->inflight.serials;
    bool done;
    for (;;) {
        done = !(client->inflight.first && client->inflight.first->serial <= last) &&
               atomic_load(&client->ended) == atomic_load_explicit(&client->taken, memory_order_relaxed);
        if (done || weir_client_now_ms() >= deadline_ms)
            break;
        weir_client_wait(client, deadline_ms);
    }
    atomic_fetch_sub(&client->flushers, 1);
    pthread_mutex_unlock(&client->mutex);
    return done ? 0 : WEIR_ERR_TIMEOUT;
}

int weir_client_try_publish_async(struct weir_client *client, const struct weir_client_try *publish,
                                  weir_published_fn *on_published, void *closure, struct weir_error *ret_error)
{
    struct weir_inflight_entry *entry = NULL;
    uint64_t epoch = 0;
    bool small = publish->data.len <= WEIR_INFLIGHT_SMALL / 2; // then one is at hand, and copying takes no time
    if (!small && !(entry = make_entry(client, publish, weir_client_number(client), NULL)))
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    pthread_mutex_lock(&client->send);
    int error = enter(client, publish, &epoch, ret_error);
    if (!error && small &&
        !(entry = make_entry(client, publish, 2 * client->made_small++, weir_handover_take(&client->spent))))
        error = weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    if (!error && !client->acks)
        error = weir_client_listen(client, client->ack_inbox, on_ack, &client->acks, ret_error);
    if (!error) {
        entry->epoch = epoch;
        entry->deadline_ms = publish->deadline_ms;
        entry->on_published = on_published;
        entry->closure = closure;
        error = send_entry(client, entry, ret_error);
    }
    if (error)
        free(entry);
    pthread_mutex_unlock(&client->send);
    return error;
}

struct weir_inflight_entry *weir_client_take_expired(struct weir_client *client, int64_t now_ms)
{
    pthread_mutex_lock(&client->send); // nothing is on its way to the table then
    pthread_mutex_lock(&client->mutex);
    take_in(client);
    struct weir_inflight_entry *expired = weir_inflight_expire(&client->inflight, now_ms, &client->next_deadline_ms);
    take_publishes(client, expired);
    pthread_mutex_unlock(&client->mutex);
    pthread_mutex_unlock(&client->send);
    return expired;
}

void weir_client_end_publishes(struct weir_client *client, struct weir_inflight_entry *entries, int result,
                               const char *why)
{
    for (struct weir_inflight_entry *entry = entries, *next; entry; entry = next) {
        next = entry->next;
        pthread_mutex_lock(&client->ending);
        if (entry->on_published) {
            const void *outer = callback_of_thread;
            callback_of_thread = client;
            entry->on_published(result, entry->id, why, entry->closure);
            callback_of_thread = outer;
        }
        if (entry->capacity > WEIR_INFLIGHT_SMALL || !weir_handover_put(&client->spent, entry))
            free(entry);
        pthread_mutex_unlock(&client->ending);
        atomic_fetch_add(&client->ended, 1);
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
    take_in(client);
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
    weir_client_set_ready(client);
    pthread_mutex_unlock(&client->mutex);
    pthread_mutex_unlock(&client->send);
}

void weir_client_free_spares(struct weir_client *client)
{
    for (struct weir_inflight_entry *entry; (entry = weir_handover_take(&client->spent));)
        free(entry);
    destroy_read_acks(client);
}

const void *weir_client_callback_of_thread(void)
{
    return callback_of_thread;
}

void weir_client_set_callback_of_thread(const void *handle)
{
    callback_of_thread = handle;
}

static struct weir_inflight_entry *make_entry(struct weir_client *client, const struct weir_client_try *publish,
                                              uint64_t number, struct weir_inflight_entry *spare)
{
    char id[WEIR_CLIENT_ID_BYTES];
    struct weir_envelope_publish envelope = weir_client_envelope(client, publish, number, id);
    return weir_inflight_entry_new(spare, client->subjects.publish_prefix, &envelope);
}

// Makes sure that one more may be published. *ret_epoch: of the connection that it is to be sent over now; 0: it is only kept, for the keeper to send.
// `send` is held, and let go of for waiting.
static int enter(struct weir_client *client, const struct weir_client_try *publish, uint64_t *ret_epoch,
                 struct weir_error *ret_error)
{
    uint64_t epoch = atomic_load_explicit(&client->ready, memory_order_acquire);
    int error = 0;
    if (epoch == 0 || atomic_load_explicit(&client->made, memory_order_relaxed) >= client->room_until) {
        pthread_mutex_lock(&client->mutex);
        error = wait_for_room(client, publish, ret_error);
        if (!error && !publish->wait && !weir_client_link_up(client))
            error = weir_error_set(ret_error, WEIR_ERR_UNREACHABLE, "not connected: %s", client->why);
        epoch = atomic_load_explicit(&client->ready, memory_order_relaxed);
        client->room_until =
            atomic_load_explicit(&client->taken, memory_order_relaxed) + client->options.max_publishes_in_flight;
        pthread_mutex_unlock(&client->mutex);
    }
    *ret_epoch = epoch;
    return error;
}

// Those that were handed over and not taken out. `mutex` or `send` is held; who has only one of them may be told of one too many.
static size_t in_flight(const struct weir_client *client)
{
    size_t taken = atomic_load_explicit(&client->taken, memory_order_relaxed);
    return atomic_load_explicit(&client->made, memory_order_relaxed) - taken;
}

// Who waits for room is woken when there is some, not for each place.
static size_t room_mark(const struct weir_client *client)
{
    size_t max = client->options.max_publishes_in_flight;
    return max - (max + 3) / 4;
}

// Counts entries, chained by `next`, as taken out. The mutex is held.
static void take_publishes(struct weir_client *client, const struct weir_inflight_entry *entries)
{
    bool enough = false; // waiters are woken when the mark is passed, not again and again below it
    for (; entries; entries = entries->next) {
        size_t taken = atomic_load_explicit(&client->taken, memory_order_relaxed);
        atomic_store_explicit(&client->taken, taken + 1, memory_order_relaxed);
        enough |= in_flight(client) == room_mark(client);
    }
    if (enough && client->room_waiters > 0)
        pthread_cond_broadcast(&client->room);
}

// Waits without `send`, which the keeper may need to make room. Both locks are held.
static int wait_for_room(struct weir_client *client, const struct weir_client_try *publish,
                         struct weir_error *ret_error)
{
    bool wait = publish->wait && callback_of_thread != client;
    int error;
    while (!(error = weir_client_check(client, ret_error)) &&
           in_flight(client) >= client->options.max_publishes_in_flight) {
        if (!wait || weir_client_now_ms() >= publish->deadline_ms)
            return weir_error_set(ret_error, wait ? WEIR_ERR_TIMEOUT : WEIR_ERR_LIMIT,
                                  "%zu publishes wait for their acknowledgement", in_flight(client));
        pthread_mutex_unlock(&client->send);
        while (in_flight(client) > room_mark(client) && client->state == WEIR_CLIENT_OPEN &&
               weir_client_now_ms() < publish->deadline_ms)
            weir_client_wait_for_room(client, publish->deadline_ms);
        pthread_mutex_unlock(&client->mutex);
        pthread_mutex_lock(&client->send);
        pthread_mutex_lock(&client->mutex);
    }
    return error;
}

// An error is one that waiting does not make better; the entry is the caller's then. `send` is held.
static int send_entry(struct weir_client *client, struct weir_inflight_entry *entry, struct weir_error *ret_error)
{
    natsStatus status = NATS_OK;
    if (entry->epoch > 0)
        status = natsConnection_PublishRequest(client->nc, entry->subject, client->ack_inbox, entry->message.ptr,
                                               (int)entry->message.len);
    if (status == NATS_MAX_PAYLOAD || status == NATS_NO_MEMORY || status == NATS_INVALID_SUBJECT)
        return weir_error_nats(ret_error, status, "publishing");
    hand_over(client, entry);
    return 0;
}

// `send` is held.
static void hand_over(struct weir_client *client, struct weir_inflight_entry *entry)
{
    size_t made = atomic_load_explicit(&client->made, memory_order_relaxed);
    atomic_store_explicit(&client->made, made + 1, memory_order_relaxed);
    if (entry->deadline_ms < client->next_deadline_ms) {
        pthread_mutex_lock(&client->mutex);
        client->next_deadline_ms = entry->deadline_ms;
        pthread_cond_broadcast(&client->changed);
        pthread_mutex_unlock(&client->mutex);
    }
    if (weir_handover_put(&client->fresh, entry))
        return;
    pthread_mutex_lock(&client->mutex);
    take_in(client);
    weir_inflight_add(&client->inflight, entry);
    pthread_mutex_unlock(&client->mutex);
}

// The mutex is held.
static void take_in(struct weir_client *client)
{
    for (struct weir_inflight_entry *entry; (entry = weir_handover_take(&client->fresh));)
        weir_inflight_add(&client->inflight, entry);
}

// NULL: nobody waits for it. Who has `send` is done with handing over what was sent.
static struct weir_inflight_entry *take_acknowledged(struct weir_client *client, struct weir_bytes id)
{
    pthread_mutex_lock(&client->mutex);
    take_in(client);
    struct weir_inflight_entry *entry = weir_inflight_take(&client->inflight, id);
    if (!entry) {
        pthread_mutex_unlock(&client->mutex);
        pthread_mutex_lock(&client->send);
        pthread_mutex_lock(&client->mutex);
        take_in(client);
        entry = weir_inflight_take(&client->inflight, id);
        pthread_mutex_unlock(&client->send);
    }
    take_publishes(client, entry);
    pthread_mutex_unlock(&client->mutex);
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
                                    &answer) == 0)
        entry = take_acknowledged(client, answer.id);
    if (entry && answer.error.len > 0) {
        char why[256];
        snprintf(why, sizeof(why), "%.*s", (int)answer.error.len, answer.error.ptr);
        weir_client_end_publishes(client, entry, WEIR_ERR_REFUSED, why);
    } else if (entry) {
        weir_client_end_publishes(client, entry, WEIR_OK, "");
    }
    client->read_acks[client->read_acks_count++] = msg;
    if (client->read_acks_count == WEIR_CLIENT_READ_ACKS)
        destroy_read_acks(client);
}

// libnats has a thread for freeing messages, and wakes it up for each one that finds it asleep.
static void destroy_read_acks(struct weir_client *client)
{
    while (client->read_acks_count > 0)
        natsMsg_Destroy(client->read_acks[--client->read_acks_count]);
}
