// SPDX-License-Identifier: Apache-2.0
// What libweir is held against: programs that have libnats only.
//
// plain: what each correct publisher of NATS Streaming has to do, written as a program would. Each message gets an id of its own and is encoded
//   by protobuf-c; the answer comes to an inbox of the connection, is decoded by protobuf-c, looked at for an error, and ends the publish
//   with its id, which is remembered in a table until then, so that the program can be told which one it was; no more than 512 are in the
//   table. It has one thread that publishes. It keeps no copy, so nothing can be sent again when the connection breaks; it knows no
//   deadlines, no channels but one, and no close; an answer that never comes stops it.
// floor: the least that moves the same bytes. The message is made once, and its id patched; the inbox has a name as short as can be; answers
//   are counted by their length and belong to no publish; acknowledgements of deliveries are made of the sequence at the front of each. It could not
//   live in a program.
// stan: libnats's own part for NATS Streaming (stanConnection_PublishAsync), which has a timer for each publish and keeps no copy either.
#define NATS_HAS_STREAMING // nats.h shows that part then
#include "client_bench.h"

#include <nats/nats.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "stan/stan.pb-c.h"

enum { ID_BYTES = 16, NUMBER_BYTES = 8 };

// The publishes of `plain` that wait for their answer. A slot is written by who publishes while its id is empty, and emptied by the answer.
struct plain {
    struct bench *bench;
    char ids[BENCH_WINDOW][ID_BYTES];
    atomic_bool taken[BENCH_WINDOW];
};

static ProtobufCBinaryData data_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

static void put_number(char *to, long number)
{
    for (int i = NUMBER_BYTES; i-- > 0; number >>= 4)
        to[i] = "0123456789abcdef"[number & 15];
}

static long number_of(const char *from)
{
    char digits[NUMBER_BYTES + 1] = "";
    memcpy(digits, from, NUMBER_BYTES);
    return strtol(digits, NULL, 16);
}

static natsStatus ask(natsConnection *nc, const char *subject, const ProtobufCMessage *message, natsMsg **ret_answer)
{
    uint8_t bytes[512];
    size_t size = protobuf_c_message_pack(message, bytes);
    return natsConnection_Request(ret_answer, nc, subject, bytes, (int)size, BENCH_WAIT_MS);
}

static natsConnection *join(const struct bench *bench)
{
    StanPb__ConnectRequest request = STAN_PB__CONNECT_REQUEST__INIT;
    natsConnection *nc = NULL;
    natsMsg *answer = NULL;
    bench_need(natsConnection_ConnectTo(&nc, bench->url) == NATS_OK, "no connection");
    request.client_id = request.conn_id = data_of(BENCH_CLIENT_ID);
    request.heartbeat_inbox = data_of("bench.heartbeat");
    request.protocol = 1;
    bench_need(ask(nc, "_STAN.discover.test-cluster", &request.base, &answer) == NATS_OK, "no streaming server");
    natsMsg_Destroy(answer);
    return nc;
}

static StanPb__PubMsg message_of(const struct bench *bench, const char *id)
{
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = message.conn_id = data_of(BENCH_CLIENT_ID);
    message.guid = (ProtobufCBinaryData){ID_BYTES, (uint8_t *)(uintptr_t)id};
    message.subject = data_of(BENCH_CHANNEL);
    message.data = (ProtobufCBinaryData){bench->size, (uint8_t *)(uintptr_t)bench->payload};
    return message;
}

static void on_floor_answer(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    (void)nc;
    (void)sub;
    bench_need(natsMsg_GetDataLength(msg) == 2 + ID_BYTES, "refused"); // an id and no error
    bench_pass(closure, NULL, 0);
    natsMsg_Destroy(msg);
}

