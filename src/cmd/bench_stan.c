// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bench_stan
// weir bench on NATS Streaming: publish with a window (ST-P02), receive and acknowledge (ST-P10, ST-P06).
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/endian.h"
#include "base/memory.h"
#include "cmd/bench.h"
#include "stan.pb-c.h"
#include "stan/envelope.h"

enum { PATH_MAX_LEN = 512, FLUSH_BYTES = 32 << 10, CLOCK_SLACK_NS = 100000000 };

// A STAN connection: subjects as the server gave them, and the answer being waited for.
struct session {
    struct bench *bench;
    struct client client;
    char client_id[64];
    char publish_subject[PATH_MAX_LEN], subscribe_subject[PATH_MAX_LEN], close_subject[PATH_MAX_LEN];
    char ack_inbox[PATH_MAX_LEN];
    struct buffer answer; // to the last request
    bool answered;
    uint64_t published;    // sent
    uint64_t acknowledged; // PubAcks without an error
    uint64_t refused;
    char refusal[256];
    uint64_t *sent_ns;      // owned: by number modulo window
    uint64_t began_ns;      // before the first publish
    uint64_t last_sequence; // delivered
};

static ProtobufCBinaryData text(const char *string)
{
    return (ProtobufCBinaryData){strlen(string), (uint8_t *)(uintptr_t)string};
}

static void copy_text(char *to, ProtobufCBinaryData from)
{
    size_t len = from.len < PATH_MAX_LEN - 1 ? from.len : PATH_MAX_LEN - 1;
    memcpy(to, from.data, len);
    to[len] = 0;
}

static void on_pub_ack(struct session *session, struct bytes payload)
{
    struct envelope_publish ack; // guid and error stand where client id and guid of a PubMsg do
    if (envelope_publish_decode(payload, &ack))
        return;
    if (ack.guid.len) {
        session->refused++;
        snprintf(session->refusal, sizeof(session->refusal), "%.*s", BYTES_ARG(ack.guid));
        return;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < ack.client_id.len; i++)
        number = number * 10 + (uint64_t)(ack.client_id.ptr[i] - '0');
    histogram_record(&session->bench->latency, client_now_ns() - session->sent_ns[number % session->bench->window]);
    session->acknowledged++;
    session->bench->done++;
}

static int refused(const char *what, ProtobufCBinaryData error)
{
    fprintf(stderr, "weir bench: %s: %.*s\n", what, (int)error.len, (const char *)error.data);
    return 1;
}

// From the answer to the subscription, which the first messages may follow in the same read.
static int learn_ack_inbox(struct session *session)
{
    int status = 0;
    StanPb__SubscriptionResponse *response =
        stan_pb__subscription_response__unpack(NULL, session->answer.len, (const uint8_t *)session->answer.ptr);
    if (!response || response->error.len)
        status = response ? refused("subscribe", response->error) : 1;
    else
        copy_text(session->ack_inbox, response->ack_inbox);
    if (response)
        stan_pb__subscription_response__free_unpacked(response, NULL);
    return status;
}

// The subscription begins a little before our first message: what others have put into the channel before is only acknowledged.
static bool is_own(const struct session *session, struct bytes payload)
{
    return payload.len == session->bench->size && get_u64(payload.ptr) == 0 &&
           get_u64(payload.ptr + 8) >= session->began_ns;
}

static void on_delivery(struct session *session, struct bytes payload)
{
    struct bench *bench = session->bench;
    if (!session->ack_inbox[0] && learn_ack_inbox(session)) {
        bench->wrong++;
        return;
    }
    StanPb__MsgProto *message = stan_pb__msg_proto__unpack(NULL, payload.len, (const uint8_t *)payload.ptr);
    if (!message) {
        bench->wrong++;
        return;
    }
    struct bytes data = bytes_make(message->data.data, message->data.len);
    if (bench->done > 0 || is_own(session, data)) {
        uint64_t number, expected = bench->done;
        bench_verify(bench, data, &number);
        if (number != expected || message->sequence <= session->last_sequence)
            bench->wrong++;
        session->last_sequence = message->sequence;
    }
    StanPb__Ack ack = STAN_PB__ACK__INIT;
    ack.subject = text(bench->subject);
    ack.sequence = message->sequence;
    uint8_t frame[PATH_MAX_LEN + 32];
    size_t len = stan_pb__ack__pack(&ack, frame);
    if (client_publish(&session->client, bytes_from_string(session->ack_inbox), (struct bytes){0}, (struct bytes){0},
                       bytes_make(frame, len)))
        bench->wrong++;
    stan_pb__msg_proto__free_unpacked(message, NULL);
}

