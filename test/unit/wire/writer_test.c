// SPDX-License-Identifier: Apache-2.0
// CO-P03, P05, P06, P14: each line as it goes over the wire, within the room its companion names.
#include "wire/writer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "wire/parser.h"

static const struct bytes NONE = {NULL, 0};

static void assert_line(const char *start, const char *end, const char *wanted)
{
    if (!bytes_equal(bytes_make(start, (size_t)(end - start)), bytes_from_string(wanted)))
        fail_msg("got '%.*s', not '%s'", (int)(end - start), start, wanted);
}

static void test_deliveries(void **state)
{
    char line[128];
    assert_line(line, writer_msg(line, BYTES("foo"), BYTES("1"), NONE, false, 0, 0), "MSG foo 1 0\r\n");
    assert_line(line, writer_msg(line, BYTES("foo"), BYTES("1"), BYTES("re"), false, 0, 10), "MSG foo 1 re 10\r\n");
    assert_line(line, writer_msg(line, BYTES("foo"), BYTES("1"), NONE, true, 12, 5), "HMSG foo 1 12 17\r\n");
    assert_line(line, writer_msg(line, BYTES("foo"), BYTES("1"), BYTES("re"), true, 12, 0), "HMSG foo 1 re 12 12\r\n");
}

static void test_numbers(void **state)
{
    char digits[WRITER_NUMBER_LEN_MAX];
    assert_line(digits, writer_number(digits, 0), "0");
    assert_line(digits, writer_number(digits, 9), "9");
    assert_line(digits, writer_number(digits, 10), "10");
    assert_line(digits, writer_number(digits, 1048576), "1048576");
    assert_line(digits, writer_number(digits, UINT64_MAX), "18446744073709551615");
}

static void test_room(void **state)
{
    char line[256];
    char *end = writer_msg(line, BYTES("s"), BYTES("1"), BYTES("reply"), true, SIZE_MAX / 2, SIZE_MAX / 2);
    assert_true((size_t)(end - line) <= writer_msg_len_max(1, 1, 5));
    end = writer_hpub(line, BYTES("s"), BYTES("reply"), SIZE_MAX / 2, SIZE_MAX / 2);
    assert_true(end - line <= WRITER_LINE_LEN_MAX(6));
    end = writer_sub(line, BYTES("s"), BYTES("q"), UINT64_MAX);
    assert_true(end - line <= WRITER_LINE_LEN_MAX(2));
    end = writer_unsub(line, UINT64_MAX, UINT64_MAX);
    assert_true(end - line <= WRITER_LINE_LEN_MAX(0));
}

static void test_client_side(void **state)
{
    char line[128];
    assert_line(line, writer_pub(line, BYTES("foo"), NONE, 5), "PUB foo 5\r\n");
    assert_line(line, writer_pub(line, BYTES("foo"), BYTES("re"), 5), "PUB foo re 5\r\n");
    assert_line(line, writer_hpub(line, BYTES("foo"), NONE, 12, 5), "HPUB foo 12 17\r\n");
    assert_line(line, writer_hpub(line, BYTES("foo"), BYTES("re"), 12, 5), "HPUB foo re 12 17\r\n");
    assert_line(line, writer_sub(line, BYTES("foo.>"), NONE, 1), "SUB foo.> 1\r\n");
    assert_line(line, writer_sub(line, BYTES("foo"), BYTES("q"), 12), "SUB foo q 12\r\n");
    assert_line(line, writer_unsub(line, 1, 0), "UNSUB 1\r\n");
    assert_line(line, writer_unsub(line, 1, 5), "UNSUB 1 5\r\n");
}

static void test_errors(void **state)
{
    char line[WRITER_ERROR_LEN_MAX];
    assert_line(line, writer_error(line, WIRE_UNKNOWN_OPERATION, NONE), "-ERR 'Unknown Protocol Operation'\r\n");
    assert_line(line, writer_error(line, WIRE_SLOW_CONSUMER, BYTES("ignored")), "-ERR 'Slow Consumer'\r\n");
    assert_line(line, writer_error(line, WIRE_PUBLISH_PERMISSION, BYTES("a.b")),
                "-ERR 'Permissions Violation for Publish to \"a.b\"'\r\n");
    assert_line(line, writer_error(line, WIRE_SUBSCRIBE_PERMISSION, BYTES("a\r\nb")),
                "-ERR 'Permissions Violation for Subscription to \"a??b\"'\r\n");
}

// However long the detail, the line fits and stays one line that a client can read.
static void test_long_detail_is_cut(void **state)
{
    char line[WRITER_ERROR_LEN_MAX], detail[5000];
    struct parser parser;
    struct wire_op op;
    memset(detail, 'x', sizeof(detail));
    for (int error = WIRE_OK + 1; error < WIRE_ERROR_COUNT; error++) {
        char *end = writer_error(line, (enum wire_error)error, bytes_make(detail, sizeof(detail)));
        assert_true(end <= line + sizeof(line));
        struct bytes input = bytes_make(line, (size_t)(end - line));
        parser_init(&parser, PARSER_CLIENT, NULL);
        assert_int_equal(parser_next(&parser, &input, &op), 1);
        assert_int_equal(op.kind, WIRE_MINUS_ERR);
        assert_true(bytes_starts_with(op.text, bytes_from_string(wire_error_text((enum wire_error)error))));
        assert_int_equal(input.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deliveries),  cmocka_unit_test(test_numbers), cmocka_unit_test(test_room),
        cmocka_unit_test(test_client_side), cmocka_unit_test(test_errors),  cmocka_unit_test(test_long_detail_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