void bench_floor_pub(struct bench *bench)
{
    natsConnection *nc = join(bench);
    natsSubscription *sub = NULL;
    static uint8_t bytes[BENCH_MESSAGE_MAX + 512];
    const char *id = "0000000000000000";
    const StanPb__PubMsg message = message_of(bench, id);
    size_t size = stan_pb__pub_msg__pack(&message, bytes);
    char *patched = memmem(bytes, size, id, ID_BYTES);
    bench_need(natsConnection_Subscribe(&sub, nc, "bench.acks", on_floor_answer, bench) == NATS_OK, "no subscription");
    for (long i = 0, open_until = BENCH_WINDOW; i < bench->count; i++) {
        bench_room(bench, i, &open_until);
        put_number(patched, i);
        natsStatus status =
            natsConnection_PublishRequest(nc, "_STAN.pub.test-cluster." BENCH_CHANNEL, "bench.acks", bytes, (int)size);
        bench_need(status == NATS_OK, "not published");
    }
    bench_wait(bench, bench->count);
}

static void on_plain_answer(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    struct plain *plain = closure;
    (void)nc;
    (void)sub;
    StanPb__PubAck *answer =
        stan_pb__pub_ack__unpack(NULL, (size_t)natsMsg_GetDataLength(msg), (const uint8_t *)natsMsg_GetData(msg));
    bench_need(answer && answer->error.len == 0 && answer->guid.len == ID_BYTES, "refused");
    const char *id = (const char *)answer->guid.data;
    long slot = number_of(id + ID_BYTES - NUMBER_BYTES) % BENCH_WINDOW;
    bench_need(atomic_load(&plain->taken[slot]) && memcmp(plain->ids[slot], id, ID_BYTES) == 0, "not asked for");
    atomic_store(&plain->taken[slot], false);
    bench_pass(plain->bench, NULL, 0);
    stan_pb__pub_ack__free_unpacked(answer, NULL);
    natsMsg_Destroy(msg);
}

void bench_plain_pub(struct bench *bench)
{
    static struct plain plain;
    static uint8_t bytes[BENCH_MESSAGE_MAX + 512];
    natsConnection *nc = join(bench);
    natsSubscription *sub = NULL;
    natsInbox *inbox = NULL;
    char id[ID_BYTES + 1];
    plain.bench = bench;
    bench_need(natsInbox_Create(&inbox) == NATS_OK, "no inbox");
    bench_need(natsConnection_Subscribe(&sub, nc, inbox, on_plain_answer, &plain) == NATS_OK, "no subscription");
    memcpy(id, inbox + strlen(inbox) - ID_BYTES, sizeof(id));
    for (long i = 0, open_until = BENCH_WINDOW; i < bench->count; i++) {
        bench_room(bench, i, &open_until);
        long slot = i % BENCH_WINDOW;
        while (atomic_load(&plain.taken[slot])) // an older one's answer is late
            sched_yield();
        put_number(id + ID_BYTES - NUMBER_BYTES, i);
        memcpy(plain.ids[slot], id, ID_BYTES);
        atomic_store(&plain.taken[slot], true);
        const StanPb__PubMsg message = message_of(bench, id);
        size_t size = stan_pb__pub_msg__pack(&message, bytes);
        natsStatus status =
            natsConnection_PublishRequest(nc, "_STAN.pub.test-cluster." BENCH_CHANNEL, inbox, bytes, (int)size);
        bench_need(status == NATS_OK, "not published");
    }
    bench_wait(bench, bench->count);
}

static void on_stan_answer(const char *id, const char *error, void *closure)
{
    (void)id;
    bench_need(error == NULL, error);
    bench_pass(closure, NULL, 0);
}

void bench_stan_pub(struct bench *bench)
{
    stanConnOptions *options = NULL;
    stanConnection *stan = NULL;
    bench_need(stanConnOptions_Create(&options) == NATS_OK && stanConnOptions_SetURL(options, bench->url) == NATS_OK &&
                   stanConnOptions_SetMaxPubAcksInflight(options, BENCH_WINDOW, 0.75F) == NATS_OK,
               "no options");
    bench_need(stanConnection_Connect(&stan, "test-cluster", BENCH_CLIENT_ID, options) == NATS_OK, "no connection");
    for (long i = 0; i < bench->count; i++) {
        natsStatus status =
            stanConnection_PublishAsync(stan, BENCH_CHANNEL, bench->payload, (int)bench->size, on_stan_answer, bench);
        bench_need(status == NATS_OK, "not published");
    }
    bench_wait(bench, bench->count);
    stanConnection_Close(stan);
}

