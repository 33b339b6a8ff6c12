// SPDX-License-Identifier: Apache-2.0
// Subscriptions of a client. libnats delivers what the server sends to the subscription's inbox, on a thread of its own for each subscription.
#include "client/sub_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUEUED_MIN = 1024, STOPPED_DELAY_MS = 50, WORDS_BYTES = 96 };

static int make(struct weir_client *client, const char *channel, const struct weir_sub_options *options,
                struct weir_sub **ret_sub, struct weir_error *ret_error);
static int listen_to(struct weir_sub *sub, const char *inbox, struct weir_error *ret_error);
static int ask_for(struct weir_sub *sub, const char *inbox, struct weir_error *ret_error);
static void give_up(struct weir_sub *sub);
static int end(struct weir_sub *sub, bool delete_durable, struct weir_error *ret_error);
static void on_delivery(natsConnection *nc, natsSubscription *nats, natsMsg *raw, void *closure);
static void wait_until_ready(struct weir_sub *sub);
static struct weir_msg *take(struct weir_sub *sub, natsMsg *raw);
static void handle(struct weir_sub *sub, struct weir_msg *msg);
static void on_complete(void *closure);
static void destroy(struct weir_sub *sub);

int weir_client_subscribe(struct weir_client *client, const char *channel, const struct weir_sub_options *options,
                          weir_message_fn *on_message, void *closure, struct weir_sub **ret_sub,
                          struct weir_error *ret_error)
{
    return weir_sub_open(client, channel, options, on_message, closure, NULL, ret_sub, ret_error);
}

int weir_sub_open(struct weir_client *client, const char *channel, const struct weir_sub_options *options,
                  weir_message_fn *on_message, void *closure, void (*on_gone)(void *closure), struct weir_sub **ret_sub,
                  struct weir_error *ret_error)
{
    struct weir_sub *sub = NULL;
    char inbox[96];
    int error = on_message ? make(client, channel, options, &sub, ret_error)
                           : weir_error_set(ret_error, WEIR_ERR_INVALID, "a subscription needs a handler");
    if (error) {
        if (on_gone)
            on_gone(closure);
        return error;
    }
    sub->on_message = on_message;
    sub->on_gone = on_gone;
    sub->closure = closure;
    snprintf(inbox, sizeof(inbox), "%s.%" PRIu64, client->inbox, (uint64_t)atomic_fetch_add(&client->made_inboxes, 1));
    error = listen_to(sub, inbox, ret_error);
    if (!error)
        error = ask_for(sub, inbox, ret_error);
    if (error) {
        give_up(sub);
        return error;
    }
    *ret_sub = sub;
    return 0;
}

int weir_sub_close(struct weir_sub *sub, struct weir_error *ret_error)
{
    return end(sub, false, ret_error);
}

int weir_sub_unsubscribe(struct weir_sub *sub, struct weir_error *ret_error)
{
    return end(sub, true, ret_error);
}

void weir_sub_free(struct weir_sub *sub)
{
    if (!sub)
        return;
    end(sub, false, NULL);
    struct weir_client *client = sub->client;
    pthread_mutex_lock(&client->mutex);
    while (!sub->complete)
        pthread_cond_wait(&client->changed, &client->mutex);
    pthread_mutex_unlock(&client->mutex);
    weir_sub_release(sub);
}

const char *weir_sub_channel(const struct weir_sub *sub)
{
    return sub->channel;
}

void weir_sub_pending(struct weir_sub *sub, uint64_t *ret_messages, uint64_t *ret_bytes)
{
    int waiting = 0, waiting_bytes = 0;
    int64_t handed_over = 0;
    uint64_t finished = atomic_load(&sub->finished_messages), finished_bytes = atomic_load(&sub->finished_bytes);
    pthread_mutex_lock(&sub->client->mutex); // of a fleet's, the handle may go at any time
    if (sub->nats)
        natsSubscription_GetStats(sub->nats, &waiting, &waiting_bytes, NULL, NULL, &handed_over, NULL);
    pthread_mutex_unlock(&sub->client->mutex);
    uint64_t bytes = (uint64_t)waiting_bytes + atomic_load(&sub->taken_bytes);
    uint64_t messages = (uint64_t)waiting + (uint64_t)handed_over;
    if (ret_messages)
        *ret_messages = messages > finished ? messages - finished : 0;
    if (ret_bytes)
        *ret_bytes = bytes > finished_bytes ? bytes - finished_bytes : 0;
}

int weir_sub_nak_all(struct weir_sub *sub, bool count)
{
    return weir_sub_nak(sub, 0, 0, count);
}

void weir_sub_stop(struct weir_sub *sub)
{
    atomic_store(&sub->stopped, true);
}

int weir_sub_tell_end(struct weir_sub *sub, bool delete_durable, struct weir_error *ret_error)
{
    struct weir_client *client = sub->client;
    const struct weir_request_subjects *subjects = &client->subjects;
    pthread_mutex_lock(&client->mutex);
    int error = weir_client_check(client, ret_error);
    if (!error && !weir_client_link_up(client))
        error = weir_error_set(ret_error, WEIR_ERR_UNREACHABLE, "not connected: %s", client->why);
    pthread_mutex_unlock(&client->mutex);
    if (error)
        return error;
    return weir_request_end_sub(client->nc, delete_durable ? subjects->unsubscribe : subjects->close_sub,
                                client->options.client_id, sub->channel, sub->ack_inbox, sub->options.durable,
                                client->options.request_timeout_ms, ret_error);
}

