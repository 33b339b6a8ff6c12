// SPDX-License-Identifier: Apache-2.0
// Publishing: the functions that programs call, what every publish is made of, and publishes that are waited for. Such a one is a NATS request,
// which libnats sends at once; it is sent again, with the same id, when the connection broke before the acknowledgement.
#include "client/client_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { AGAIN_MS = 50, SMALL = 4096 };

static int read_try(struct weir_client *client, const char *channel, const void *data, size_t data_bytes,
                    const struct weir_publish_options *options, struct weir_client_try *ret,
                    struct weir_error *ret_error);
static int request_until(struct weir_client *client, const struct weir_client_try *publish, const char *subject,
                         struct weir_bytes message, struct weir_error *ret_error);
static int take_answer(natsMsg *answer, struct weir_error *ret_error);
static int wait_for_link(struct weir_client *client, const struct weir_client_try *publish,
                         struct weir_error *ret_error);
static void wait_a_little(struct weir_client *client, int64_t deadline_ms);

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

int weir_client_try_publish(struct weir_client *client, const struct weir_client_try *publish,
                            struct weir_error *ret_error)
{
    char small[SMALL], id[WEIR_CLIENT_ID_BYTES];
    if (weir_client_callback_of_thread() == client)
        return weir_error_set(ret_error, WEIR_ERR_INVALID,
                              "publishing and waiting within a callback of a publish would wait for itself");
    struct weir_envelope_publish envelope = weir_client_envelope(client, publish, weir_client_number(client), id);
    size_t message_len = weir_envelope_publish_size(&envelope);
    size_t prefix_len = strlen(client->subjects.publish_prefix);
    size_t subject_len = prefix_len + 1 + envelope.channel.len;
    size_t size = subject_len + 1 + message_len;
    char *memory = size <= sizeof(small) ? small : malloc(size);
    if (!memory)
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "out of memory");
    memcpy(memory, client->subjects.publish_prefix, prefix_len);
    memory[prefix_len] = '.';
    memcpy(memory + prefix_len + 1, publish->channel, envelope.channel.len + 1);
    struct weir_bytes message = {memory + subject_len + 1, message_len};
    weir_envelope_publish_encode(memory + subject_len + 1, &envelope);
    int error = request_until(client, publish, memory, message, ret_error);
    if (memory != small)
        free(memory);
    return error;
}

uint64_t weir_client_number(struct weir_client *client)
{
    return 2 * atomic_fetch_add_explicit(&client->made_numbers, 1, memory_order_relaxed) + 1;
}

struct weir_bytes weir_client_make_id(const char *letters, uint64_t number, char memory[WEIR_CLIENT_ID_BYTES])
{
    char *end = memory + WEIR_CLIENT_ID_BYTES, *to = end;
    do
        *--to = "0123456789abcdefghijklmnopqrstuv"[number & 31];
    while ((number >>= 5) > 0);
    to -= WEIR_CLIENT_RANDOM_BYTES - 1;
    memcpy(to, letters, WEIR_CLIENT_RANDOM_BYTES - 1);
    return (struct weir_bytes){to, (size_t)(end - to)};
}

struct weir_envelope_publish weir_client_envelope(const struct weir_client *client,
                                                  const struct weir_client_try *publish, uint64_t number,
                                                  char memory[WEIR_CLIENT_ID_BYTES])
{
    struct weir_bytes id = publish->id;
    if (id.len == 0)
        id = weir_client_make_id(client->ids, number, memory);
    return (struct weir_envelope_publish){
        .client_id = {client->options.client_id, strlen(client->options.client_id)},
        .id = id,
        .channel = {publish->channel, strlen(publish->channel)},
        .reply = publish->reply,
        .data = publish->data,
        .connection_id = {client->connection_id, sizeof(client->connection_id) - 1},
    };
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
    if (atomic_load_explicit(&client->ready, memory_order_acquire) > 0)
        return 0;
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
