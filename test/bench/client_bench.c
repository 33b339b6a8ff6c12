// SPDX-License-Identifier: Apache-2.0
// What libweir costs a program beside what libnats does: `client-bench URL COUNT SIZE raw|weir pub|sub` publishes COUNT messages to a channel, 512 in
// flight, or has them delivered and acknowledges each, and prints JSON with the CPU time of this process for each message. `raw` moves the
// same bytes over a core connection of libnats with the least that can be done: ready-made messages whose ids are patched, answers that are
// only counted, acknowledgements made of the sequence at the front of each delivery. It finds no publish again, tells nobody, and could not
// live in a program; it is the floor.
#include <inttypes.h>
#include <nats/nats.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <weir.h>

#include "stan/stan.pb-c.h"

enum { WINDOW = 512, ID_DIGITS = 16, WAIT_MS = 60000, MESSAGE_MAX = 70000, MAX_IN_FLIGHT = 1024 };
static const char CHANNEL[] = "bench";

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    long done;    // acknowledged, or delivered
    long awaited; // whoever waits wants to know when this many are
};

struct bench {
    const char *url;
    long count;
    size_t size;
    char payload[MESSAGE_MAX];
    struct gate gate;
};

static void need(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "client-bench: %s\n", what);
    exit(1);
}

