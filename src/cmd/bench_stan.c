// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bench_stan
// weir bench on NATS Streaming: publish with a window (ST-P02), to one channel or to many in turn. A message's id is its number.
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/number.h"
#include "cmd/bench_stan.h"
#include "stan/envelope.h"

enum { FLUSH_BYTES = 32 << 10, SID_PUB_ACK = STAN_SESSION_FIRST_SID };

struct publisher {
    struct bench *bench; // borrowed
    struct stan_session session;
    char ack_inbox[STAN_SESSION_TEXT_SIZE];
    struct buffer frame;   // the message being sent
    uint64_t published;    // sent
    uint64_t acknowledged; // PubAcks without an error
    uint64_t refused;
    char refusal[256];
    uint64_t *sent_ns; // owned: by number modulo window
};

static void on_raw(void *owner, uint64_t sid, const struct wire_op *message);
static int publish_all(struct publisher *publisher);
static int publish_one(struct publisher *publisher);

int bench_stan_publish(struct bench *bench)
{
    struct publisher publisher = {.bench = bench, .session.owner = &publisher, .session.on_raw = on_raw};
    int status = bench_stan_open(bench, &publisher.session);
    if (status)
        return status;
    publisher.sent_ns = mem_alloc_zero(bench->window * sizeof(*publisher.sent_ns));
    buffer_init(&publisher.frame, 128 << 20);
    snprintf(publisher.ack_inbox, sizeof(publisher.ack_inbox), "%s.acks", publisher.session.inbox);
    client_subscribe(&publisher.session.client, bytes_from_string(publisher.ack_inbox), BYTES(""), SID_PUB_ACK);
    bench_start(bench);
    status = publish_all(&publisher);
    bench_stop(bench);
    stan_session_close(&publisher.session);
    buffer_deinit(&publisher.frame);
    mem_free(publisher.sent_ns);
    return status;
}

void bench_stan_channel(const struct bench *bench, uint64_t number, char ret[BENCH_STAN_CHANNEL_MAX])
{
    if (bench->channels == 1)
        snprintf(ret, BENCH_STAN_CHANNEL_MAX, "%s", bench->subject);
    else
        snprintf(ret, BENCH_STAN_CHANNEL_MAX, "%s.%llu", bench->subject,
                 (unsigned long long)(number % bench->channels));
}

int bench_stan_open(struct bench *bench, struct stan_session *session)
{
    struct client_options named = bench->connection;
    char client_id[64];
    named.name = "weir-bench-stan";
    snprintf(client_id, sizeof(client_id), "weir-bench-stan-%d", (int)getpid());
    if (stan_session_open(session, &named, bench->cluster_id, client_id) == 0)
        return 0;
    fprintf(stderr, "weir bench: %s\n", session->error);
    return 1;
}

static void on_raw(void *owner, uint64_t sid, const struct wire_op *message)
{
    struct publisher *publisher = owner;
    struct envelope_publish ack; // guid and error stand where client id and guid of a PubMsg do
    uint64_t number = 0;
    if (sid != SID_PUB_ACK || envelope_publish_decode(message->payload, &ack))
        return;
    if (ack.guid.len || number_parse_u64(ack.client_id, UINT64_MAX, &number)) {
        publisher->refused++;
        snprintf(publisher->refusal, sizeof(publisher->refusal), "%.*s", BYTES_ARG(ack.guid));
        return;
    }
    struct bench *bench = publisher->bench;
    histogram_record(&bench->latency, client_now_ns() - publisher->sent_ns[number % bench->window]);
    publisher->acknowledged++;
    bench->done++;
}

static int publish_all(struct publisher *publisher)
{
    struct bench *bench = publisher->bench;
    struct client *client = &publisher->session.client;
    int got = 0;
    while (got >= 0 && publisher->acknowledged < bench->messages && !publisher->refused) {
        while (got >= 0 && publisher->published < bench->messages &&
               publisher->published - publisher->acknowledged < bench->window && client_pending(client) < FLUSH_BYTES)
            got = publish_one(publisher);
        if (got >= 0)
            got = client_flush(client);
        bool full =
            publisher->published == bench->messages || publisher->published - publisher->acknowledged == bench->window;
        if (got >= 0)
            got = client_wait(client, full ? 5000 : 0);
        bench_progress(bench);
    }
    if (publisher->refused)
        fprintf(stderr, "weir bench: publish refused: %s\n", publisher->refusal);
    return publisher->refused ? 1 : got < 0 ? bench_fail(client) : 0;
}

static int publish_one(struct publisher *publisher)
{
    struct bench *bench = publisher->bench;
    struct stan_session *session = &publisher->session;
    char guid[24], channel[BENCH_STAN_CHANNEL_MAX], subject[STAN_SESSION_TEXT_SIZE + BENCH_STAN_CHANNEL_MAX];
    snprintf(guid, sizeof(guid), "%llu", (unsigned long long)publisher->published);
    bench_stan_channel(bench, publisher->published, channel);
    snprintf(subject, sizeof(subject), "%s.%s", session->publish_prefix, channel);
    struct bytes payload = bench_payload(bench, publisher->published);
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = stan_session_text(session->client_id);
    message.guid = stan_session_text(guid);
    message.subject = stan_session_text(channel);
    message.data = stan_session_data(payload);
    message.conn_id = stan_session_text(session->inbox);
    uint8_t *frame = (uint8_t *)buffer_reserve(&publisher->frame, stan_pb__pub_msg__get_packed_size(&message));
    if (!frame)
        return ERR_TOO_BIG;
    size_t len = stan_pb__pub_msg__pack(&message, frame);
    publisher->sent_ns[publisher->published % bench->window] = client_now_ns();
    publisher->published++;
    return client_publish(&session->client, bytes_from_string(subject), bytes_from_string(publisher->ack_inbox),
                          (struct bytes){0}, bytes_make(frame, len));
}
