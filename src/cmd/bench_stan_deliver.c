// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bench_stan
// weir bench on NATS Streaming: receive and acknowledge (ST-P10, ST-P06) what is stored, with one subscription or one queue group a
// channel. All members are on one connection, so messages of a channel come in the order of their numbers, whoever gets them.
//
// A queue group is measured from when all of its members are there: until then they hold back acknowledgements, so that the server
// can send each no more than --window, and what it sent by then is not counted.
#include <stdio.h>

#include "base/endian.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/varint.h"
#include "cmd/bench_stan.h"
#include "stan/field.h"

enum {
    SID_JOINED = STAN_SESSION_FIRST_SID,
    SID_MEMBER,      // and on
    JOINS_MAX = 256, // requests under way
    CLOCK_SLACK_NS = 100000000,
    FILL_WINDOW_MIN = 512,
    ACK_WAIT_S = 30,
    WAIT_MS = 20000,
};

// The n-th is one of channel n modulo --channels.
struct member {
    struct bytes ack_inbox; // owned; empty: has not joined yet
};

// A channel's messages so far.
struct lane {
    char name[BENCH_STAN_CHANNEL_MAX];
    uint64_t expected; // the next number
    uint64_t last_sequence;
};

struct held_ack {
    uint64_t sequence;
    uint32_t member;
};

struct receiver {
    struct bench *bench; // borrowed
    struct stan_session session;
    const char *group;      // borrowed; "": none
    uint64_t began_ns;      // before the first publish; 0: all that is stored counts
    struct member *members; // owned
    uint32_t member_count;
    uint64_t joined;
    struct lane *lanes; // owned
    uint64_t received;
    bool holding;
    struct buffer held; // struct held_ack
    int failed;         // an exit status
};

static int run(struct bench *bench, uint32_t members, const char *group);
static int fill(struct bench *bench);
static int receive(struct receiver *receiver);
static int join_all(struct receiver *receiver);
static int join(struct receiver *receiver, uint32_t number);
static uint64_t held_back(const struct receiver *receiver);
static int wait_for(struct receiver *receiver, const uint64_t *count, uint64_t goal);
static void on_raw(void *owner, uint64_t sid, const struct wire_op *message);
static void on_joined(struct receiver *receiver, const struct wire_op *message);
static void on_delivery(struct receiver *receiver, uint32_t number, struct bytes frame);
static bool is_ours(const struct receiver *receiver, struct bytes data);
static void acknowledge(struct receiver *receiver, uint32_t number, uint64_t sequence);
static void hold(struct receiver *receiver, uint32_t number, uint64_t sequence);
static void release(struct receiver *receiver);
static int refused(struct bytes error);
static struct bytes text_copy(ProtobufCBinaryData from);

int bench_stan_subscribe(struct bench *bench)
{
    return run(bench, 1, "");
}

int bench_stan_queue(struct bench *bench)
{
    return run(bench, bench->subscribers, "weir-bench");
}

static int run(struct bench *bench, uint32_t members, const char *group)
{
    uint64_t began_ns = bench->stored ? 0 : client_now_ns();
    int status = bench->stored ? 0 : fill(bench);
    if (status)
        return status;
    struct receiver receiver = {.bench = bench,
                                .group = group,
                                .began_ns = began_ns,
                                .session.owner = &receiver,
                                .session.on_raw = on_raw,
                                .member_count = members * bench->channels,
                                .holding = group[0] != 0};
    receiver.members = mem_alloc_zero(receiver.member_count * sizeof(*receiver.members));
    receiver.lanes = mem_alloc_zero(bench->channels * sizeof(*receiver.lanes));
    buffer_init(&receiver.held, SIZE_MAX / 2);
    for (uint32_t i = 0; i < bench->channels; i++) {
        bench_stan_channel(bench, i, receiver.lanes[i].name);
        receiver.lanes[i].expected = i;
    }
    status = bench_stan_open(bench, &receiver.session);
    if (!status) {
        status = receive(&receiver);
        stan_session_close(&receiver.session);
    }
    for (uint32_t i = 0; i < receiver.member_count; i++)
        mem_free((char *)(uintptr_t)receiver.members[i].ack_inbox.ptr);
    mem_free(receiver.members);
    mem_free(receiver.lanes);
    buffer_deinit(&receiver.held);
    return status;
}

