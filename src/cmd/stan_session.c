// SPDX-License-Identifier: Apache-2.0
#include "cmd/stan_session.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "base/number.h"
#include "os/random.h"
#include "stan/channel.h"
#include "stan/envelope.h"
#include "subject/subject.h"
#include "wire/headers.h"

enum { SID_ANSWER = 1, SID_PUBLISHED, SID_HEARTBEAT, SID_PONG };
enum { FRAME_MAX = 128 << 20, REQUEST_TIMEOUT_MS = 10000, TICK_MS = 100, PINGS_MAX = 6 };

static const uint64_t PING_EVERY_NS = 5000000000;

static void listen_all(struct stan_session *session);
static int greet(struct stan_session *session, const char *cluster_id);
static int register_client(struct stan_session *session, const char *cluster_id);
static int ask(struct stan_session *session, const char *subject, const ProtobufCMessage *message);
static int request(struct stan_session *session, const char *subject, const ProtobufCMessage *message);
static int subscription_request(struct stan_session *session, const StanPb__SubscriptionRequest *request_message,
                                StanPb__SubscriptionResponse **ret_response);
static int send_message(struct stan_session *session, const char *subject, struct bytes reply, struct bytes headers,
                        const ProtobufCMessage *message);
static void on_wire(void *owner, const struct wire_op *op);
static void on_answer(struct stan_session *session, const struct wire_op *op);
static void on_published(struct stan_session *session, const struct wire_op *op);
static void on_pong(struct stan_session *session, const struct wire_op *op);
static void on_delivery(struct stan_session *session, uint64_t sid, const struct wire_op *op);
static bool is_no_responders(const struct wire_op *op);
static struct bytes inbox_name(const struct stan_session *session, char *to, const char *kind, uint64_t number);
static int copy_text(struct stan_session *session, char *to, ProtobufCBinaryData from);
static int fail(struct stan_session *session, int error, const char *what, struct bytes detail);
static int fail_client(struct stan_session *session, int error);

int stan_session_open(struct stan_session *session, const struct client_options *connection, const char *cluster_id,
                      const char *client_id)
{
    struct client_options options = *connection;
    options.no_responders = true;
    int error = client_connect(&session->client, &options);
    if (error)
        return fail_client(session, error);
    snprintf(session->client_id, sizeof(session->client_id), "%s", client_id);
    session->client.owner = session;
    session->client.on_message = on_wire;
    buffer_init(&session->answer, FRAME_MAX);
    buffer_init(&session->frame, FRAME_MAX);
    snprintf(session->inbox, sizeof(session->inbox), "_INBOX.weir.%016llx",
             (unsigned long long)random_machine.next(random_machine.owner));
    error = greet(session, cluster_id);
    if (error)
        stan_session_drop(session);
    return error;
}

int stan_session_resume(struct stan_session *session, const struct client_options *connection, uint64_t sid)
{
    char inbox[128];
    struct client_options options = *connection;
    options.no_responders = true;
    client_close(&session->client);
    int error = client_connect(&session->client, &options);
    if (error)
        return fail_client(session, error == ERR_CLOSED ? ERR_IO : error);
    session->client.owner = session;
    session->client.on_message = on_wire;
    session->pings = session->pongs = 0;
    session->replaced[0] = '\0';
    listen_all(session);
    client_subscribe(&session->client, inbox_name(session, inbox, "m", sid), BYTES(""), sid);
    if (!session->ping_subject[0])
        return fail(session, ERR_CLOSED, "the server does not say whom it knows", BYTES(""));
    session->pinged_ns = 0;
    error = stan_session_check(session, client_now_ns());
    uint64_t end_ns = client_now_ns() + REQUEST_TIMEOUT_MS * 1000000ull;
    while (!error && session->pongs < session->pings && !session->replaced[0]) {
        int got = client_wait(&session->client, TICK_MS);
        if (got < 0)
            error = fail_client(session, got == ERR_CLOSED ? ERR_IO : got);
        else if (client_now_ns() >= end_ns || (session->is_stopped && session->is_stopped(session->owner)))
            error = fail(session, ERR_TIMEOUT, "no answer to a ping", BYTES(""));
    }
    return error ? error : stan_session_check(session, client_now_ns());
}

void stan_session_close(struct stan_session *session)
{
    StanPb__CloseRequest close = STAN_PB__CLOSE_REQUEST__INIT;
    close.client_id = stan_session_text(session->client_id);
    (void)!request(session, session->close_subject, &close.base);
    stan_session_drop(session);
}

