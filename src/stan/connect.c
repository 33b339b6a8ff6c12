// SPDX-License-Identifier: Apache-2.0
// tidy: prefix connect
// Clients come and go: connect requests (ST-P01, ST-P11), close requests (ST-P07) and pings (ST-P08).
//
// A second connect with a known id is answered after the old client was asked: if it answers within 500 ms, the new one is
// refused (ST-E04); else, or when nobody subscribes to its inbox any more, it is closed and the new one registered.
#include <stdio.h>

#include "base/memory.h"
#include "stan/channel.h"
#include "stan/stan_internal.h"

enum { PROBE_MS = 500 };

// Waits in the old client.
struct probe {
    struct wheel_timer timer;
    struct stan_client *client; // the old one
    char *storage;              // owned: request and reply
    struct registry_request request;
    struct bytes reply;
};

static void connect_register(struct stan *stan, const struct registry_request *request, struct bytes reply);
static void probe_start(struct stan_client *client, const struct registry_request *request, struct bytes reply);
static void probe_unanswered(struct wheel_timer *timer, uint64_t now_ms);
static void replace(struct stan_client *client);

void connect_on_request(struct stan *stan, const struct inlet_message *message)
{
    const struct bytes none = {0};
    StanPb__ConnectRequest *decoded =
        stan_pb__connect_request__unpack((ProtobufCAllocator *)(uintptr_t)&answer_allocator, message->payload.len,
                                         (const uint8_t *)message->payload.ptr);
    if (!decoded || decoded->heartbeat_inbox.len == 0 || !channel_text_is_valid(stan_field(decoded->heartbeat_inbox))) {
        answer_error(stan, ANSWER_CONNECT, message->reply, none, "stan: invalid connection request"); // ST-E09
        goto done;
    }
    struct registry_request request = {
        .id = stan_field(decoded->client_id),
        .inbox = stan_field(decoded->heartbeat_inbox),
        .connection_id = stan_field(decoded->conn_id),
        .protocol = decoded->protocol >= 1 ? 1 : 0,
        .ping_interval_s = (uint32_t)decoded->ping_interval,
        .ping_max_out = (uint32_t)decoded->ping_max_out,
        .connection = message->connection,
    };
    if (request.id.len == 0) {
        answer_error(stan, ANSWER_CONNECT, message->reply, none, "stan: clientID missing"); // ST-E05
        goto done;
    }
    if (!channel_client_id_is_valid(request.id)) { // ST-E06
        answer_error(stan, ANSWER_CONNECT, message->reply, none,
                     "stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed");
        goto done;
    }
    struct stan_client *old = registry_find(&stan->registry, request.id);
    if (!old)
        connect_register(stan, &request, message->reply);
    else if (old->probe || !old->added)
        answer_reject(stan, ANSWER_CONNECT, message->reply, none, "stan: clientID already registered"); // ST-E04
    else
        probe_start(old, &request, message->reply);
done:
    if (decoded)
        stan_pb__connect_request__free_unpacked(decoded, (ProtobufCAllocator *)(uintptr_t)&answer_allocator);
}

void connect_on_close(struct stan *stan, const struct inlet_message *message)
{
    const struct bytes none = {0};
    StanPb__CloseRequest *decoded =
        stan_pb__close_request__unpack((ProtobufCAllocator *)(uintptr_t)&answer_allocator, message->payload.len,
                                       (const uint8_t *)message->payload.ptr);
    if (!decoded) {
        answer_error(stan, ANSWER_CLOSE, message->reply, none, "stan: invalid close request"); // ST-E13
        return;
    }
    struct stan_client *client = registry_find(&stan->registry, stan_field(decoded->client_id));
    uint64_t index;
    int error;
    if (!client)
        answer_reject(stan, ANSWER_CLOSE, message->reply, none, "stan: unknown clientID"); // ST-E16
    else if ((error = registry_close(&stan->registry, client, &index)))
        answer_error(stan, ANSWER_CLOSE, message->reply, none, answer_error_text(ANSWER_CLOSE, error));
    else
        answer_close(stan, index, message->reply);
    stan_pb__close_request__free_unpacked(decoded, (ProtobufCAllocator *)(uintptr_t)&answer_allocator);
}

