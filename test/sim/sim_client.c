// SPDX-License-Identifier: Apache-2.0
// tidy: prefix sim
// The client's protocol: links, requests and their answers, deliveries. What it does of its own accord is in sim_habits.c.
#include "sim_client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "base/number.h"
#include "sim_client_internal.h"
#include "stan/stan.pb-c.h"
#include "wire/writer.h"

#define SECOND 1000000000ULL
enum { REPLY_SID = 1, HEARTBEAT_SID = 2, SUB_SID = 100 };

static void on_data(void *owner, struct bytes data, const struct sim_stamp *stamp);
static void on_close(void *owner);
static void on_info(struct sim_client *client);
static void on_message(struct sim_client *client, const struct wire_op *op, const struct sim_stamp *stamp);
static void on_delivery(struct sim_client *client, uint32_t sub, struct bytes payload, const struct sim_stamp *stamp);
static void on_pub_ack(struct sim_client *client, struct bytes payload);
static void on_answer(struct sim_client *client, uint32_t token, struct bytes payload);
static void on_connected(struct sim_client *client, struct bytes payload);
static void on_subscribed(struct sim_client *client, struct sim_sub *sub, struct bytes payload);
static void on_sub_ended(struct sim_client *client, const struct sim_request *request, struct bytes payload);
static void on_ping_answer(struct sim_client *client, struct bytes payload);
static void lost(struct sim_client *client);
static void request(struct sim_client *client, enum sim_request_kind kind, struct sim_sub *sub);
static void pack(struct sim_client *client, const char *subject, const char *reply, const ProtobufCMessage *message);
static void publish(struct sim_client *client, const char *subject, const char *reply, struct bytes payload);
static uint64_t flush(struct sim_client *client);
static void put_line(struct sim_client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));