void weir_sub_deafen(struct weir_sub *sub)
{
    atomic_store(&sub->closed, true);
    natsSubscription_Unsubscribe(sub->nats);
}

void weir_sub_ref(struct weir_sub *sub)
{
    atomic_fetch_add(&sub->references, 1);
}

void weir_sub_unref(struct weir_sub *sub)
{
    if (atomic_fetch_sub(&sub->references, 1) == 1)
        destroy(sub);
}

void weir_sub_release(struct weir_sub *sub)
{
    pthread_mutex_lock(&sub->client->mutex);
    if (sub->link) {
        *sub->link = sub->next;
        if (sub->next)
            sub->next->link = sub->link;
        sub->link = NULL;
    }
    natsSubscription *nats = sub->nats;
    sub->nats = NULL;
    pthread_mutex_unlock(&sub->client->mutex);
    natsSubscription_Destroy(nats);
    weir_sub_unref(sub);
}

int weir_sub_say(struct weir_sub *sub, const char *bytes, size_t len)
{
    if (atomic_load(&sub->closed))
        return WEIR_ERR_CLOSED;
    natsStatus status = natsConnection_Publish(sub->client->nc, sub->ack_inbox, bytes, (int)len);
    if (status == NATS_OK || status == NATS_NO_MEMORY || status == NATS_CONNECTION_CLOSED)
        return weir_error_of(status);
    return weir_client_say_later(sub->client, sub->ack_inbox, bytes, len);
}

int weir_sub_nak(struct weir_sub *sub, uint64_t sequence, int64_t delay_ms, bool count)
{
    char words[WORDS_BYTES], number[24] = "";
    if (atomic_load(&sub->stopped) && delay_ms < STOPPED_DELAY_MS)
        delay_ms = STOPPED_DELAY_MS;
    if (sequence > 0)
        snprintf(number, sizeof(number), " %" PRIu64, sequence);
    int len = snprintf(words, sizeof(words), "-NAK%s", number);
    if (delay_ms > 0)
        len = snprintf(words, sizeof(words), "-NAK%s {\"delay\": %" PRId64 "%s}", number, delay_ms * 1000000,
                       count ? "" : ", \"count\": false");
    else if (!count)
        len = snprintf(words, sizeof(words), "-NAK%s {\"count\": false}", number);
    return weir_sub_say(sub, words, (size_t)len);
}

static int make(struct weir_client *client, const char *channel, const struct weir_sub_options *options,
                struct weir_sub **ret_sub, struct weir_error *ret_error)
{
    struct weir_sub_options copy;
    int error = weir_options_sub_copy(channel, options, &copy, ret_error);
    if (error)
        return error;
    struct weir_sub *sub = calloc(1, sizeof(*sub));
    char *name = strdup(channel);
    if (!sub || !name) {
        free(sub);
        free(name);
        weir_options_sub_deinit(&copy);
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    }
    atomic_init(&sub->references, 1);
    sub->options = copy;
    sub->channel = name;
    sub->client = client;
    weir_client_ref(client);
    *ret_sub = sub;
    return 0;
}

// The limit on what libnats queues cannot be reached by max_in_flight, only by a handler so slow that everything is delivered again and again;
// what is dropped then comes once more.
static int listen_to(struct weir_sub *sub, const char *inbox, struct weir_error *ret_error)
{
    uint32_t in_flight = sub->options.max_in_flight;
    int queued = in_flight < QUEUED_MIN ? 4 * QUEUED_MIN : in_flight < INT32_MAX / 4 ? 4 * (int)in_flight : -1;
    pthread_mutex_lock(&sub->client->mutex);
    int error = weir_client_check(sub->client, ret_error);
    pthread_mutex_unlock(&sub->client->mutex);
    if (error)
        return error;
    natsStatus status = natsConnection_Subscribe(&sub->nats, sub->client->nc, inbox, on_delivery, sub);
    if (status != NATS_OK)
        return weir_error_nats(ret_error, status, "subscribing");
    natsSubscription_SetPendingLimits(sub->nats, queued, -1);
    weir_sub_ref(sub);
    status = natsSubscription_SetOnCompleteCB(sub->nats, on_complete, sub);
    if (status != NATS_OK) // the reference is rather lost than missed
        return weir_error_nats(ret_error, status, "subscribing");
    sub->listening = true;
    return 0;
}