void stan_session_leave(struct stan_session *session)
{
    StanPb__CloseRequest close = STAN_PB__CLOSE_REQUEST__INIT;
    close.client_id = stan_session_text(session->client_id);
    if (ask(session, session->close_subject, &close.base) == 0)
        (void)!client_step(&session->client); // an error is there again in the next step
}

bool stan_session_has_left(const struct stan_session *session)
{
    return session->answered;
}

void stan_session_drop(struct stan_session *session)
{
    client_close(&session->client);
    buffer_deinit(&session->answer);
    buffer_deinit(&session->frame);
}

int stan_session_subscribe(struct stan_session *session, struct stan_session_subscription *subscription)
{
    char inbox[128];
    struct bytes inbox_text = inbox_name(session, inbox, "m", subscription->sid);
    client_subscribe(&session->client, inbox_text, BYTES(""), subscription->sid);
    StanPb__SubscriptionRequest message = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
    message.client_id = stan_session_text(session->client_id);
    message.subject = stan_session_text(subscription->channel);
    message.durable_name = stan_session_text(subscription->durable);
    message.q_group = stan_session_text(subscription->group ? subscription->group : "");
    message.inbox = stan_session_data(inbox_text);
    message.max_in_flight = (int32_t)subscription->max_in_flight;
    message.ack_wait_in_secs = (int32_t)subscription->ack_wait_s;
    message.start_position = (int32_t)subscription->start;
    message.start_sequence = subscription->start_sequence;
    message.start_time_delta = (int64_t)subscription->start_delta_ns;
    StanPb__SubscriptionResponse *response;
    session->subscribing = subscription;
    subscription->ack_inbox[0] = '\0';
    int error = subscription_request(session, &message, &response);
    session->subscribing = NULL;
    if (error) {
        client_unsubscribe(&session->client, subscription->sid, 0);
        return error;
    }
    stan_pb__subscription_response__free_unpacked(response, NULL);
    return subscription->ack_inbox[0] ? 0 : fail(session, ERR_PROTOCOL, "the server names no ack inbox", BYTES(""));
}

int stan_session_unsubscribe(struct stan_session *session, const struct stan_session_subscription *subscription)
{
    StanPb__UnsubscribeRequest message = STAN_PB__UNSUBSCRIBE_REQUEST__INIT;
    message.client_id = stan_session_text(session->client_id);
    message.subject = stan_session_text(subscription->channel);
    message.inbox = stan_session_text(subscription->ack_inbox);
    message.durable_name = stan_session_text(subscription->durable);
    client_unsubscribe(&session->client, subscription->sid, 0);
    // A server that knows no closing would take the durable away.
    bool keeps = subscription->durable[0] != '\0';
    if (keeps && !session->sub_close_subject[0])
        return fail(session, ERR_UNSUPPORTED, "the server cannot close a durable subscription", BYTES(""));
    return request(session, keeps ? session->sub_close_subject : session->unsubscribe_subject, &message.base);
}

int stan_session_inquire(struct stan_session *session, const char *channel, uint64_t *ret_first, uint64_t *ret_last)
{
    char inbox[128];
    StanPb__SubscriptionRequest message = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
    message.client_id = stan_session_text(session->client_id);
    message.subject = stan_session_text(channel);
    message.inbox = stan_session_data(inbox_name(session, inbox, "none", 0));
    message.max_in_flight = 1;
    message.ack_wait_in_secs = 1;
    message.inquiry = true;
    StanPb__SubscriptionResponse *response;
    int error = subscription_request(session, &message, &response);
    if (error)
        return error;
    if (response->inquired) {
        *ret_first = response->first_sequence;
        *ret_last = response->last_sequence;
    } else {
        error = fail(session, ERR_UNSUPPORTED, "the server is no Weir, or an older one", BYTES(""));
    }
    stan_pb__subscription_response__free_unpacked(response, NULL);
    return error;
}

int stan_session_publish(struct stan_session *session, const struct stan_session_publish *publish)
{
    char subject[STAN_SESSION_SUBJECT_SIZE], reply[128];
    snprintf(subject, sizeof(subject), "%.511s.%.1500s", session->publish_prefix, publish->channel);
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = stan_session_text(session->client_id);
    message.guid = stan_session_data(publish->guid);
    message.subject = stan_session_text(publish->channel);
    message.reply = stan_session_data(publish->reply);
    message.data = stan_session_data(publish->data);
    message.conn_id = stan_session_text(session->inbox);
    return send_message(session, subject, inbox_name(session, reply, "p", publish->tag), publish->headers,
                        &message.base);
}

