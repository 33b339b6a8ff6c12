// SPDX-License-Identifier: Apache-2.0
// CO-P04, CO-P10: header blocks, read and built.
#include "wire/headers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_bytes(struct bytes got, const char *wanted)
{
    if (!bytes_equal(got, bytes_from_string(wanted)))
        fail_msg("got '%.*s', not '%s'", BYTES_ARG(got), wanted);
}

static void test_first_line(void **state)
{
    struct headers headers;
    assert_int_equal(headers_parse(BYTES("NATS/1.0\r\n\r\n"), &headers), 0);
    assert_int_equal(headers.status, 0);
    assert_int_equal(headers.description.len, 0);
    assert_int_equal(headers.fields.len, 0);
    assert_int_equal(headers_parse(BYTES(HEADERS_NO_RESPONDERS), &headers), 0);
    assert_int_equal(headers.status, HEADERS_STATUS_NO_RESPONDERS);
    assert_int_equal(headers_parse(BYTES("NATS/1.0 100  Flow Control \r\nA: b\r\n\r\n"), &headers), 0);
    assert_int_equal(headers.status, 100);
    assert_bytes(headers.description, "Flow Control");
    assert_bytes(headers.fields, "A: b\r\n");
}

static void test_fields(void **state)
{
    struct headers headers;
    struct headers_field field;
    struct bytes block = BYTES("NATS/1.0\r\nA:1\r\nB-c:  two words \r\nA:\r\nd: x:y\r\n\r\n");
    static const char *const WANTED[][2] = {{"A", "1"}, {"B-c", "two words"}, {"A", ""}, {"d", "x:y"}};
    assert_int_equal(headers_parse(block, &headers), 0);
    for (size_t i = 0; i < COUNT(WANTED); i++) {
        assert_true(headers_next(&headers.fields, &field));
        assert_bytes(field.name, WANTED[i][0]);
        assert_bytes(field.value, WANTED[i][1]);
    }
    assert_false(headers_next(&headers.fields, &field));
}

static void test_find_is_exact_and_first(void **state)
{
    struct bytes block = BYTES("NATS/1.0\r\nnats-msg-id: no\r\nNats-Msg-Id: 7\r\nNats-Msg-Id: 8\r\n\r\n"), value;
    assert_int_equal(headers_find(block, BYTES("Nats-Msg-Id"), &value), 0);
    assert_bytes(value, "7");
    assert_int_equal(headers_find(block, BYTES("Nats-Msg"), &value), ERR_NOT_FOUND);
    assert_int_equal(headers_find(BYTES(""), BYTES("A"), &value), ERR_NOT_FOUND);
    assert_int_equal(headers_find(BYTES("NATS/1.0 A: b"), BYTES("A"), &value), ERR_NOT_FOUND);
}

static const char *const DAMAGED[] = {
    "",
    "NATS/1.0",
    "NATS/1.0\r\n",
    "NATS/1.1\r\n\r\n",
    "nats/1.0\r\n\r\n",
    "NATS/1.0503\r\n\r\n",
    "NATS/1.0 abc\r\n\r\n",
    "NATS/1.0 1234567\r\n\r\n",
    "NATS/1.0\n\n",
    "NATS/1.0\r\nA: b\r\n",
    "NATS/1.0\r\nA: b\n\r\n",
    "NATS/1.0\r\nno colon\r\n\r\n",
    "NATS/1.0\r\n: no name\r\n\r\n",
    "NATS/1.0\r\nA b: blank in name\r\n\r\n",
    "NATS/1.0\r\nA: b\r\n\r\nmore",
    "NATS/1.0\r\nA: b\r\n\r\n\r\n",
    "NATS/1.0\r\n\r\nA: b\r\n\r\n",
};

static void test_damaged_blocks(void **state)
{
    for (size_t i = 0; i < COUNT(DAMAGED); i++) {
        struct headers headers;
        if (headers_parse(bytes_from_string(DAMAGED[i]), &headers) != ERR_INVALID)
            fail_msg("'%s' passes", DAMAGED[i]);
    }
}

static void test_builds(void **state)
{
    char memory[128];
    struct headers_builder builder;
    struct bytes block;
    headers_begin(&builder, memory, sizeof(memory), 503, BYTES("No Responders"));
    headers_add(&builder, BYTES("Nats-Subject"), BYTES("foo.bar"));
    headers_add(&builder, BYTES("Empty"), BYTES(""));
    assert_int_equal(headers_end(&builder, &block), 0);
    assert_bytes(block, "NATS/1.0 503 No Responders\r\nNats-Subject: foo.bar\r\nEmpty: \r\n\r\n");
    headers_begin(&builder, memory, sizeof(memory), 0, BYTES(""));
    assert_int_equal(headers_end(&builder, &block), 0);
    assert_bytes(block, "NATS/1.0\r\n\r\n");
}

static void test_build_refuses(void **state)
{
    char memory[24];
    struct headers_builder builder;
    struct bytes block;
    for (size_t size = 0; size < 19; size++) {
        headers_begin(&builder, memory, size, 0, BYTES(""));
        headers_add(&builder, BYTES("A"), BYTES("bcd"));
        assert_int_equal(headers_end(&builder, &block), ERR_TOO_BIG);
    }
    headers_begin(&builder, memory, 20, 0, BYTES(""));
    headers_add(&builder, BYTES("A"), BYTES("bcd"));
    assert_int_equal(headers_end(&builder, &block), 0);
    headers_begin(&builder, memory, sizeof(memory), 0, BYTES(""));
    headers_add(&builder, BYTES("A"), BYTES("b\r\nC"));
    assert_int_equal(headers_end(&builder, &block), ERR_INVALID);
    headers_begin(&builder, memory, sizeof(memory), 0, BYTES(""));
    headers_add(&builder, BYTES("A:"), BYTES("b"));
    assert_int_equal(headers_end(&builder, &block), ERR_INVALID);
    headers_begin(&builder, memory, sizeof(memory), 0, BYTES("description"));
    assert_int_equal(headers_end(&builder, &block), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_line),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_find_is_exact_and_first),
        cmocka_unit_test(test_damaged_blocks),
        cmocka_unit_test(test_builds),
        cmocka_unit_test(test_build_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