enum { SID_ANSWER = 1, SID_PUB_ACK, SID_HEARTBEAT, SID_DELIVERY };

static void on_message(void *owner, const struct wire_op *message)
{
    struct session *session = owner;
    switch (message->sid.len ? message->sid.ptr[0] - '0' : 0) {
    case SID_PUB_ACK: on_pub_ack(session, message->payload); break;
    case SID_DELIVERY: on_delivery(session, message->payload); break;
    case SID_HEARTBEAT:
        (void)!client_publish(&session->client, message->reply, (struct bytes){0}, (struct bytes){0},
                              (struct bytes){0});
        break;
    default: buffer_clear(&session->answer); session->answered = buffer_append(&session->answer, message->payload) == 0;
    }
}

static int request(struct session *session, const char *subject, const uint8_t *frame, size_t len)
{
    session->answered = false;
    int got = client_publish(&session->client, bytes_from_string(subject), BYTES("_INBOX.weir-bench.answer"),
                             (struct bytes){0}, bytes_make(frame, len));
    uint64_t end = client_now_ns() + 5000000000;
    while (got >= 0 && !session->answered && client_now_ns() < end)
        got = client_wait(&session->client, 100);
    if (got < 0)
        return bench_fail(&session->client);
    if (session->answered)
        return 0;
    fprintf(stderr, "weir bench: no answer on %s (a STAN server with another cluster id?)\n", subject);
    return 1;
}

static int session_open(struct session *session, struct bench *bench)
{
    *session = (struct session){.bench = bench};
    int status = bench_connect(bench, &session->client, "weir-bench-stan");
    if (status)
        return status;
    buffer_init(&session->answer, 128 << 20);
    session->sent_ns = mem_alloc_zero(bench->window * sizeof(*session->sent_ns));
    session->client.owner = session;
    session->client.on_message = on_message;
    client_subscribe(&session->client, BYTES("_INBOX.weir-bench.answer"), BYTES(""), SID_ANSWER);
    client_subscribe(&session->client, BYTES("_INBOX.weir-bench.acks"), BYTES(""), SID_PUB_ACK);
    client_subscribe(&session->client, BYTES("_INBOX.weir-bench.heartbeat"), BYTES(""), SID_HEARTBEAT);
    client_subscribe(&session->client, BYTES("_INBOX.weir-bench.messages"), BYTES(""), SID_DELIVERY);
    snprintf(session->client_id, sizeof(session->client_id), "weir-bench-%d", (int)getpid());
    StanPb__ConnectRequest connect = STAN_PB__CONNECT_REQUEST__INIT;
    connect.client_id = text(session->client_id);
    connect.heartbeat_inbox = text("_INBOX.weir-bench.heartbeat");
    connect.protocol = 1;
    connect.conn_id = text(session->client_id);
    uint8_t frame[256];
    char subject[PATH_MAX_LEN];
    snprintf(subject, sizeof(subject), "_STAN.discover.%.256s", bench->cluster_id);
    status = request(session, subject, frame, stan_pb__connect_request__pack(&connect, frame));
    StanPb__ConnectResponse *response =
        status ? NULL
               : stan_pb__connect_response__unpack(NULL, session->answer.len, (const uint8_t *)session->answer.ptr);
    if (response && response->error.len)
        status = refused("connect", response->error);
    if (response && !status) {
        char prefix[PATH_MAX_LEN];
        copy_text(prefix, response->pub_prefix);
        snprintf(session->publish_subject, PATH_MAX_LEN, "%.300s.%.200s", prefix, bench->subject);
        copy_text(session->subscribe_subject, response->sub_requests);
        copy_text(session->close_subject, response->close_requests);
    }
    if (response)
        stan_pb__connect_response__free_unpacked(response, NULL);
    return status;
}

