// SPDX-License-Identifier: Apache-2.0
#include "client/request.h"

#include "stan/stan.pb-c.h"

#include <stdlib.h>

enum { PROTOCOL = 1, SMALL = 512 };

static ProtobufCBinaryData data_of(const char *text);
static int ask(natsConnection *nc, const char *subject, const ProtobufCMessage *message, int64_t timeout_ms,
               const char *what, natsMsg **ret_answer, struct weir_error *ret_error);
static natsStatus say(natsConnection *nc, const char *subject, const char *reply, const ProtobufCMessage *message);
static char *copy(ProtobufCBinaryData data);
static int refusal(ProtobufCBinaryData error, struct weir_error *ret_error);
static int unreadable(const char *what, struct weir_error *ret_error);

int weir_request_connect(natsConnection *nc, const struct weir_request_connect *request, int64_t timeout_ms,
                         struct weir_request_subjects *ret_subjects, struct weir_error *ret_error)
{
    StanPb__ConnectRequest message = STAN_PB__CONNECT_REQUEST__INIT;
    natsMsg *answer = NULL;
    message.client_id = data_of(request->client_id);
    message.conn_id = data_of(request->connection_id);
    message.heartbeat_inbox = data_of(request->heartbeat_inbox);
    message.protocol = PROTOCOL;
    message.ping_interval = request->ping_interval_s;
    message.ping_max_out = request->ping_max_out;
    int error = ask(nc, request->subject, &message.base, timeout_ms, "connecting", &answer, ret_error);
    if (error)
        return error;
    StanPb__ConnectResponse *response = stan_pb__connect_response__unpack(NULL, (size_t)natsMsg_GetDataLength(answer),
                                                                          (const uint8_t *)natsMsg_GetData(answer));
    natsMsg_Destroy(answer);
    if (!response)
        return unreadable("connecting", ret_error);
    if (response->error.len > 0) {
        error = refusal(response->error, ret_error);
    } else {
        struct weir_request_subjects subjects = {
            copy(response->pub_prefix),         copy(response->sub_requests),   copy(response->unsub_requests),
            copy(response->sub_close_requests), copy(response->close_requests), copy(response->ping_requests),
        };
        *ret_subjects = subjects;
        if (!subjects.publish_prefix || !subjects.subscribe || !subjects.unsubscribe || !subjects.close_sub ||
            !subjects.close || !subjects.ping) {
            weir_request_subjects_deinit(ret_subjects);
            error = weir_error_set(ret_error, WEIR_ERR_MEMORY, "connecting: out of memory");
        }
    }
    stan_pb__connect_response__free_unpacked(response, NULL);
    return error;
}

void weir_request_subjects_deinit(struct weir_request_subjects *subjects)
{
    char **const texts[] = {&subjects->publish_prefix, &subjects->subscribe, &subjects->unsubscribe,
                            &subjects->close_sub,      &subjects->close,     &subjects->ping};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
}

int weir_request_subscribe(natsConnection *nc, const char *subject, const struct weir_request_subscribe *request,
                           int64_t timeout_ms, char **ret_ack_inbox, struct weir_error *ret_error)
{
    StanPb__SubscriptionRequest message = STAN_PB__SUBSCRIPTION_REQUEST__INIT;
    natsMsg *answer = NULL;
    message.client_id = data_of(request->client_id);
    message.subject = data_of(request->channel);
    message.q_group = data_of(request->group);
    message.inbox = data_of(request->inbox);
    message.durable_name = data_of(request->durable);
    message.max_in_flight = request->max_in_flight;
    message.ack_wait_in_secs = request->ack_wait_s;
    message.start_position = (int32_t)request->start;
    message.start_sequence = request->start_sequence;
    message.start_time_delta = request->start_ago_ns;
    int error = ask(nc, subject, &message.base, timeout_ms, "subscribing", &answer, ret_error);
    if (error)
        return error;
    StanPb__SubscriptionResponse *response = stan_pb__subscription_response__unpack(
        NULL, (size_t)natsMsg_GetDataLength(answer), (const uint8_t *)natsMsg_GetData(answer));
    natsMsg_Destroy(answer);
    if (!response)
        return unreadable("subscribing", ret_error);
    if (response->error.len > 0)
        error = refusal(response->error, ret_error);
    else if (!(*ret_ack_inbox = copy(response->ack_inbox)))
        error = weir_error_set(ret_error, WEIR_ERR_MEMORY, "subscribing: out of memory");
    stan_pb__subscription_response__free_unpacked(response, NULL);
    return error;
}