void bench_plain_ask(struct bench *bench)
{
    static uint8_t bytes[BENCH_MESSAGE_MAX + 512];
    natsConnection *nc = join(bench);
    char id[ID_BYTES + 1] = "ask-ask-00000000";
    for (long i = 0; i < bench->count; i++) {
        natsMsg *msg = NULL;
        put_number(id + ID_BYTES - NUMBER_BYTES, i);
        const StanPb__PubMsg message = message_of(bench, id);
        size_t size = stan_pb__pub_msg__pack(&message, bytes);
        natsStatus status =
            natsConnection_Request(&msg, nc, "_STAN.pub.test-cluster." BENCH_CHANNEL, bytes, (int)size, BENCH_WAIT_MS);
        bench_need(status == NATS_OK, "no answer");
        StanPb__PubAck *answer =
            stan_pb__pub_ack__unpack(NULL, (size_t)natsMsg_GetDataLength(msg), (const uint8_t *)natsMsg_GetData(msg));
        bench_need(answer && answer->error.len == 0, "refused");
        stan_pb__pub_ack__free_unpacked(answer, NULL);
        natsMsg_Destroy(msg);
    }
}

struct floor_sub {
    struct bench *bench;
    char ack_inbox[256];
    atomic_bool ready;
};

// The server puts the sequence first (a tag, a varint) and the time, if anything, behind the data.
static void on_floor_delivery(natsConnection *nc, natsSubscription *nats, natsMsg *msg, void *closure)
{
    struct floor_sub *sub = closure;
    const char *data = natsMsg_GetData(msg);
    size_t len = (size_t)natsMsg_GetDataLength(msg), varint = 1;
    char ack[32] = {1 << 3 | 2, sizeof(BENCH_CHANNEL) - 1};
    (void)nats;
    while (!atomic_load(&sub->ready))
        sched_yield();
    while (data[varint++] & 0x80)
        ;
    memcpy(ack + 2, BENCH_CHANNEL, sizeof(BENCH_CHANNEL) - 1);
    ack[sizeof(BENCH_CHANNEL) + 1] = 2 << 3;
    memcpy(ack + sizeof(BENCH_CHANNEL) + 2, data + 1, varint - 1);
    const char *payload = memmem(data, len, sub->bench->payload, sub->bench->size);
    bench_pass(sub->bench, payload ? payload : "", payload ? sub->bench->size : SIZE_MAX);
    bench_need(natsConnection_Publish(nc, sub->ack_inbox, ack, (int)(sizeof(BENCH_CHANNEL) + 1 + varint)) == NATS_OK,
               "not acknowledged");
    natsMsg_Destroy(msg);
}

void bench_floor_sub(struct bench *bench)
{
    static struct floor_sub sub;
    natsConnection *nc = join(bench);
    natsSubscription *nats = NULL;
    natsMsg *answer = NULL;
    StanPb__SubscriptionRequest request = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
    sub.bench = bench;
    request.client_id = data_of(BENCH_CLIENT_ID);
    request.subject = data_of(BENCH_CHANNEL);
    request.inbox = data_of("bench.inbox");
    request.max_in_flight = BENCH_MAX_IN_FLIGHT;
    request.ack_wait_in_secs = 30;
    request.start_position = 4;
    bench_need(natsConnection_Subscribe(&nats, nc, "bench.inbox", on_floor_delivery, &sub) == NATS_OK,
               "no subscription");
    bench_need(ask(nc, "_STAN.sub.test-cluster", &request.base, &answer) == NATS_OK, "no answer");
    StanPb__SubscriptionResponse *response = stan_pb__subscription_response__unpack(
        NULL, (size_t)natsMsg_GetDataLength(answer), (const uint8_t *)natsMsg_GetData(answer));
    bench_need(response && response->error.len == 0 && response->ack_inbox.len < sizeof(sub.ack_inbox), "refused");
    memcpy(sub.ack_inbox, response->ack_inbox.data, response->ack_inbox.len);
    atomic_store(&sub.ready, true);
    stan_pb__subscription_response__free_unpacked(response, NULL);
    natsMsg_Destroy(answer);
    bench_wait(bench, bench->count);
}