int stan_session_say(struct stan_session *session, const char *ack_inbox, struct bytes words)
{
    const struct bytes none = {0};
    int error = client_publish(&session->client, bytes_from_string(ack_inbox), none, none, words);
    return error ? fail_client(session, error) : 0;
}

int stan_session_acknowledge(struct stan_session *session, const char *ack_inbox, const char *channel,
                             uint64_t sequence)
{
    StanPb__Ack ack = STAN_PB__ACK__INIT;
    ack.subject = stan_session_text(channel);
    ack.sequence = sequence;
    return send_message(session, ack_inbox, (struct bytes){0}, (struct bytes){0}, &ack.base);
}

// ST-P08; a server of protocol 0 is asked as a NATS server only.
int stan_session_check(struct stan_session *session, uint64_t now_ns)
{
    if (session->replaced[0])
        return fail(session, ERR_CLOSED, "the server says", bytes_from_string(session->replaced));
    if (now_ns - session->pinged_ns < PING_EVERY_NS)
        return 0;
    bool asks_nats = session->ping_subject[0] == '\0';
    if (session->pings - (asks_nats ? session->client.pongs - 1 : session->pongs) >= PINGS_MAX)
        return fail(session, ERR_TIMEOUT, "the server does not answer pings", BYTES(""));
    session->pinged_ns = now_ns;
    session->pings++;
    if (asks_nats) {
        client_ping(&session->client);
        return 0;
    }
    char reply[128];
    StanPb__Ping ping = STAN_PB__PING__INIT;
    ping.conn_id = stan_session_text(session->inbox);
    return send_message(session, session->ping_subject, inbox_name(session, reply, "ping", 0), (struct bytes){0},
                        &ping.base);
}

bool stan_session_takes_channel(struct bytes name)
{
    return channel_name_is_valid(name) && subject_is_valid_publish(name);
}

static void listen_all(struct stan_session *session)
{
    char name[128];
    client_subscribe(&session->client, inbox_name(session, name, "heartbeat", 0), BYTES(""), SID_HEARTBEAT);
    client_subscribe(&session->client, inbox_name(session, name, "ping", 0), BYTES(""), SID_PONG);
    snprintf(name, sizeof(name), "%s.a.*", session->inbox);
    client_subscribe(&session->client, bytes_from_string(name), BYTES(""), SID_ANSWER);
    snprintf(name, sizeof(name), "%s.p.*", session->inbox);
    client_subscribe(&session->client, bytes_from_string(name), BYTES(""), SID_PUBLISHED);
    session->pinged_ns = client_now_ns();
}

static int greet(struct stan_session *session, const char *cluster_id)
{
    listen_all(session);
    return register_client(session, cluster_id);
}

static int register_client(struct stan_session *session, const char *cluster_id)
{
    char subject[STAN_SESSION_SUBJECT_SIZE], heartbeat[128];
    snprintf(subject, sizeof(subject), "_STAN.discover.%.500s", cluster_id);
    StanPb__ConnectRequest connect = STAN_PB__CONNECT_REQUEST__INIT;
    connect.client_id = stan_session_text(session->client_id);
    connect.heartbeat_inbox = stan_session_data(inbox_name(session, heartbeat, "heartbeat", 0));
    connect.protocol = 1;
    connect.conn_id = stan_session_text(session->inbox);
    connect.ping_interval = (int32_t)(PING_EVERY_NS / 1000000000);
    connect.ping_max_out = PINGS_MAX;
    int error = request(session, subject, &connect.base);
    if (error == ERR_NOT_FOUND || error == ERR_TIMEOUT)
        return fail(session, error, "no NATS Streaming server answers to the cluster id",
                    bytes_from_string(cluster_id));
    if (error)
        return error;
    StanPb__ConnectResponse *response =
        stan_pb__connect_response__unpack(NULL, session->answer.len, (const uint8_t *)session->answer.ptr);
    if (!response)
        return fail(session, ERR_PROTOCOL, "an answer that cannot be read", BYTES(""));
    if (response->error.len)
        error = fail(session, ERR_EXISTS, "the server refuses the client", stan_session_bytes(response->error));
    if (!error && (copy_text(session, session->publish_prefix, response->pub_prefix) ||
                   copy_text(session, session->subscribe_subject, response->sub_requests) ||
                   copy_text(session, session->unsubscribe_subject, response->unsub_requests) ||
                   copy_text(session, session->sub_close_subject, response->sub_close_requests) ||
                   copy_text(session, session->close_subject, response->close_requests) ||
                   copy_text(session, session->ping_subject, response->ping_requests)))
        error = ERR_TOO_BIG;
    stan_pb__connect_response__free_unpacked(response, NULL);
    return error;
}