int weir_request_end_sub(natsConnection *nc, const char *subject, const char *client_id, const char *channel,
                         const char *ack_inbox, const char *durable, int64_t timeout_ms, struct weir_error *ret_error)
{
    StanPb__UnsubscribeRequest message = STAN_PB__UNSUBSCRIBE_REQUEST__INIT;
    natsMsg *answer = NULL;
    message.client_id = data_of(client_id);
    message.subject = data_of(channel);
    message.inbox = data_of(ack_inbox);
    message.durable_name = data_of(durable);
    if (timeout_ms == 0) {
        natsStatus status = say(nc, subject, NULL, &message.base);
        return status == NATS_OK ? 0 : weir_error_nats(ret_error, status, "ending a subscription");
    }
    int error = ask(nc, subject, &message.base, timeout_ms, "ending a subscription", &answer, ret_error);
    if (error)
        return error;
    StanPb__SubscriptionResponse *response = stan_pb__subscription_response__unpack(
        NULL, (size_t)natsMsg_GetDataLength(answer), (const uint8_t *)natsMsg_GetData(answer));
    natsMsg_Destroy(answer);
    if (!response)
        return unreadable("ending a subscription", ret_error);
    if (response->error.len > 0)
        error = refusal(response->error, ret_error);
    stan_pb__subscription_response__free_unpacked(response, NULL);
    return error;
}

int weir_request_close(natsConnection *nc, const char *subject, const char *client_id, int64_t timeout_ms,
                       struct weir_error *ret_error)
{
    StanPb__CloseRequest message = STAN_PB__CLOSE_REQUEST__INIT;
    natsMsg *answer = NULL;
    message.client_id = data_of(client_id);
    int error = ask(nc, subject, &message.base, timeout_ms, "closing", &answer, ret_error);
    if (error)
        return error;
    StanPb__CloseResponse *response = stan_pb__close_response__unpack(NULL, (size_t)natsMsg_GetDataLength(answer),
                                                                      (const uint8_t *)natsMsg_GetData(answer));
    natsMsg_Destroy(answer);
    if (!response)
        return unreadable("closing", ret_error);
    if (response->error.len > 0)
        error = refusal(response->error, ret_error);
    stan_pb__close_response__free_unpacked(response, NULL);
    return error;
}

natsStatus weir_request_ping(natsConnection *nc, const char *subject, const char *reply, const char *connection_id)
{
    StanPb__Ping message = STAN_PB__PING__INIT;
    message.conn_id = data_of(connection_id);
    return say(nc, subject, reply, &message.base);
}

char *weir_request_ping_error(const char *answer, size_t answer_len)
{
    StanPb__PingResponse *response = stan_pb__ping_response__unpack(NULL, answer_len, (const uint8_t *)answer);
    char *text = copy(response ? response->error : (ProtobufCBinaryData){0});
    if (response)
        stan_pb__ping_response__free_unpacked(response, NULL);
    return text;
}

static ProtobufCBinaryData data_of(const char *text)
{
    return (ProtobufCBinaryData){.len = text ? strlen(text) : 0, .data = (uint8_t *)(uintptr_t)text};
}

// Packs a message into `small`, or into memory that the caller frees if it is too big for that; NULL: out of memory.
static uint8_t *pack(const ProtobufCMessage *message, uint8_t small[SMALL], size_t *ret_size)
{
    *ret_size = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = *ret_size <= SMALL ? small : malloc(*ret_size);
    if (bytes)
        protobuf_c_message_pack(message, bytes);
    return bytes;
}

static int ask(natsConnection *nc, const char *subject, const ProtobufCMessage *message, int64_t timeout_ms,
               const char *what, natsMsg **ret_answer, struct weir_error *ret_error)
{
    uint8_t small[SMALL];
    size_t size;
    uint8_t *bytes = pack(message, small, &size);
    if (!bytes)
        return weir_error_set(ret_error, WEIR_ERR_MEMORY, "%s: out of memory", what);
    natsStatus status = natsConnection_Request(ret_answer, nc, subject, bytes, (int)size, timeout_ms);
    if (bytes != small)
        free(bytes);
    if (status == NATS_OK)
        return 0;
    if (status == NATS_NO_RESPONDERS)
        return weir_error_set(ret_error, WEIR_ERR_NO_CLUSTER, "%s: nobody listens at %s (is the cluster id right?)",
                              what, subject);
    return weir_error_nats(ret_error, status, what);
}

static natsStatus say(natsConnection *nc, const char *subject, const char *reply, const ProtobufCMessage *message)
{
    uint8_t small[SMALL];
    size_t size;
    uint8_t *bytes = pack(message, small, &size);
    if (!bytes)
        return NATS_NO_MEMORY;
    natsStatus status = reply ? natsConnection_PublishRequest(nc, subject, reply, bytes, (int)size)
                              : natsConnection_Publish(nc, subject, bytes, (int)size);
    if (bytes != small)
        free(bytes);
    return status;
}

static char *copy(ProtobufCBinaryData data)
{
    return strndup(data.len > 0 ? (const char *)data.data : "", data.len);
}

static int refusal(ProtobufCBinaryData error, struct weir_error *ret_error)
{
    return weir_error_set(ret_error, WEIR_ERR_REFUSED, "%.*s", (int)error.len, (const char *)error.data);
}

static int unreadable(const char *what, struct weir_error *ret_error)
{
    return weir_error_set(ret_error, WEIR_ERR_PROTOCOL, "%s: the answer cannot be read", what);
}
