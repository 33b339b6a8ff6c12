// SPDX-License-Identifier: Apache-2.0
// The hand-written messages beside protobuf-c's: ST-M01 PubMsg, ST-M02 PubAck, ST-M03 MsgProto, ST-M04 Ack.
#include "stan/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "stan.pb-c.h"

static ProtobufCBinaryData field(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

static void assert_field(struct bytes ours, ProtobufCBinaryData theirs)
{
    assert_int_equal(ours.len, theirs.len);
    if (ours.len)
        assert_memory_equal(ours.ptr, theirs.data, ours.len);
}

static void pub_msg_in_place(void **state)
{
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = field("client-1");
    message.guid = field("guid.42");
    message.subject = field("orders");
    message.reply = field("reply.to");
    message.data = field("payload");
    message.conn_id = field("conn");
    message.sha256 = field("ignored");
    uint8_t wire[256];
    size_t len = stan_pb__pub_msg__pack(&message, wire);
    struct envelope_publish publish;
    assert_int_equal(envelope_publish_decode(bytes_make(wire, len), &publish), 0);
    assert_field(publish.client_id, message.client_id);
    assert_field(publish.guid, message.guid);
    assert_field(publish.subject, message.subject);
    assert_field(publish.reply, message.reply);
    assert_field(publish.data, message.data);
    assert_field(publish.connection_id, message.conn_id);
    for (size_t cut = 0; cut < len; cut++) { // cut anywhere: an error, or a whole number of fields
        int error = envelope_publish_decode(bytes_make(wire, cut), &publish);
        StanPb__PubMsg *theirs = stan_pb__pub_msg__unpack(NULL, cut, wire);
        assert_int_equal(error == 0, theirs != NULL);
        if (theirs)
            stan_pb__pub_msg__free_unpacked(theirs, NULL);
    }
}

static void unknown_fields_are_skipped(void **state)
{
    const char wire[] = "\x0a\x01"
                        "c"                // client id
                        "\xa0\x06\x96\x01" // field 100, varint
                        "\xa1\x06"
                        "12345678"        // field 100, eight bytes
                        "\xa2\x06\x03xyz" // field 100, bytes
                        "\xa5\x06"
                        "1234"       // field 100, four bytes
                        "\x12\x01g"; // guid
    struct envelope_publish publish;
    assert_int_equal(envelope_publish_decode(bytes_make(wire, sizeof(wire) - 1), &publish), 0);
    assert_true(bytes_equal(publish.client_id, BYTES("c")));
    assert_true(bytes_equal(publish.guid, BYTES("g")));
}

static void refuses(struct bytes wire)
{
    struct envelope_publish publish;
    assert_int_equal(envelope_publish_decode(wire, &publish), ERR_PROTOCOL);
}

static void malformed_is_refused(void **state)
{
    refuses(BYTES("\x08\x01")); // client id as a number
    refuses(BYTES("\x0a\x05"
                  "abc"));                                          // a length past the end
    refuses(BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")); // 2^64-1 bytes
    refuses(BYTES("\x0b\x0c"));                                     // a group
    refuses(BYTES("\x02\x00"));                                     // field 0
    refuses(BYTES("\x0e"));                                         // wire type 6
    refuses(BYTES("\xa1\x06"
                  "1234567")); // seven of eight bytes
    struct envelope_ack ack;
    assert_int_equal(envelope_ack_decode(BYTES("\x12\x01x"), &ack), ERR_PROTOCOL); // sequence as bytes
}

static void ack_in_place(void **state)
{
    StanPb__Ack message = STAN_PB__ACK__INIT;
    message.subject = field("orders");
    message.sequence = UINT64_MAX;
    uint8_t wire[64];
    size_t len = stan_pb__ack__pack(&message, wire);
    struct envelope_ack ack;
    assert_int_equal(envelope_ack_decode(bytes_make(wire, len), &ack), 0);
    assert_field(ack.subject, message.subject);
    assert_true(ack.sequence == UINT64_MAX);
}

static void pub_ack_as_protobuf_reads_it(void **state)
{
    char wire[128];
    size_t len = envelope_pub_ack_encode(wire, BYTES("guid"), BYTES("stan: no"));
    assert_true(len <= envelope_pub_ack_size(4, 8));
    StanPb__PubAck *ack = stan_pb__pub_ack__unpack(NULL, len, (uint8_t *)wire);
    assert_non_null(ack);
    assert_field(BYTES("guid"), ack->guid);
    assert_field(BYTES("stan: no"), ack->error);
    stan_pb__pub_ack__free_unpacked(ack, NULL);
}

static void msg_proto_as_protobuf_reads_it(void **state)
{
    struct prng prng;
    prng_seed(&prng, 3);
    for (int i = 0; i < 500; i++) {
        char data[600], wire[2000];
        struct envelope_delivery delivery = {
            .sequence = prng_next(&prng) >> prng_below(&prng, 64),
            .subject = BYTES("training.jobs"),
            .reply = i % 2 ? BYTES("re") : BYTES(""),
            .data_len = prng_below(&prng, sizeof(data)),
            .time_ns = prng_next(&prng) >> 1,
            .redelivery_count = i % 3 ? (uint32_t)prng_below(&prng, 1000) : 0,
        };
        memset(data, i, sizeof(data));
        size_t head = envelope_head_encode(wire, &delivery);
        assert_true(head <= envelope_head_size(&delivery));
        memcpy(wire + head, data, delivery.data_len);
        size_t tail = envelope_tail_encode(wire + head + delivery.data_len, &delivery);
        assert_true(tail <= ENVELOPE_TAIL_MAX);
        StanPb__MsgProto *read = stan_pb__msg_proto__unpack(NULL, head + delivery.data_len + tail, (uint8_t *)wire);
        assert_non_null(read);
        assert_true(read->sequence == delivery.sequence);
        assert_field(delivery.subject, read->subject);
        assert_field(delivery.reply, read->reply);
        assert_field(bytes_make(data, delivery.data_len), read->data);
        assert_true((uint64_t)read->timestamp == delivery.time_ns);
        assert_int_equal(read->redelivered, delivery.redelivery_count > 0);
        assert_int_equal(read->redelivery_count, delivery.redelivery_count);
        stan_pb__msg_proto__free_unpacked(read, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pub_msg_in_place),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(malformed_is_refused),
        cmocka_unit_test(ack_in_place),
        cmocka_unit_test(pub_ack_as_protobuf_reads_it),
        cmocka_unit_test(msg_proto_as_protobuf_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