// --window is MaxInflight here; a small one would only make this slow.
static int fill(struct bench *bench)
{
    uint32_t window = bench->window;
    bench->window = window < FILL_WINDOW_MIN ? FILL_WINDOW_MIN : window;
    int status = bench_stan_publish(bench);
    bench->window = window;
    return status;
}

static int receive(struct receiver *receiver)
{
    struct bench *bench = receiver->bench;
    bench_start(bench);
    int status = join_all(receiver);
    if (!status && receiver->holding) {
        status = wait_for(receiver, &receiver->received, held_back(receiver));
        bench_start(bench);
        release(receiver);
    }
    if (!status)
        status = wait_for(receiver, &receiver->received, bench->messages);
    bench_stop(bench);
    return status;
}

static int join_all(struct receiver *receiver)
{
    char inbox[STAN_SESSION_TEXT_SIZE];
    snprintf(inbox, sizeof(inbox), "%s.joined.*", receiver->session.inbox);
    client_subscribe(&receiver->session.client, bytes_from_string(inbox), BYTES(""), SID_JOINED);
    int status = 0;
    for (uint32_t asked = 0; !status && asked < receiver->member_count; asked++) {
        if (asked - receiver->joined == JOINS_MAX)
            status = wait_for(receiver, &receiver->joined, receiver->joined + JOINS_MAX / 2);
        if (!status)
            status = join(receiver, asked);
    }
    return status ? status : wait_for(receiver, &receiver->joined, receiver->member_count);
}

// Its inbox has two tokens, as those of STAN clients have.
static int join(struct receiver *receiver, uint32_t number)
{
    struct bench *bench = receiver->bench;
    struct stan_session *session = &receiver->session;
    char inbox[STAN_SESSION_TEXT_SIZE + 32], reply[STAN_SESSION_TEXT_SIZE + 32];
    snprintf(inbox, sizeof(inbox), "_INBOX.%s-%u", session->client_id, number);
    snprintf(reply, sizeof(reply), "%s.joined.%u", session->inbox, number);
    client_subscribe(&session->client, bytes_from_string(inbox), BYTES(""), SID_MEMBER + number);
    StanPb__SubscriptionRequest request = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
    request.client_id = stan_session_text(session->client_id);
    request.subject = stan_session_text(receiver->lanes[number % bench->channels].name);
    request.q_group = stan_session_text(receiver->group);
    request.inbox = stan_session_text(inbox);
    request.max_in_flight = (int32_t)bench->window;
    request.ack_wait_in_secs = ACK_WAIT_S;
    request.start_position = receiver->began_ns ? STAN_SESSION_START_TIME : STAN_SESSION_START_FIRST;
    // The server's clock gives the messages their times.
    if (receiver->began_ns)
        request.start_time_delta = (int64_t)(client_now_ns() - receiver->began_ns + CLOCK_SLACK_NS);
    uint8_t frame[3 * STAN_SESSION_TEXT_SIZE + BENCH_STAN_CHANNEL_MAX];
    size_t len = stan_pb__subscription_request__pack(&request, frame);
    int error = client_publish(&session->client, bytes_from_string(session->subscribe_subject),
                               bytes_from_string(reply), (struct bytes){0}, bytes_make(frame, len));
    return error ? bench_fail(&session->client) : 0;
}

// What the server sends while nothing is acknowledged.
static uint64_t held_back(const struct receiver *receiver)
{
    const struct bench *bench = receiver->bench;
    uint64_t each = (uint64_t)bench->window * (receiver->member_count / bench->channels), total = 0;
    for (uint64_t i = 0; i < bench->channels; i++) {
        uint64_t stored = bench->messages / bench->channels + (i < bench->messages % bench->channels);
        total += stored < each ? stored : each;
    }
    return total;
}

static int wait_for(struct receiver *receiver, const uint64_t *count, uint64_t goal)
{
    struct bench *bench = receiver->bench;
    for (;;) {
        // While acknowledgements are sent messages come, and those may be the last.
        if (client_flush(&receiver->session.client))
            return bench_fail(&receiver->session.client);
        if (receiver->failed || *count >= goal)
            return receiver->failed;
        int got = client_wait(&receiver->session.client, WAIT_MS);
        if (got < 0)
            return bench_fail(&receiver->session.client);
        if (got == 0) {
            fprintf(stderr, "weir bench: %llu of %u subscriptions were made, %llu of %llu messages came\n",
                    (unsigned long long)receiver->joined, receiver->member_count,
                    (unsigned long long)receiver->received, (unsigned long long)bench->messages);
            return 1;
        }
        bench_progress(bench);
    }
}

