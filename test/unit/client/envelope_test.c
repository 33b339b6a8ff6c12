// SPDX-License-Identifier: Apache-2.0
// The hand-written messages of the client beside protobuf-c's: ST-M01 PubMsg, ST-M02 PubAck, ST-M03 MsgProto, ST-M04 Ack.
#include "client/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "stan/stan.pb-c.h"

static struct weir_bytes text(const char *words)
{
    return (struct weir_bytes){words, strlen(words)};
}

static void assert_field(ProtobufCBinaryData field, struct weir_bytes wanted)
{
    assert_int_equal(field.len, wanted.len);
    if (wanted.len)
        assert_memory_equal(field.data, wanted.ptr, wanted.len);
}

static void publishes_are_read_by_protobuf_c(void **state)
{
    static char big[70000];
    memset(big, 'x', sizeof(big));
    const struct weir_envelope_publish cases[] = {
        {text("c"), text("id"), text("jobs"), text(""), text("payload"), text("conn")},
        {text("client-1"), text("i"), text("a.b.c"), text("reply.to"), {big, 127}, text("x")},
        {text("client-1"), text("i"), text("a.b.c"), text("reply.to"), {big, 128}, text("x")},
        {text("client-1"), text("i"), text("a.b.c"), text("reply.to"), {big, sizeof(big)}, text("x")},
        {text("c"), text("id"), text("jobs"), text(""), text(""), text("conn")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct weir_envelope_publish *publish = &cases[i];
        size_t size = weir_envelope_publish_size(publish);
        char *bytes = malloc(size);
        weir_envelope_publish_encode(bytes, publish);
        StanPb__PubMsg *message = stan_pb__pub_msg__unpack(NULL, size, (const uint8_t *)bytes);
        assert_non_null(message);
        assert_int_equal(stan_pb__pub_msg__get_packed_size(message), size);
        assert_field(message->client_id, publish->client_id);
        assert_field(message->guid, publish->id);
        assert_field(message->subject, publish->channel);
        assert_field(message->reply, publish->reply);
        assert_field(message->data, publish->data);
        assert_field(message->conn_id, publish->connection_id);
        stan_pb__pub_msg__free_unpacked(message, NULL);
        free(bytes);
    }
}

static void acks_are_read_by_protobuf_c(void **state)
{
    const uint64_t sequences[] = {1, 127, 128, 1U << 31, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
        char bytes[64];
        size_t size = weir_envelope_ack_encode(bytes, text("jobs"), sequences[i]);
        assert_true(size <= weir_envelope_ack_size(4));
        StanPb__Ack *ack = stan_pb__ack__unpack(NULL, size, (const uint8_t *)bytes);
        assert_non_null(ack);
        assert_int_equal(ack->sequence, sequences[i]);
        assert_field(ack->subject, text("jobs"));
        stan_pb__ack__free_unpacked(ack, NULL);
    }
}

static ProtobufCBinaryData field(const char *words)
{
    return (ProtobufCBinaryData){strlen(words), (uint8_t *)(uintptr_t)words};
}

static void answers_of_protobuf_c_are_read(void **state)
{
    StanPb__PubAck message = STAN_PB__PUB_ACK__INIT;
    uint8_t bytes[128];
    struct weir_envelope_answer answer;
    (void)state;
    message.guid = field("guid");
    size_t size = stan_pb__pub_ack__pack(&message, bytes);
    assert_int_equal(weir_envelope_answer_decode((struct weir_bytes){(char *)bytes, size}, &answer), 0);
    assert_int_equal(answer.error.len, 0);
    assert_memory_equal(answer.id.ptr, "guid", 4);
    message.error = field("stan: no");
    size = stan_pb__pub_ack__pack(&message, bytes);
    assert_int_equal(weir_envelope_answer_decode((struct weir_bytes){(char *)bytes, size}, &answer), 0);
    assert_int_equal(answer.error.len, 8);
}

static size_t pack_delivery(uint8_t *bytes)
{
    StanPb__MsgProto message = STAN_PB__MSG_PROTO__INIT;
    message.sequence = 300;
    message.subject = field("jobs");
    message.reply = field("reply");
    message.data = field("some data");
    message.timestamp = INT64_C(1700000000123456789);
    message.redelivered = true;
    message.redelivery_count = 200;
    message.crc32 = 7;
    return stan_pb__msg_proto__pack(&message, bytes);
}

static void deliveries_of_protobuf_c_are_read(void **state)
{
    uint8_t bytes[128];
    struct weir_envelope_delivery delivery;
    (void)state;
    size_t size = pack_delivery(bytes);
    assert_int_equal(weir_envelope_delivery_decode((struct weir_bytes){(char *)bytes, size}, &delivery), 0);
    assert_int_equal(delivery.sequence, 300);
    assert_int_equal(delivery.time_ns, INT64_C(1700000000123456789));
    assert_true(delivery.redelivered);
    assert_int_equal(delivery.redeliveries, 200);
    assert_int_equal(delivery.data.len, 9);
    assert_memory_equal(delivery.data.ptr, "some data", 9);
    assert_memory_equal(delivery.reply.ptr, "reply", 5);
}

// Each prefix, and each byte made wrong, is read or refused; never past the end (the sanitizers look at that).
static void what_is_cut_off_or_wrong_does_no_harm(void **state)
{
    uint8_t bytes[128];
    struct weir_envelope_delivery delivery;
    struct weir_envelope_answer answer;
    size_t size = pack_delivery(bytes), refused = 0;
    (void)state;
    for (size_t len = 0; len <= size; len++) {
        char *exact = malloc(len + 1);
        memcpy(exact, bytes, len);
        refused += weir_envelope_delivery_decode((struct weir_bytes){exact, len}, &delivery) != 0;
        for (size_t i = 0; i < len; i++) {
            exact[i] ^= (char)0x85;
            (void)!weir_envelope_delivery_decode((struct weir_bytes){exact, len}, &delivery);
            (void)!weir_envelope_answer_decode((struct weir_bytes){exact, len}, &answer);
            exact[i] ^= (char)0x85;
        }
        free(exact);
    }
    assert_true(refused > size / 2);
    static const char endless[12] = {(char)0xff, (char)0xff, (char)0xff, (char)0xff, (char)0xff, (char)0xff,
                                     (char)0xff, (char)0xff, (char)0xff, (char)0xff, (char)0xff, 1};
    assert_int_equal(weir_envelope_delivery_decode((struct weir_bytes){endless, sizeof(endless)}, &delivery),
                     WEIR_ERR_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishes_are_read_by_protobuf_c),      cmocka_unit_test(acks_are_read_by_protobuf_c),
        cmocka_unit_test(answers_of_protobuf_c_are_read),        cmocka_unit_test(deliveries_of_protobuf_c_are_read),
        cmocka_unit_test(what_is_cut_off_or_wrong_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