static int ask(struct stan_session *session, const char *subject, const ProtobufCMessage *message)
{
    struct bytes reply = inbox_name(session, session->reply, "a", ++session->requests);
    session->answered = session->refused_by_nobody = false;
    return send_message(session, subject, reply, (struct bytes){0}, message);
}

// The answer is in session->answer. ERR_NOT_FOUND: nobody listens there.
static int request(struct stan_session *session, const char *subject, const ProtobufCMessage *message)
{
    int error = ask(session, subject, message);
    uint64_t end_ns = client_now_ns() + REQUEST_TIMEOUT_MS * 1000000ull;
    while (!error && !session->answered) {
        int got = client_wait(&session->client, TICK_MS);
        if (got < 0)
            error = fail_client(session, got);
        else if (!session->answered && session->is_stopped && session->is_stopped(session->owner))
            error = fail(session, ERR_CLOSED, "stopped", BYTES(""));
        else if (!session->answered && client_now_ns() >= end_ns)
            error = fail(session, ERR_TIMEOUT, "no answer on", bytes_from_string(subject));
    }
    session->reply[0] = '\0';
    if (!error && session->refused_by_nobody)
        error = fail(session, ERR_NOT_FOUND, "nobody listens on", bytes_from_string(subject));
    return error;
}

static int subscription_request(struct stan_session *session, const StanPb__SubscriptionRequest *request_message,
                                StanPb__SubscriptionResponse **ret_response)
{
    int error = request(session, session->subscribe_subject, &request_message->base);
    if (error)
        return error;
    StanPb__SubscriptionResponse *response =
        stan_pb__subscription_response__unpack(NULL, session->answer.len, (const uint8_t *)session->answer.ptr);
    if (!response)
        return fail(session, ERR_PROTOCOL, "an answer that cannot be read", BYTES(""));
    if (response->error.len) {
        bool is_forgotten = bytes_equal(stan_session_bytes(response->error), BYTES("stan: unknown clientID")); // ST-E16
        error = fail(session, is_forgotten ? ERR_CLOSED : ERR_EXISTS, "the server refuses",
                     stan_session_bytes(response->error));
        stan_pb__subscription_response__free_unpacked(response, NULL);
        return error;
    }
    *ret_response = response;
    return 0;
}

static int send_message(struct stan_session *session, const char *subject, struct bytes reply, struct bytes headers,
                        const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    buffer_clear(&session->frame);
    char *frame = buffer_reserve(&session->frame, size);
    if (!frame)
        return fail(session, ERR_TOO_BIG, "the message is too large", BYTES(""));
    size = protobuf_c_message_pack(message, (uint8_t *)frame);
    int error = client_publish(&session->client, bytes_from_string(subject), reply, headers, bytes_make(frame, size));
    return error ? fail_client(session, error) : 0;
}

static void on_wire(void *owner, const struct wire_op *op)
{
    struct stan_session *session = owner;
    const struct bytes none = {0};
    uint64_t sid;
    if (number_parse_u64(op->sid, UINT64_MAX, &sid))
        return;
    switch (sid) {
    case SID_ANSWER: on_answer(session, op); break;
    case SID_PUBLISHED: on_published(session, op); break;
    case SID_PONG: on_pong(session, op); break;
    case SID_HEARTBEAT:
        if (op->reply.len)
            (void)!client_publish(&session->client, op->reply, none, none, none);
        break;
    default:
        if (session->on_raw)
            session->on_raw(session->owner, sid, op);
        else
            on_delivery(session, sid, op);
    }
}

