// SPDX-License-Identifier: Apache-2.0
// The hand-written decoders beside protobuf-c's over the same bytes: both take them, with the same fields, or both refuse.
// (Where protobuf-c is looser or stricter by its own limits, the comment at the check says so.)
#include "base/must.h"
#include "stan.pb-c.h"
#include "stan/envelope.h"
#include "stan/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(struct bytes ours, ProtobufCBinaryData theirs)
{
    must(ours.len == theirs.len && (ours.len == 0 || memcmp(ours.ptr, theirs.data, ours.len) == 0));
}

static void publish(const uint8_t *data, size_t size)
{
    struct envelope_publish ours;
    int error = envelope_publish_decode(bytes_make(data, size), &ours);
    StanPb__PubMsg *theirs = stan_pb__pub_msg__unpack(NULL, size, data);
    must(error || theirs); // what we take, protobuf-c takes
    if (theirs && !error) {
        same(ours.client_id, theirs->client_id);
        same(ours.guid, theirs->guid);
        same(ours.subject, theirs->subject);
        same(ours.reply, theirs->reply);
        same(ours.data, theirs->data);
        same(ours.connection_id, theirs->conn_id);
    }
    if (theirs)
        stan_pb__pub_msg__free_unpacked(theirs, NULL);
}

static void ack(const uint8_t *data, size_t size)
{
    struct envelope_ack ours;
    int error = envelope_ack_decode(bytes_make(data, size), &ours);
    StanPb__Ack *theirs = stan_pb__ack__unpack(NULL, size, data);
    must(error || theirs);
    if (theirs && !error) {
        same(ours.subject, theirs->subject);
        must(ours.sequence == theirs->sequence);
    }
    if (theirs)
        stan_pb__ack__free_unpacked(theirs, NULL);
}

// What is a verdict stays in its bounds, and no Ack of a client's (they begin with the channel or the sequence) is taken for one.
static void verdict(const uint8_t *data, size_t size)
{
    struct verdict ours;
    struct bytes payload = bytes_make(data, size);
    int error = verdict_decode(payload, &ours);
    must(error == 0 || error == ERR_INVALID || error == ERR_NOT_FOUND);
    must(error == ERR_NOT_FOUND || (data[0] != 0x0a && data[0] != 0x10));
    if (error == 0 && ours.reason.len)
        must(ours.reason.ptr >= payload.ptr && ours.reason.ptr + ours.reason.len == payload.ptr + size);
}

// A decoded publish, encoded by us as a delivery and as an answer, comes back through protobuf-c.
static void encoders(const uint8_t *data, size_t size)
{
    struct envelope_publish from;
    static char wire[1 << 20];
    if (envelope_publish_decode(bytes_make(data, size), &from) || 4 * size + 200 > sizeof(wire))
        return;
    struct envelope_delivery delivery = {.sequence = size,
                                         .subject = from.subject,
                                         .reply = from.reply,
                                         .data_len = from.data.len,
                                         .time_ns = size << 20,
                                         .redelivery_count = (uint32_t)size & 3};
    size_t at = envelope_head_encode(wire, &delivery);
    if (from.data.len)
        memcpy(wire + at, from.data.ptr, from.data.len);
    at += from.data.len;
    at += envelope_tail_encode(wire + at, &delivery);
    StanPb__MsgProto *message = stan_pb__msg_proto__unpack(NULL, at, (uint8_t *)wire);
    must(message);
    same(from.data, message->data);
    same(from.subject, message->subject);
    same(from.reply, message->reply);
    must(message->redelivery_count == delivery.redelivery_count && message->sequence == size);
    stan_pb__msg_proto__free_unpacked(message, NULL);
    at = envelope_pub_ack_encode(wire, from.guid, from.reply);
    StanPb__PubAck *answer = stan_pb__pub_ack__unpack(NULL, at, (uint8_t *)wire);
    must(answer);
    same(from.guid, answer->guid);
    same(from.reply, answer->error);
    stan_pb__pub_ack__free_unpacked(answer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    publish(data, size);
    ack(data, size);
    verdict(data, size);
    encoders(data, size);
    return 0;
}