static void gate_pass(struct gate *gate, const char *data, size_t len, const struct bench *bench)
{
    if (data)
        need(len == bench->size && memcmp(data, bench->payload, len) == 0, "a wrong payload");
    pthread_mutex_lock(&gate->mutex);
    if (++gate->done == gate->awaited)
        pthread_cond_signal(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

static void gate_wait(struct gate *gate, long wanted)
{
    pthread_mutex_lock(&gate->mutex);
    gate->awaited = wanted;
    while (gate->done < wanted)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// ---- libweir

static void on_published(int result, const char *id, const char *why, void *closure)
{
    struct bench *bench = closure;
    (void)id;
    need(result == 0, why);
    gate_pass(&bench->gate, NULL, 0, bench);
}

static void on_message(struct weir_msg *msg, void *closure)
{
    struct bench *bench = closure;
    gate_pass(&bench->gate, weir_msg_data(msg), weir_msg_data_bytes(msg), bench);
}

static struct weir_client *weir_connect(const struct bench *bench)
{
    struct weir_client_options options;
    struct weir_client *client;
    struct weir_error error;
    weir_client_options_init(&options);
    options.servers = bench->url;
    options.max_publishes_in_flight = WINDOW;
    need(weir_client_open(&options, &client, &error) == 0, "no client");
    return client;
}

static void weir_pub(struct bench *bench)
{
    struct weir_client *client = weir_connect(bench);
    for (long i = 0; i < bench->count; i++)
        need(weir_client_publish_async(client, CHANNEL, bench->payload, bench->size, NULL, on_published, bench, NULL) ==
                 0,
             "not published");
    gate_wait(&bench->gate, bench->count);
    weir_client_free(client);
}

static void weir_sub(struct bench *bench)
{
    struct weir_client *client = weir_connect(bench);
    struct weir_sub_options options;
    struct weir_sub *sub;
    weir_sub_options_init(&options);
    options.start = WEIR_START_FIRST;
    options.max_in_flight = MAX_IN_FLIGHT;
    need(weir_client_subscribe(client, CHANNEL, &options, on_message, bench, &sub, NULL) == 0, "no subscription");
    gate_wait(&bench->gate, bench->count);
    weir_client_free(client);
}

// ---- libnats alone

static natsStatus ask(natsConnection *nc, const char *subject, const ProtobufCMessage *message, natsMsg **ret_answer)
{
    uint8_t bytes[512];
    size_t size = protobuf_c_message_pack(message, bytes);
    return natsConnection_Request(ret_answer, nc, subject, bytes, (int)size, WAIT_MS);
}

static ProtobufCBinaryData data_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

static natsConnection *raw_connect(const struct bench *bench, const char *client_id)
{
    StanPb__ConnectRequest request = STAN_PB__CONNECT_REQUEST__INIT;
    natsConnection *nc = NULL;
    natsMsg *answer = NULL;
    need(natsConnection_ConnectTo(&nc, bench->url) == NATS_OK, "no connection");
    request.client_id = request.conn_id = data_of(client_id);
    request.heartbeat_inbox = data_of("bench.heartbeat");
    request.protocol = 1;
    need(ask(nc, "_STAN.discover.test-cluster", &request.base, &answer) == NATS_OK, "no streaming server");
    natsMsg_Destroy(answer);
    return nc;
}

static void raw_ack(natsConnection *nc, natsSubscription *sub, natsMsg *msg, void *closure)
{
    struct bench *bench = closure;
    (void)nc;
    (void)sub;
    need(natsMsg_GetDataLength(msg) == 2 + ID_DIGITS, "refused"); // an id and no error
    gate_pass(&bench->gate, NULL, 0, bench);
    natsMsg_Destroy(msg);
}

static void raw_pub(struct bench *bench)
{
    natsConnection *nc = raw_connect(bench, "raw-pub");
    natsSubscription *sub = NULL;
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    static uint8_t bytes[MESSAGE_MAX + 512];
    char id[ID_DIGITS + 1] = "0000000000000000";
    message.client_id = message.conn_id = data_of("raw-pub");
    message.guid = data_of(id);
    message.subject = data_of(CHANNEL);
    message.data = (ProtobufCBinaryData){bench->size, (uint8_t *)bench->payload};
    size_t size = stan_pb__pub_msg__pack(&message, bytes);
    char *patched = memmem(bytes, size, id, ID_DIGITS);
    need(natsConnection_Subscribe(&sub, nc, "bench.acks", raw_ack, bench) == NATS_OK, "no subscription");
    for (long i = 0, open_until = WINDOW; i < bench->count; i++) {
        if (i == open_until) { // full: go on when a quarter is free, as libweir does
            gate_wait(&bench->gate, i - WINDOW + WINDOW / 4);
            open_until += WINDOW / 4;
        }
        snprintf(id, sizeof(id), "%016lx", i);
        memcpy(patched, id, ID_DIGITS);
        need(natsConnection_PublishRequest(nc, "_STAN.pub.test-cluster.bench", "bench.acks", bytes, (int)size) ==
                 NATS_OK,
             "not published");
    }
    gate_wait(&bench->gate, bench->count);
}

struct raw_sub {
    struct bench *bench;
    char ack_inbox[256];
    atomic_bool ready;
};

// The server puts the sequence first (a tag, a varint) and the time, if anything, behind the data.
static void raw_delivery(natsConnection *nc, natsSubscription *nats, natsMsg *msg, void *closure)
{
    struct raw_sub *sub = closure;
    const char *data = natsMsg_GetData(msg);
    size_t len = (size_t)natsMsg_GetDataLength(msg), varint = 1;
    char ack[32] = {1 << 3 | 2, sizeof(CHANNEL) - 1};
    (void)nats;
    while (!atomic_load(&sub->ready))
        sched_yield();
    while (data[varint++] & 0x80)
        ;
    memcpy(ack + 2, CHANNEL, sizeof(CHANNEL) - 1);
    ack[sizeof(CHANNEL) + 1] = 2 << 3;
    memcpy(ack + sizeof(CHANNEL) + 2, data + 1, varint - 1);
    const char *payload = memmem(data, len, sub->bench->payload, sub->bench->size);
    gate_pass(&sub->bench->gate, payload ? payload : "", payload ? sub->bench->size : SIZE_MAX, sub->bench);
    need(natsConnection_Publish(nc, sub->ack_inbox, ack, (int)(sizeof(CHANNEL) + 1 + varint)) == NATS_OK,
         "not acknowledged");
    natsMsg_Destroy(msg);
}

static void raw_sub(struct bench *bench)
{
    static struct raw_sub sub;
    natsConnection *nc = raw_connect(bench, "raw-sub");
    natsSubscription *nats = NULL;
    natsMsg *answer = NULL;
    StanPb__SubscriptionRequest request = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
    sub.bench = bench;
    request.client_id = data_of("raw-sub");
    request.subject = data_of(CHANNEL);
    request.inbox = data_of("bench.inbox");
    request.max_in_flight = MAX_IN_FLIGHT;
    request.ack_wait_in_secs = 30;
    request.start_position = 4;
    need(natsConnection_Subscribe(&nats, nc, "bench.inbox", raw_delivery, &sub) == NATS_OK, "no subscription");
    need(ask(nc, "_STAN.sub.test-cluster", &request.base, &answer) == NATS_OK, "no answer");
    StanPb__SubscriptionResponse *response = stan_pb__subscription_response__unpack(
        NULL, (size_t)natsMsg_GetDataLength(answer), (const uint8_t *)natsMsg_GetData(answer));
    need(response && response->error.len == 0 && response->ack_inbox.len < sizeof(sub.ack_inbox), "refused");
    memcpy(sub.ack_inbox, response->ack_inbox.data, response->ack_inbox.len);
    atomic_store(&sub.ready, true);
    stan_pb__subscription_response__free_unpacked(response, NULL);
    natsMsg_Destroy(answer);
    gate_wait(&bench->gate, bench->count);
}

int main(int argc, char **argv)
{
    static struct bench bench = {.gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0}};
    need(argc == 6, "usage: client-bench URL COUNT SIZE raw|weir pub|sub");
    bench.url = argv[1];
    bench.count = strtol(argv[2], NULL, 10);
    bench.size = (size_t)strtoul(argv[3], NULL, 10);
    need(bench.count > 0 && bench.size > 0 && bench.size < MESSAGE_MAX, "count or size");
    memset(bench.payload, 'x', bench.size);
    bool raw = strcmp(argv[4], "raw") == 0, pub = strcmp(argv[5], "pub") == 0;
    nats_Open(-1);
    double cpu = cpu_s(), begin = now_s();
    (raw ? (pub ? raw_pub : raw_sub) : (pub ? weir_pub : weir_sub))(&bench);
    printf("{\"cpu_us\": %.4f, \"rate\": %.0f, \"wrong\": 0}\n", (cpu_s() - cpu) * 1e6 / (double)bench.count,
           (double)bench.count / (now_s() - begin));
    fflush(stdout);
    _exit(0); // the raw side's callbacks may still run
}