static void session_close(struct session *session)
{
    StanPb__CloseRequest close = STAN_PB__CLOSE_REQUEST__INIT;
    close.client_id = text(session->client_id);
    uint8_t frame[128];
    if (session->close_subject[0])
        request(session, session->close_subject, frame, stan_pb__close_request__pack(&close, frame));
    client_close(&session->client);
    buffer_deinit(&session->answer);
    mem_free(session->sent_ns);
}

static int publish_one(struct session *session)
{
    struct bench *bench = session->bench;
    char guid[24];
    snprintf(guid, sizeof(guid), "%llu", (unsigned long long)session->published);
    struct bytes payload = bench_payload(bench, session->published);
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = text(session->client_id);
    message.guid = text(guid);
    message.subject = text(bench->subject);
    message.data = (ProtobufCBinaryData){payload.len, (uint8_t *)(uintptr_t)payload.ptr};
    message.conn_id = text(session->client_id);
    uint8_t *frame = (uint8_t *)buffer_reserve(&session->answer, stan_pb__pub_msg__get_packed_size(&message));
    if (!frame)
        return ERR_TOO_BIG;
    size_t len = stan_pb__pub_msg__pack(&message, frame);
    session->sent_ns[session->published % bench->window] = client_now_ns();
    session->published++;
    return client_publish(&session->client, bytes_from_string(session->publish_subject),
                          BYTES("_INBOX.weir-bench.acks"), (struct bytes){0}, bytes_make(frame, len));
}

static int publish_all(struct session *session)
{
    struct bench *bench = session->bench;
    int got = 0;
    buffer_clear(&session->answer);
    while (got >= 0 && session->acknowledged < bench->messages && !session->refused) {
        while (got >= 0 && session->published < bench->messages &&
               session->published - session->acknowledged < bench->window &&
               client_pending(&session->client) < FLUSH_BYTES)
            got = publish_one(session);
        if (got >= 0)
            got = client_flush(&session->client);
        bool full =
            session->published == bench->messages || session->published - session->acknowledged == bench->window;
        if (got >= 0)
            got = client_wait(&session->client, full ? 5000 : 0);
        bench_progress(bench);
    }
    if (session->refused)
        fprintf(stderr, "weir bench: publish refused: %s\n", session->refusal);
    return session->refused ? 1 : got < 0 ? bench_fail(&session->client) : 0;
}

int bench_stan_publish(struct bench *bench)
{
    struct session session;
    int status = session_open(&session, bench);
    bench_start(bench);
    if (!status)
        status = publish_all(&session);
    bench_stop(bench);
    if (session.client.link.fd >= 0)
        session_close(&session);
    return status;
}

static int subscribe(struct session *session)
{
    struct bench *bench = session->bench;
    StanPb__SubscriptionRequest subscription = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
    subscription.client_id = text(session->client_id);
    subscription.subject = text(bench->subject);
    subscription.inbox = text("_INBOX.weir-bench.messages");
    subscription.max_in_flight = (int32_t)bench->window;
    subscription.ack_wait_in_secs = 30;
    subscription.start_position = 2; // TimeDelta (ST-M12); the server's clock gives the messages their times
    subscription.start_time_delta = (int64_t)(client_now_ns() - session->began_ns + CLOCK_SLACK_NS);
    uint8_t frame[1024];
    int status =
        request(session, session->subscribe_subject, frame, stan_pb__subscription_request__pack(&subscription, frame));
    if (status)
        return status;
    return learn_ack_inbox(session);
}

int bench_stan_subscribe(struct bench *bench)
{
    struct session session;
    int status = session_open(&session, bench);
    session.began_ns = client_now_ns();
    bench_start(bench);
    if (!status)
        status = publish_all(&session);
    bench_start(bench);
    if (!status)
        status = subscribe(&session);
    int got = 0;
    while (!status && got >= 0 && bench->done < bench->messages) {
        got = client_wait(&session.client, 5000);
        if (got == 0) {
            fprintf(stderr, "weir bench: only %llu of %llu messages came\n", (unsigned long long)bench->done,
                    (unsigned long long)bench->messages);
            status = 1;
        }
        bench_progress(bench);
    }
    bench_stop(bench);
    if (got < 0)
        status = bench_fail(&session.client);
    if (session.client.link.fd >= 0)
        session_close(&session);
    return status;
}