static ProtobufCBinaryData field(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

void sim_client_init(struct sim_client *client, uint32_t index, struct sim_net *net, struct sim_model *model,
                     struct prng *prng, const struct sim_habits *habits)
{
    *client =
        (struct sim_client){.net = net, .model = model, .prng = prng, .habits = *habits, .index = index, .process = 1};
    buffer_init(&client->input, 1 << 26);
    buffer_init(&client->output, 1 << 26);
    client->window = mem_alloc(SIM_CLIENT_LISTED * sizeof(*client->window));
    client->transit = mem_alloc(SIM_CLIENT_LISTED * sizeof(*client->transit));
    client->late = mem_alloc(SIM_CLIENT_LISTED * sizeof(*client->late));
}

void sim_client_deinit(struct sim_client *client)
{
    buffer_deinit(&client->input);
    buffer_deinit(&client->output);
    mem_free(client->window);
    mem_free(client->transit);
    mem_free(client->late);
}

void sim_client_connect(struct sim_client *client)
{
    client->link_due_ns = client->now_ns + SECOND / 10 + prng_below(client->prng, SECOND / 2);
    client->link = sim_net_connect(client->net, &(struct sim_peer){client, on_data, on_close});
    if (!client->link)
        return;
    client->link_stage = SIM_LINK_GREETING;
    client->transit_count = 0;
    parser_init(&client->parser, PARSER_CLIENT, NULL);
    buffer_clear(&client->input);
}

void sim_client_poll(struct sim_client *client, uint64_t now_ns)
{
    client->now_ns = now_ns;
    size_t taken = 0;
    while (client->link && taken < client->transit_count &&
           client->transit[taken].position <= client->link->consumed_bytes) {
        const struct sim_transit *transit = &client->transit[taken++];
        if (transit->publish)
            transit->publish->consumed_ns = now_ns;
        else if (transit->sequence)
            sim_model_ack_consumed(client->model, transit->sub, transit->sequence, transit->life, now_ns);
        else
            sim_model_sub_back(client->model, transit->sub, client->link->number, now_ns);
    }
    client->transit_count -= taken;
    memmove(client->transit, client->transit + taken, client->transit_count * sizeof(*client->transit));
}

void sim_client_die(struct sim_client *client, enum sim_death death)
{
    sim_trace_note(client->model->trace, "client %u dies (%d)", client->index, death);
    // What was sent before the end arrives, and nobody is there to see it; of what a paused node has got, it may have carried out some.
    for (size_t i = 0; i < client->transit_count; i++) {
        const struct sim_transit *transit = &client->transit[i];
        bool arrives = death == SIM_DEATH_CLOSE || (client->link && transit->position <= client->link->given_bytes);
        if (transit->sequence && arrives)
            sim_model_ack_maybe(transit->sub, transit->sequence);
    }
    if (client->link && death == SIM_DEATH_CLOSE)
        sim_link_close(client->link);
    else if (client->link && death == SIM_DEATH_RESET)
        sim_link_reset(client->link);
    else if (client->link)
        sim_link_vanish(client->link);
    lost(client);
    client->link = NULL;
    client->link_stage = SIM_LINK_DOWN;
    client->link_due_ns = client->now_ns + prng_below(client->prng, 4 * SECOND);
}

void sim_client_break(struct sim_client *client, bool silent)
{
    if (!client->link)
        return;
    if (silent)
        sim_link_vanish(client->link);
    else
        sim_link_reset(client->link);
    on_close(client);
}

bool sim_client_subscribe(struct sim_client *client, const struct sim_sub_request *wanted)
{
    if (client->link_stage != SIM_LINK_UP || client->stan_stage != SIM_STAN_CONNECTED ||
        client->sub_count == SIM_CLIENT_SUBS || client->request_count + 4 > SIM_CLIENT_REQUESTS)
        return false;
    struct sim_sub *sub = sim_model_sub_new(client->model, wanted, client->now_ns);
    sim_trace_note(client->model->trace, "client %u subscribes: sub %u (%s)", client->index, sub->id,
                   sub->consumer->key);
    client->subs[client->sub_count++] = sub;
    sim_client_send_subscribe(client, sub);
    return true;
}

void sim_client_send_subscribe(struct sim_client *client, struct sim_sub *sub)
{
    put_line(client, "SUB %s %u\r\n", sub->inbox, SUB_SID + sub->id);
    sim_client_track(client, (struct sim_transit){.position = flush(client), .sub = sub});
    request(client, SIM_REQUEST_SUBSCRIBE, sub);
}

bool sim_client_end_sub(struct sim_client *client, struct sim_sub *sub, bool unsubscribe)
{
    if (client->link_stage != SIM_LINK_UP || client->request_count + 4 > SIM_CLIENT_REQUESTS)
        return false;
    sim_trace_note(client->model->trace, "client %u ends sub %u (%d)", client->index, sub->id, unsubscribe);
    sim_model_sub_ending(client->model, sub, client->now_ns);
    put_line(client, "UNSUB %u\r\n", SUB_SID + sub->id);
    request(client, unsubscribe ? SIM_REQUEST_UNSUBSCRIBE : SIM_REQUEST_SUB_CLOSE, sub);
    return true;
}

void sim_client_publish(struct sim_client *client, uint32_t channel, uint32_t size)
{
    if (client->window_count == SIM_CLIENT_LISTED)
        return;
    struct sim_publish *made = sim_model_publish_new(client->model, client->index, channel, size);
    client->window[client->window_count++] = made;
    sim_client_send_publish(client, made);
}

void sim_client_send_publish(struct sim_client *client, struct sim_publish *sent)
{
    char guid[32], id[24], connection[32], reply[48], subject[64];
    sim_publish_guid(sent, guid);
    snprintf(id, sizeof(id), "client-%u", client->index);
    snprintf(connection, sizeof(connection), "conn-%u-%u", client->index, client->process);
    snprintf(reply, sizeof(reply), "_INBOX.c%u.p%u.a", client->index, client->process);
    const char *channel = client->model->channels[sent->channel].name;
    snprintf(subject, sizeof(subject), "_STAN.pub.sim.%s", channel);
    struct buffer payload;
    buffer_init(&payload, 1 << 24);
    sim_publish_payload(client->model, sent, &payload);
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = field(id);
    message.guid = field(guid);
    message.subject = field(channel);
    message.data = (ProtobufCBinaryData){payload.len, (uint8_t *)payload.ptr};
    message.conn_id = field(connection);
    sim_trace_note(client->model->trace, "client %u publishes %u on %s (attempt %u)", client->index, sent->id, channel,
                   sent->attempts + 1);
    sim_model_publish_sent(client->model, sent, client->link->number, client->now_ns);
    pack(client, subject, reply, &message.base);
    sim_client_track(client, (struct sim_transit){.position = flush(client), .publish = sent});
    buffer_deinit(&payload);
}

void sim_client_send_ack(struct sim_client *client, struct sim_sub *sub, uint64_t sequence)
{
    StanPb__Ack ack = STAN_PB__ACK__INIT;
    ack.subject = field(client->model->channels[sub->consumer->channel].name);
    ack.sequence = sequence;
    uint64_t life = sim_model_ack_sent(client->model, sub, sequence);
    pack(client, sub->ack_inbox, NULL, &ack.base);
    sim_client_track(client,
                     (struct sim_transit){.position = flush(client), .sub = sub, .sequence = sequence, .life = life});
}

void sim_client_send_term(struct sim_client *client, struct sim_sub *sub, uint64_t sequence)
{
    char text[64];
    int length = snprintf(text, sizeof(text), "+TERM %llu no such customer", (unsigned long long)sequence);
    uint64_t life = sim_model_ack_sent(client->model, sub, sequence);
    sim_trace_note(client->model->trace, "sub %u says %s", sub->id, text);
    publish(client, sub->ack_inbox, NULL, bytes_make(text, (size_t)length));
    sim_client_track(client,
                     (struct sim_transit){.position = flush(client), .sub = sub, .sequence = sequence, .life = life});
}

void sim_client_send_verdict(struct sim_client *client, struct sim_sub *sub, const char *text)
{
    sim_trace_note(client->model->trace, "sub %u says %s", sub->id, text);
    publish(client, sub->ack_inbox, NULL, bytes_from_string(text));
    flush(client);
}

void sim_client_send_ping(struct sim_client *client)
{
    request(client, SIM_REQUEST_PING, NULL);
}

void sim_client_send_close(struct sim_client *client)
{
    sim_trace_note(client->model->trace, "client %u closes", client->index);
    client->stan_stage = SIM_STAN_CLOSING;
    for (size_t i = 0; i < client->sub_count; i++)
        sim_model_sub_ending(client->model, client->subs[i], client->now_ns);
    request(client, SIM_REQUEST_CLOSE, NULL);
}

void sim_client_request_expired(struct sim_client *client, size_t at)
{
    struct sim_request old = client->requests[at];
    client->requests[at] = client->requests[--client->request_count];
    sim_trace_note(client->model->trace, "client %u: no answer to request %d", client->index, old.kind);
    if (client->link_stage != SIM_LINK_UP)
        return;
    switch (old.kind) {
    case SIM_REQUEST_CONNECT: request(client, SIM_REQUEST_CONNECT, NULL); break;
    case SIM_REQUEST_CLOSE: request(client, SIM_REQUEST_CLOSE, NULL); break;
    case SIM_REQUEST_PING: break;
    // Whether it exists is not known: end it, by its inbox (ST-P05).
    case SIM_REQUEST_SUBSCRIBE: sim_client_end_sub(client, old.sub, false); break;
    case SIM_REQUEST_SUB_CLOSE:
    case SIM_REQUEST_UNSUBSCRIBE: request(client, old.kind, old.sub); break;
    }
}

void sim_client_track(struct sim_client *client, struct sim_transit transit)
{
    must(client->transit_count < SIM_CLIENT_LISTED);
    client->transit[client->transit_count++] = transit;
}

// ---- the link

static void on_data(void *owner, struct bytes data, const struct sim_stamp *stamp)
{
    struct sim_client *client = owner;
    struct sim_link *link = client->link;
    must(buffer_append(&client->input, data) == 0);
    struct bytes input = buffer_bytes(&client->input);
    struct wire_op op;
    int result;
    // An operation may end the link, and with it the buffer's content.
    while (client->link == link && (result = parser_next(&client->parser, &input, &op)) > 0) {
        switch (op.kind) {
        case WIRE_INFO: on_info(client); break;
        case WIRE_MSG: on_message(client, &op, stamp); break;
        case WIRE_PING:
            put_line(client, WRITER_PONG);
            flush(client);
            break;
        case WIRE_MINUS_ERR:
            sim_trace_note(client->model->trace, "client %u is told: %.*s", client->index, BYTES_ARG(op.text));
            break;
        default: break;
        }
    }
    if (client->link != link)
        return;
    if (result < 0)
        sim_trace_fail(client->model->trace, "client %u: the server broke the protocol", client->index);
    buffer_consume(&client->input, client->input.len - input.len);
}

static void on_close(void *owner)
{
    struct sim_client *client = owner;
    sim_trace_note(client->model->trace, "client %u: link %" PRIu64 " is gone", client->index, client->link->number);
    // Behind a pause of the node, whether it got that far is not known.
    for (size_t i = 0; i < client->transit_count; i++)
        if (client->transit[i].sequence && client->transit[i].position <= client->link->given_bytes)
            sim_model_ack_maybe(client->transit[i].sub, client->transit[i].sequence);
    client->link = NULL;
    client->link_stage = SIM_LINK_DOWN;
    client->transit_count = 0;
    buffer_clear(&client->input);
    buffer_clear(&client->output);
    client->link_due_ns = client->now_ns + SECOND / 100 + prng_below(client->prng, SECOND);
    // Nobody answers them any more; after the reconnect they are asked again.
    for (size_t i = 0; i < client->request_count; i++)
        client->requests[i].deadline_ns = 0;
}

// CONNECT, all subscriptions again, then what NATS Streaming clients do after a reconnect.
static void on_info(struct sim_client *client)
{
    if (client->link_stage != SIM_LINK_GREETING)
        return;
    client->link_stage = SIM_LINK_UP;
    put_line(
        client,
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"protocol\":1}\r\n");
    put_line(client, "SUB _INBOX.c%u.p%u.* %d\r\n", client->index, client->process, REPLY_SID);
    put_line(client, "SUB _INBOX.c%u.h%u %d\r\n", client->index, client->process, HEARTBEAT_SID);
    for (size_t i = 0; i < client->sub_count; i++) {
        struct sim_sub *sub = client->subs[i];
        if (sub->state != SIM_SUB_OPEN)
            continue;
        put_line(client, "SUB %s %u\r\n", sub->inbox, SUB_SID + sub->id);
        sim_client_track(client, (struct sim_transit){.position = flush(client), .sub = sub});
    }
    put_line(client, WRITER_PING);
    flush(client);
    if (client->stan_stage == SIM_STAN_NONE) {
        client->stan_stage = SIM_STAN_CONNECTING;
        request(client, SIM_REQUEST_CONNECT, NULL);
    } else if (client->stan_stage == SIM_STAN_CONNECTED) {
        request(client, SIM_REQUEST_PING, NULL);
        sim_client_resume(client);
    }
}

static void on_message(struct sim_client *client, const struct wire_op *op, const struct sim_stamp *stamp)
{
    uint64_t sid, token;
    must(number_parse_u64(op->sid, UINT32_MAX, &sid) == 0);
    if (sid == HEARTBEAT_SID) {
        if (op->reply.len) {
            put_line(client, "PUB %.*s 0\r\n\r\n", BYTES_ARG(op->reply));
            flush(client);
        }
    } else if (sid >= SUB_SID) {
        on_delivery(client, (uint32_t)(sid - SUB_SID), op->payload, stamp);
    } else if (op->subject.ptr[op->subject.len - 1] == 'a') {
        on_pub_ack(client, op->payload);
    } else {
        size_t dot = op->subject.len;
        while (dot && op->subject.ptr[dot - 1] != '.')
            dot--;
        if (number_parse_u64(bytes_skip(op->subject, dot), UINT32_MAX, &token) == 0 && !op->has_header)
            on_answer(client, (uint32_t)token, op->payload);
    }
}

static void on_delivery(struct sim_client *client, uint32_t id, struct bytes payload, const struct sim_stamp *stamp)
{
    struct sim_sub *sub = id < client->model->sub_count ? client->model->subs[id] : NULL;
    StanPb__MsgProto *message = stan_pb__msg_proto__unpack(NULL, payload.len, (const uint8_t *)payload.ptr);
    if (!message || !sub) {
        sim_trace_fail(client->model->trace, "client %u: a delivery that does not decode", client->index);
        return;
    }
    struct sim_delivery delivery = {
        .sequence = message->sequence,
        .time_ns = (uint64_t)message->timestamp,
        .redelivery_count = message->redelivery_count,
        .redelivered = message->redelivered,
        .subject = bytes_make(message->subject.data, message->subject.len),
        .data = bytes_make(message->data.data, message->data.len),
        .stamp = *stamp,
    };
    // What arrives for a subscription that we have asked to end is nobody's.
    if (sub->state <= SIM_SUB_OPEN) {
        sim_model_delivered(client->model, sub, &delivery, client->now_ns);
        sim_client_delivered(client, sub, delivery.sequence);
    }
    stan_pb__msg_proto__free_unpacked(message, NULL);
}

static void on_pub_ack(struct sim_client *client, struct bytes payload)
{
    StanPb__PubAck *ack = stan_pb__pub_ack__unpack(NULL, payload.len, (const uint8_t *)payload.ptr);
    unsigned owner, id = 0;
    char guid[32] = {0};
    if (ack && ack->guid.len < sizeof(guid))
        memcpy(guid, ack->guid.data, ack->guid.len);
    if (!ack || sscanf(guid, "guid-%u-%u", &owner, &id) != 2 || owner != client->index ||
        id >= client->model->publish_count) {
        sim_trace_fail(client->model->trace, "client %u: a PubAck for \"%s\"", client->index, guid);
    } else {
        struct bytes error = bytes_make(ack->error.data, ack->error.len);
        sim_trace_note(client->model->trace, "client %u: publish %u is answered: \"%.*s\"", client->index, id,
                       BYTES_ARG(error));
        sim_model_publish_answered(client->model, client->model->publishes[id], error, client->now_ns);
        sim_client_answered(client, client->model->publishes[id]);
    }
    if (ack)
        stan_pb__pub_ack__free_unpacked(ack, NULL);
}

static void on_answer(struct sim_client *client, uint32_t token, struct bytes payload)
{
    size_t at = 0;
    while (at < client->request_count && client->requests[at].token != token)
        at++;
    if (at == client->request_count)
        return;
    struct sim_request answered = client->requests[at];
    client->requests[at] = client->requests[--client->request_count];
    sim_trace_note(client->model->trace, "client %u: request %d is answered, %zu bytes", client->index, answered.kind,
                   payload.len);
    switch (answered.kind) {
    case SIM_REQUEST_CONNECT: on_connected(client, payload); break;
    case SIM_REQUEST_SUBSCRIBE: on_subscribed(client, answered.sub, payload); break;
    case SIM_REQUEST_SUB_CLOSE:
    case SIM_REQUEST_UNSUBSCRIBE: on_sub_ended(client, &answered, payload); break;
    case SIM_REQUEST_PING: on_ping_answer(client, payload); break;
    case SIM_REQUEST_CLOSE:
        // A second request finds the client gone.
        client->stan_stage = SIM_STAN_NONE;
        lost(client);
        if (client->link)
            sim_link_close(client->link);
        client->link = NULL;
        client->link_stage = SIM_LINK_DOWN;
        client->link_due_ns = client->now_ns + prng_below(client->prng, 3 * SECOND);
        break;
    }
}

static void on_connected(struct sim_client *client, struct bytes payload)
{
    StanPb__ConnectResponse *response =
        stan_pb__connect_response__unpack(NULL, payload.len, (const uint8_t *)payload.ptr);
    must(response);
    struct bytes error = bytes_make(response->error.data, response->error.len);
    if (error.len == 0) {
        client->stan_stage = SIM_STAN_CONNECTED;
        if (response->protocol != 1 || response->pub_prefix.len == 0 || response->ping_requests.len == 0)
            sim_trace_fail(client->model->trace, "client %u: a ConnectResponse without its subjects", client->index);
    } else {
        // Our own earlier request may have come through (its connection id is in use), or our dead self still answers.
        sim_trace_note(client->model->trace, "client %u cannot connect: %.*s", client->index, BYTES_ARG(error));
        lost(client);
        if (client->link)
            sim_link_close(client->link);
        client->link = NULL;
        client->link_stage = SIM_LINK_DOWN;
        client->link_due_ns = client->now_ns + SECOND / 2;
    }
    stan_pb__connect_response__free_unpacked(response, NULL);
}

static void on_subscribed(struct sim_client *client, struct sim_sub *sub, struct bytes payload)
{
    StanPb__SubscriptionResponse *response =
        stan_pb__subscription_response__unpack(NULL, payload.len, (const uint8_t *)payload.ptr);
    must(response);
    struct bytes error = bytes_make(response->error.data, response->error.len);
    if (sub->state == SIM_SUB_REQUESTED && error.len == 0) {
        snprintf(sub->ack_inbox, sizeof(sub->ack_inbox), "%.*s", (int)response->ack_inbox.len,
                 (const char *)response->ack_inbox.data);
        sim_model_sub_opened(client->model, sub, client->now_ns);
    } else if (sub->state == SIM_SUB_REQUESTED) {
        sim_trace_note(client->model->trace, "sub %u is refused: %.*s", sub->id, BYTES_ARG(error));
        if (!sim_client_may_refuse(client, error))
            sim_trace_fail(client->model->trace, "sub %u (%s) is refused: %.*s", sub->id, sub->consumer->key,
                           BYTES_ARG(error));
        // Into a log that failed it may have been written all the same: end it, by its inbox.
        if (!bytes_starts_with(error, BYTES("stan: the server's log has failed")) ||
            !sim_client_end_sub(client, sub, false))
            sim_client_forget_sub(client, sub, false, false);
    }
    stan_pb__subscription_response__free_unpacked(response, NULL);
}

static void on_sub_ended(struct sim_client *client, const struct sim_request *ended, struct bytes payload)
{
    StanPb__SubscriptionResponse *response =
        stan_pb__subscription_response__unpack(NULL, payload.len, (const uint8_t *)payload.ptr);
    must(response);
    struct bytes error = bytes_make(response->error.data, response->error.len);
    // A second request finds nothing left. What gives something back works with a full disk as well.
    if (error.len == 0 || bytes_equal(error, BYTES("stan: invalid subscription")))
        sim_client_forget_sub(client, ended->sub, ended->kind == SIM_REQUEST_UNSUBSCRIBE, true);
    else if (sim_client_may_refuse(client, error) &&
             !bytes_starts_with(error, BYTES("stan: the server's disk is full")))
        client->requests[client->request_count++] =
            (struct sim_request){ended->kind, 0, ended->sub, client->now_ns + SECOND / 2}; // again, after a while
    else
        sim_trace_fail(client->model->trace, "end of sub %u is refused: %.*s", ended->sub->id, BYTES_ARG(error));
    stan_pb__subscription_response__free_unpacked(response, NULL);
}

// ST-B29: a client that never closed, and is never silent for long, is known for ever.
static void on_ping_answer(struct sim_client *client, struct bytes payload)
{
    StanPb__PingResponse *response = stan_pb__ping_response__unpack(NULL, payload.len, (const uint8_t *)payload.ptr);
    must(response);
    if (response->error.len && client->stan_stage == SIM_STAN_CONNECTED)
        sim_trace_fail(client->model->trace, "client %u: ping is answered: %.*s", client->index,
                       (int)response->error.len, (const char *)response->error.data);
    stan_pb__ping_response__free_unpacked(response, NULL);
}

// All that a process knows is gone; the next one has new inboxes.
static void lost(struct sim_client *client)
{
    for (size_t i = client->sub_count; i > 0; i--)
        sim_client_forget_sub(client, client->subs[i - 1], false, false);
    for (size_t i = 0; i < client->window_count; i++)
        if (client->window[i]->state == SIM_PUBLISH_OPEN)
            client->window[i]->state = SIM_PUBLISH_UNKNOWN;
    client->window_count = client->late_count = client->transit_count = client->request_count = 0;
    client->stan_stage = SIM_STAN_NONE;
    client->process++;
    buffer_clear(&client->input);
    buffer_clear(&client->output);
}

// ---- sending

static void request(struct sim_client *client, enum sim_request_kind kind, struct sim_sub *sub)
{
    if (client->request_count == SIM_CLIENT_REQUESTS)
        return;
    uint32_t token = ++client->next_token;
    client->requests[client->request_count++] = (struct sim_request){kind, token, sub, client->now_ns + 10 * SECOND};
    char id[24], connection[32], reply[48], inbox[48];
    snprintf(id, sizeof(id), "client-%u", client->index);
    snprintf(connection, sizeof(connection), "conn-%u-%u", client->index, client->process);
    snprintf(reply, sizeof(reply), "_INBOX.c%u.p%u.%u", client->index, client->process, token);
    snprintf(inbox, sizeof(inbox), "_INBOX.c%u.h%u", client->index, client->process);
    if (kind == SIM_REQUEST_CONNECT) {
        StanPb__ConnectRequest message = STAN_PB__CONNECT_REQUEST__INIT;
        message.client_id = field(id);
        message.heartbeat_inbox = field(inbox);
        message.protocol = 1;
        message.conn_id = field(connection);
        message.ping_interval = 5;
        message.ping_max_out = 88;
        pack(client, "_STAN.discover.sim", reply, &message.base);
    } else if (kind == SIM_REQUEST_SUBSCRIBE) {
        const struct sim_sub_request *wanted = &sub->request;
        StanPb__SubscriptionRequest message = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
        message.client_id = field(id);
        message.subject = field(client->model->channels[wanted->channel].name);
        message.q_group = field(wanted->group);
        message.inbox = field(sub->inbox);
        message.max_in_flight = (int32_t)wanted->max_in_flight;
        message.ack_wait_in_secs = (int32_t)(wanted->ack_wait_ns / SECOND);
        message.durable_name = field(wanted->durable);
        message.start_position = (int32_t)wanted->start;
        message.start_sequence = wanted->start_sequence;
        pack(client, "_STAN.sub.sim", reply, &message.base);
    } else if (kind == SIM_REQUEST_SUB_CLOSE || kind == SIM_REQUEST_UNSUBSCRIBE) {
        StanPb__UnsubscribeRequest message = STAN_PB__UNSUBSCRIBE_REQUEST__INIT;
        message.client_id = field(id);
        message.subject = field(client->model->channels[sub->consumer->channel].name);
        message.inbox = field(sub->ack_inbox[0] ? sub->ack_inbox : sub->inbox);
        message.durable_name = field(sub->request.durable);
        pack(client, kind == SIM_REQUEST_SUB_CLOSE ? "_STAN.subclose.sim" : "_STAN.unsub.sim", reply, &message.base);
    } else if (kind == SIM_REQUEST_CLOSE) {
        StanPb__CloseRequest message = STAN_PB__CLOSE_REQUEST__INIT;
        message.client_id = field(id);
        pack(client, "_STAN.close.sim", reply, &message.base);
    } else {
        StanPb__Ping message = STAN_PB__PING__INIT;
        message.conn_id = field(connection);
        pack(client, "_STAN.discover.sim.pings", reply, &message.base);
    }
    flush(client);
}

static void pack(struct sim_client *client, const char *subject, const char *reply, const ProtobufCMessage *message)
{
    struct buffer packed;
    buffer_init(&packed, 1 << 24);
    size_t size = protobuf_c_message_get_packed_size(message);
    char *to = buffer_reserve(&packed, size + 1);
    must(to);
    buffer_commit(&packed, protobuf_c_message_pack(message, (uint8_t *)to));
    publish(client, subject, reply, buffer_bytes(&packed));
    buffer_deinit(&packed);
}

static void publish(struct sim_client *client, const char *subject, const char *reply, struct bytes payload)
{
    put_line(client, "PUB %s %s%s%zu\r\n", subject, reply ? reply : "", reply ? " " : "", payload.len);
    must(buffer_append(&client->output, payload) == 0);
    put_line(client, "\r\n");
}

static uint64_t flush(struct sim_client *client)
{
    uint64_t position = sim_link_send(client->link, buffer_bytes(&client->output));
    buffer_clear(&client->output);
    return position;
}

static void put_line(struct sim_client *client, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    must(length >= 0 && length < (int)sizeof(line));
    must(buffer_append(&client->output, bytes_make(line, (size_t)length)) == 0);
}