static void on_raw(void *owner, uint64_t sid, const struct wire_op *message)
{
    struct receiver *receiver = owner;
    if (sid == SID_JOINED)
        on_joined(receiver, message);
    else if (sid - SID_MEMBER < receiver->member_count)
        on_delivery(receiver, (uint32_t)(sid - SID_MEMBER), message->payload);
}

// The number is the last part of the subject.
static void on_joined(struct receiver *receiver, const struct wire_op *message)
{
    struct bytes text = message->subject;
    while (memchr(text.ptr, '.', text.len))
        text = bytes_skip(text, 1);
    uint64_t number;
    StanPb__SubscriptionResponse *response =
        stan_pb__subscription_response__unpack(NULL, message->payload.len, (const uint8_t *)message->payload.ptr);
    if (!response || number_parse_u64(text, receiver->member_count - 1, &number))
        receiver->failed = refused(BYTES("the answer is not one of NATS Streaming"));
    else if (response->error.len)
        receiver->failed = refused(stan_session_bytes(response->error));
    else if (!receiver->members[number].ack_inbox.len)
        receiver->members[number].ack_inbox = text_copy(response->ack_inbox), receiver->joined++;
    if (response)
        stan_pb__subscription_response__free_unpacked(response, NULL);
}

static void on_delivery(struct receiver *receiver, uint32_t number, struct bytes frame)
{
    struct bench *bench = receiver->bench;
    struct lane *lane = &receiver->lanes[number % bench->channels];
    struct field field;
    struct bytes data = {0};
    uint64_t sequence = 0;
    while (frame.len) { // MsgProto, ST-M03
        if (field_next(&frame, &field)) {
            bench->wrong++;
            return;
        }
        if (field.number == 1)
            sequence = field.value;
        else if (field.number == 4)
            data = field.bytes;
    }
    bool ours = lane->last_sequence || is_ours(receiver, data);
    if (ours) {
        uint64_t message;
        bench_verify(bench, data, &message);
        if (message != lane->expected || sequence <= lane->last_sequence)
            bench->wrong++;
        lane->expected += bench->channels;
        lane->last_sequence = sequence;
        receiver->received++;
    }
    if (ours && receiver->holding)
        hold(receiver, number, sequence);
    else
        acknowledge(receiver, number, sequence);
}

// The subscription begins a little before our first message: what others have put into the channel before is only acknowledged.
static bool is_ours(const struct receiver *receiver, struct bytes data)
{
    return !receiver->began_ns || (data.len == receiver->bench->size && get_u64(data.ptr) < receiver->bench->channels &&
                                   get_u64(data.ptr + 8) >= receiver->began_ns);
}

static void acknowledge(struct receiver *receiver, uint32_t number, uint64_t sequence)
{
    struct bytes channel = bytes_from_string(receiver->lanes[number % receiver->bench->channels].name);
    char frame[BENCH_STAN_CHANNEL_MAX + 32], *at = frame; // Ack, ST-M04
    *at++ = 1 << 3 | FIELD_BYTES;
    at = varint_put(at, channel.len);
    memcpy(at, channel.ptr, channel.len);
    at += channel.len;
    *at++ = 2 << 3 | FIELD_VARINT;
    at = varint_put(at, sequence);
    if (client_publish(&receiver->session.client, receiver->members[number].ack_inbox, (struct bytes){0},
                       (struct bytes){0}, bytes_make(frame, (size_t)(at - frame))))
        receiver->bench->wrong++;
}

static void hold(struct receiver *receiver, uint32_t number, uint64_t sequence)
{
    struct held_ack ack = {sequence, number};
    if (buffer_append(&receiver->held, bytes_make(&ack, sizeof(ack))))
        receiver->bench->wrong++;
}

static void release(struct receiver *receiver)
{
    receiver->holding = false;
    for (size_t at = 0; at < receiver->held.len; at += sizeof(struct held_ack)) {
        struct held_ack ack;
        memcpy(&ack, receiver->held.ptr + at, sizeof(ack));
        acknowledge(receiver, ack.member, ack.sequence);
    }
    buffer_deinit(&receiver->held);
}

static int refused(struct bytes error)
{
    fprintf(stderr, "weir bench: subscribe: %.*s\n", BYTES_ARG(error));
    return 1;
}

static struct bytes text_copy(ProtobufCBinaryData from)
{
    char *to = mem_alloc(from.len + 1);
    memcpy(to, from.data, from.len);
    return bytes_make(to, from.len);
}