static int ask_for(struct weir_sub *sub, const char *inbox, struct weir_error *ret_error)
{
    struct weir_client *client = sub->client;
    const struct weir_sub_options *options = &sub->options;
    struct weir_request_subscribe request = {
        .client_id = client->options.client_id,
        .channel = sub->channel,
        .inbox = inbox,
        .group = options->group,
        .durable = options->durable,
        .max_in_flight = (int32_t)options->max_in_flight,
        .ack_wait_s = (int32_t)((options->ack_wait_ms + 999) / 1000),
        .start = options->start,
        .start_sequence = options->start_sequence,
        .start_ago_ns = options->start_ago_ns,
    };
    char *ack_inbox;
    int error = weir_request_subscribe(client->nc, client->subjects.subscribe, &request,
                                       client->options.request_timeout_ms, &ack_inbox, ret_error);
    if (error == WEIR_ERR_TIMEOUT) // it may have been made: then this ends it (ST-P05)
        weir_request_end_sub(client->nc, client->subjects.close_sub, client->options.client_id, sub->channel, inbox,
                             options->durable, 0, NULL);
    if (error)
        return error;
    sub->ack_inbox = ack_inbox;
    pthread_mutex_lock(&client->mutex);
    if ((error = weir_client_check(client, ret_error))) {
        pthread_mutex_unlock(&client->mutex);
        return error;
    }
    sub->next = client->subs;
    sub->link = &client->subs;
    if (sub->next)
        sub->next->link = &sub->next;
    client->subs = sub;
    atomic_store(&sub->ready, true);
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->mutex);
    return 0;
}

// What failed before anybody had the handle.
static void give_up(struct weir_sub *sub)
{
    pthread_mutex_lock(&sub->client->mutex);
    atomic_store(&sub->closed, true);
    pthread_cond_broadcast(&sub->client->changed); // a delivery may wait for `ready`
    pthread_mutex_unlock(&sub->client->mutex);
    if (!sub->listening && sub->on_gone)
        sub->on_gone(sub->closure);
    weir_sub_release(sub);
}

static int end(struct weir_sub *sub, bool delete_durable, struct weir_error *ret_error)
{
    int error = atomic_exchange(&sub->closed, true) ? 0 : weir_sub_tell_end(sub, delete_durable, ret_error);
    weir_sub_deafen(sub);
    return error;
}

static void on_delivery(natsConnection *nc, natsSubscription *nats, natsMsg *raw, void *closure)
{
    struct weir_sub *sub = closure;
    (void)nc;
    (void)nats;
    if (!atomic_load_explicit(&sub->ready, memory_order_acquire))
        wait_until_ready(sub);
    atomic_fetch_add_explicit(&sub->taken_bytes, (uint64_t)natsMsg_GetDataLength(raw), memory_order_relaxed);
    struct weir_msg *msg = take(sub, raw);
    if (!msg)
        return;
    if (atomic_load(&sub->stopped) && !atomic_load(&sub->closed))
        weir_sub_nak(sub, msg->delivery.sequence, 0, false);
    else if (!atomic_load(&sub->closed))
        handle(sub, msg);
    sub->spare = weir_msg_drop(msg);
}

// The server's answer to the subscription and its first delivery come by different threads.
static void wait_until_ready(struct weir_sub *sub)
{
    pthread_mutex_lock(&sub->client->mutex);
    while (!atomic_load(&sub->ready) && !atomic_load(&sub->closed))
        weir_client_wait(sub->client, INT64_MAX);
    pthread_mutex_unlock(&sub->client->mutex);
}

// NULL: this is none; it is gone then.
static struct weir_msg *take(struct weir_sub *sub, natsMsg *raw)
{
    struct weir_bytes bytes = {natsMsg_GetData(raw), (size_t)natsMsg_GetDataLength(raw)};
    struct weir_msg *msg = sub->spare ? sub->spare : malloc(sizeof(*msg));
    sub->spare = NULL;
    if (msg && weir_envelope_delivery_decode(bytes, &msg->delivery) == 0) {
        const struct weir_bytes *reply = &msg->delivery.reply;
        atomic_init(&msg->references, 1);
        msg->sub = sub;
        msg->raw = raw;
        msg->reply = reply->len > 0 ? strndup(reply->ptr, reply->len) : NULL;
        msg->kept = false;
        atomic_init(&msg->finished, false);
        return msg;
    }
    sub->spare = msg;
    atomic_fetch_add(&sub->finished_messages, 1);
    atomic_fetch_add(&sub->finished_bytes, bytes.len);
    natsMsg_Destroy(raw);
    return NULL;
}

static void handle(struct weir_sub *sub, struct weir_msg *msg)
{
    sub->on_message(msg, sub->closure);
    if (!sub->options.manual_ack && !atomic_load(&msg->finished))
        weir_msg_send_ack(msg);
}

static void on_complete(void *closure)
{
    struct weir_sub *sub = closure;
    if (sub->on_gone)
        sub->on_gone(sub->closure);
    pthread_mutex_lock(&sub->client->mutex);
    sub->complete = true;
    pthread_cond_broadcast(&sub->client->changed);
    pthread_mutex_unlock(&sub->client->mutex);
    weir_sub_unref(sub);
}

static void destroy(struct weir_sub *sub)
{
    weir_options_sub_deinit(&sub->options);
    free(sub->channel);
    free(sub->ack_inbox);
    free(sub->spare);
    weir_client_unref(sub->client);
    free(sub);
}