// The ack inbox is needed at once: messages may follow in the same read.
static void on_answer(struct stan_session *session, const struct wire_op *op)
{
    if (session->answered || !bytes_equal(op->subject, bytes_from_string(session->reply)))
        return; // to a request that was given up
    buffer_clear(&session->answer);
    session->refused_by_nobody = is_no_responders(op);
    session->answered = buffer_append(&session->answer, op->payload) == 0;
    if (!session->subscribing)
        return;
    StanPb__SubscriptionResponse *response =
        stan_pb__subscription_response__unpack(NULL, op->payload.len, (const uint8_t *)op->payload.ptr);
    if (response && copy_text(session, session->subscribing->ack_inbox, response->ack_inbox))
        session->subscribing->ack_inbox[0] = '\0';
    if (response)
        stan_pb__subscription_response__free_unpacked(response, NULL);
}

static void on_published(struct stan_session *session, const struct wire_op *op)
{
    uint64_t tag;
    struct envelope_publish ack; // guid and error stand where client id and guid of a PubMsg do
    struct bytes subject = op->subject;
    const char *dot = subject.len ? memrchr(subject.ptr, '.', subject.len) : NULL;
    if (!dot || number_parse_u64(bytes_skip(subject, (size_t)(dot + 1 - subject.ptr)), UINT64_MAX, &tag))
        return;
    if (is_no_responders(op)) {
        snprintf(session->replaced, sizeof(session->replaced), "nobody listens for publishes");
        return;
    }
    if (envelope_publish_decode(op->payload, &ack) == 0 && session->on_published)
        session->on_published(session->owner, tag, ack.client_id, ack.guid);
}

// ST-E19
static void on_pong(struct stan_session *session, const struct wire_op *op)
{
    if (is_no_responders(op)) {
        snprintf(session->replaced, sizeof(session->replaced), "nobody listens for pings");
        return;
    }
    StanPb__PingResponse *response =
        stan_pb__ping_response__unpack(NULL, op->payload.len, (const uint8_t *)op->payload.ptr);
    session->pongs = session->pings;
    if (response && response->error.len)
        snprintf(session->replaced, sizeof(session->replaced), "%.*s", (int)response->error.len,
                 (const char *)response->error.data);
    if (response)
        stan_pb__ping_response__free_unpacked(response, NULL);
}

static void on_delivery(struct stan_session *session, uint64_t sid, const struct wire_op *op)
{
    StanPb__MsgProto *message = stan_pb__msg_proto__unpack(NULL, op->payload.len, (const uint8_t *)op->payload.ptr);
    if (!message)
        return; // it comes again
    const struct stan_session_message borrowed = {
        .sid = sid,
        .sequence = message->sequence,
        .time_ns = (uint64_t)message->timestamp,
        .redelivery_count = message->redelivery_count,
        .headers = op->header,
        .reply = stan_session_bytes(message->reply),
        .data = stan_session_bytes(message->data),
    };
    if (session->on_message)
        session->on_message(session->owner, &borrowed);
    stan_pb__msg_proto__free_unpacked(message, NULL);
}

static bool is_no_responders(const struct wire_op *op)
{
    struct headers headers;
    return op->header.len && headers_parse(op->header, &headers) == 0 && headers.status == HEADERS_STATUS_NO_RESPONDERS;
}

static struct bytes inbox_name(const struct stan_session *session, char *to, const char *kind, uint64_t number)
{
    int len = snprintf(to, 128, "%s.%s.%llu", session->inbox, kind, (unsigned long long)number);
    return bytes_make(to, (size_t)len);
}

// What does not fit, or cannot be a subject, is refused: it would be another one.
static int copy_text(struct stan_session *session, char *to, ProtobufCBinaryData from)
{
    struct bytes subject = stan_session_bytes(from);
    if (from.len >= STAN_SESSION_TEXT_SIZE || (from.len && !subject_is_valid_publish(subject)))
        return fail(session, ERR_TOO_BIG, "the server names a subject that is none, or too long", BYTES(""));
    if (from.len)
        memcpy(to, from.data, from.len);
    to[from.len] = '\0';
    return 0;
}

static int fail(struct stan_session *session, int error, const char *what, struct bytes detail)
{
    snprintf(session->error, sizeof(session->error), "%s%s%.*s", what, detail.len ? ": " : "",
             (int)(detail.len < 300 ? detail.len : 300), detail.ptr ? detail.ptr : "");
    return error;
}

static int fail_client(struct stan_session *session, int error)
{
    return fail(session, error, session->client.error, BYTES(""));
}