void connect_on_ping(struct stan *stan, const struct inlet_message *message)
{
    const struct bytes none = {0};
    StanPb__Ping *decoded = stan_pb__ping__unpack((ProtobufCAllocator *)(uintptr_t)&answer_allocator,
                                                  message->payload.len, (const uint8_t *)message->payload.ptr);
    if (!decoded)
        return;
    struct stan_client *client = registry_find_connection(&stan->registry, stan_field(decoded->conn_id));
    if (client) {
        client->connection = message->connection;
        heartbeat_on_ping(client);
        if (message->reply.len)
            broker_publish(stan->broker, message->reply, none, none, NULL, 0);
    } else {
        // ST-E19; a PingResponse has its error where a CloseResponse has it.
        answer_reject(stan, ANSWER_CLOSE, message->reply, none, "client has been replaced or is no longer registered");
    }
    stan_pb__ping__free_unpacked(decoded, (ProtobufCAllocator *)(uintptr_t)&answer_allocator);
}

void connect_on_probe_answer(struct stan *stan, struct bytes subject)
{
    uint32_t number;
    if (stan_subject_number(subject, &number))
        return;
    struct stan_client *client = registry_by_number(&stan->registry, number);
    if (!client || !client->probe)
        return;
    answer_reject(stan, ANSWER_CONNECT, client->probe->reply, (struct bytes){0}, "stan: clientID already registered");
    connect_probe_free(client);
}

void connect_probe_free(struct stan_client *client)
{
    if (!client->probe)
        return;
    wheel_cancel(&client->stan->wheel, &client->probe->timer);
    mem_free(client->probe->storage);
    mem_free(client->probe);
    client->probe = NULL;
}

void connect_probe_succeed(struct stan_client *client)
{
    struct probe *probe = client->probe;
    wheel_cancel(&client->stan->wheel, &probe->timer);
    client->probe = NULL;
    connect_register(client->stan, &probe->request, probe->reply);
    mem_free(probe->storage);
    mem_free(probe);
}

static void connect_register(struct stan *stan, const struct registry_request *request, struct bytes reply)
{
    struct stan_client *client;
    uint64_t index;
    int error = registry_add(&stan->registry, request, &client, &index);
    if (error == ERR_EXISTS)
        answer_reject(stan, ANSWER_CONNECT, reply, (struct bytes){0},
                      "stan: invalid connection request"); // connID in use
    else if (error == ERR_LIMIT)
        answer_reject(stan, ANSWER_CONNECT, reply, (struct bytes){0}, answer_error_text(ANSWER_CONNECT, error));
    else if (error)
        answer_error(stan, ANSWER_CONNECT, reply, (struct bytes){0}, answer_error_text(ANSWER_CONNECT, error));
    else
        answer_connect(stan, index, reply, client);
}

static struct bytes text_keep(char **to, struct bytes text)
{
    struct bytes copy = bytes_make(*to, text.len);
    if (text.len)
        memcpy(*to, text.ptr, text.len);
    *to += text.len;
    return copy;
}

static void probe_start(struct stan_client *client, const struct registry_request *request, struct bytes reply)
{
    struct stan *stan = client->stan;
    struct probe *probe = mem_alloc_zero(sizeof(*probe));
    char *to = probe->storage =
        mem_alloc(request->id.len + request->inbox.len + request->connection_id.len + reply.len + 1);
    probe->client = client;
    probe->request = *request;
    probe->request.id = text_keep(&to, request->id);
    probe->request.inbox = text_keep(&to, request->inbox);
    probe->request.connection_id = text_keep(&to, request->connection_id);
    probe->reply = text_keep(&to, reply);
    probe->timer.fire = probe_unanswered;
    client->probe = probe;
    wheel_set(&stan->wheel, &probe->timer, moment_mono_ms(stan->now) + PROBE_MS);
    char subject[STAN_SUBJECT_MAX + 32];
    int length = snprintf(subject, sizeof(subject), "%s.dup.%u", stan->inbox_prefix, client->number);
    if (broker_publish(stan->broker, client->inbox, bytes_make(subject, (size_t)length), (struct bytes){0}, NULL, 0) ==
        0)
        replace(client);
}

// Whom nobody can reach has not been asked, and the one who waits cannot be told: it will ask again.
static void probe_unanswered(struct wheel_timer *timer, uint64_t now_ms)
{
    struct stan_client *client = container_of(timer, struct probe, timer)->client;
    if (broker_is_cut_off(client->stan->broker))
        connect_probe_free(client);
    else
        replace(client);
}

// The old client does not live: the new one takes its id.
static void replace(struct stan_client *client)
{
    struct stan *stan = client->stan;
    uint64_t index;
    int error = registry_close(&stan->registry, client, &index); // gives the waiting one the id
    if (!error)
        return;
    answer_error(stan, ANSWER_CONNECT, client->probe->reply, (struct bytes){0},
                 answer_error_text(ANSWER_CONNECT, error));
    connect_probe_free(client);
}
