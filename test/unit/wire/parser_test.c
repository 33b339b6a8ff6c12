// SPDX-License-Identifier: Apache-2.0
// CO-P03…P07, P14: operations and errors, in one piece and cut at every place, with the tail moved in between.
#include "wire/parser.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

// Writes what an operation says, so that streams of operations can be compared as text.
static void describe(const struct wire_op *op, char *ret, size_t size)
{
    static const char *const NAMES[] = {"CONNECT", "INFO", "PUB", "SUB", "UNSUB", "MSG", "PING", "PONG", "OK", "ERR"};
    int len = snprintf(ret, size, "%s", NAMES[op->kind]);
    char *at = ret + len;
    size_t left = size - (size_t)len;
    switch (op->kind) {
    case WIRE_CONNECT:
    case WIRE_INFO:
    case WIRE_MINUS_ERR: snprintf(at, left, "(%.*s)", BYTES_ARG(op->text)); break;
    case WIRE_PUB:
        snprintf(at, left, "(%.*s,%.*s,%s%.*s,%.*s)", BYTES_ARG(op->subject), BYTES_ARG(op->reply),
                 op->has_header ? "h" : "", BYTES_ARG(op->header), BYTES_ARG(op->payload));
        break;
    case WIRE_MSG:
        snprintf(at, left, "(%.*s,%.*s,%.*s,%s%.*s,%.*s)", BYTES_ARG(op->subject), BYTES_ARG(op->sid),
                 BYTES_ARG(op->reply), op->has_header ? "h" : "", BYTES_ARG(op->header), BYTES_ARG(op->payload));
        break;
    case WIRE_SUB:
        snprintf(at, left, "(%.*s,%.*s,%.*s)", BYTES_ARG(op->subject), BYTES_ARG(op->queue), BYTES_ARG(op->sid));
        break;
    case WIRE_UNSUB: snprintf(at, left, "(%.*s,%llu)", BYTES_ARG(op->sid), (unsigned long long)op->max); break;
    case WIRE_PING:
    case WIRE_PONG:
    case WIRE_PLUS_OK: break;
    }
}

// Feeds `input` in two pieces, the tail of the first moved to fresh memory as a connection does; appends each operation
// and at last the error or the length of the tail to `ret`.
static void run(enum parser_side side, const struct parser_config *config, struct bytes input, size_t cut, char *ret,
                size_t size)
{
    struct parser parser;
    struct parser_memo memo = {0};
    struct wire_op op;
    struct bytes tail = bytes_make(input.ptr, cut);
    char *moved = NULL;
    int result = 0;
    size_t len = 0;
    parser_init(&parser, side, config);
    if (cut % 2) // with a memo or without, the same
        parser_set_memo(&parser, &memo);
    for (int piece = 0; piece < 2 && result >= 0; piece++) {
        if (piece == 1) {
            size_t rest = input.len - cut;
            moved = mem_alloc(tail.len + rest);
            memcpy(moved, tail.ptr, tail.len);
            memcpy(moved + tail.len, input.ptr + cut, rest);
            tail = bytes_make(moved, tail.len + rest);
        }
        while ((result = parser_next(&parser, &tail, &op)) > 0) {
            describe(&op, ret + len, size - len);
            len += strlen(ret + len);
            snprintf(ret + len, size - len, ";");
            len += strlen(ret + len);
        }
    }
    if (result < 0)
        snprintf(ret + len, size - len, "!%s", wire_error_text(parser_error(&parser)));
    else
        snprintf(ret + len, size - len, "+%zu", tail.len);
    mem_free(moved);
}

struct example {
    const char *input;
    const char *wanted;
};

// Each example is run cut at every place.
static void check_examples(enum parser_side side, const struct parser_config *config, const struct example *examples,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes input = bytes_from_string(examples[i].input);
        for (size_t cut = 0; cut <= input.len; cut++) {
            char got[512];
            run(side, config, input, cut, got, sizeof(got));
            if (strcmp(got, examples[i].wanted) != 0)
                fail_msg("'%s' cut at %zu: got %s, not %s", examples[i].input, cut, got, examples[i].wanted);
        }
    }
}

static const struct example FROM_CLIENT[] = {
    {"", "+0"},
    {"PING\r\n", "PING;+0"},
    {"ping\n", "PING;+0"},
    {"PiNg whatever\r\nPONG\r\n", "PING;PONG;+0"},
    {"+OK\r\n-ERR 'Stale'\r\n", "OK;ERR(Stale);+0"},
    {"INFO {}\r\n", "INFO({});+0"},
    {"CONNECT {\"verbose\":true}\r\n", "CONNECT({\"verbose\":true});+0"},
    {"connect  \t{} \r\n", "CONNECT({});+0"},
    {"CONNECT{}\r\n", "CONNECT({});+0"},
    {"PUB foo 5\r\nhello\r\n", "PUB(foo,,,hello);+0"},
    {"pub foo bar 5\r\nhello\r\n", "PUB(foo,bar,,hello);+0"},
    {"PUB\tfoo  \t bar\t 005 \r\nhello\r\n", "PUB(foo,bar,,hello);+0"},
    {"PUB foo 5\nhello\r\n", "PUB(foo,,,hello);+0"},
    {"PUB foo 0\r\n\r\n", "PUB(foo,,,);+0"},
    {"PUB foo 4\r\na\r\nb\r\n", "PUB(foo,,,a\r\nb);+0"},
    {"PUB foo 5\r\nhello\r\nPUB foo 5\r\nhel", "PUB(foo,,,hello);+14"},
    {"PUB a\xc3\xa9 1\r\nx\r\n", "PUB(a\xc3\xa9,,,x);+0"},
    {"HPUB foo 12 17\r\nNATS/1.0\r\n\r\nhello\r\n", "PUB(foo,,hNATS/1.0\r\n\r\n,hello);+0"},
    {"HPUB foo re 12 12\r\nNATS/1.0\r\n\r\n\r\n", "PUB(foo,re,hNATS/1.0\r\n\r\n,);+0"},
    {"HPUB foo 0 2\r\nhi\r\n", "PUB(foo,,h,hi);+0"},
    {"SUB foo 1\r\nSUB foo q 2a\r\n", "SUB(foo,,1);SUB(foo,q,2a);+0"},
    {"sub\tfoo.*  q\t7\r\n", "SUB(foo.*,q,7);+0"},
    {"UNSUB 1\r\nUNSUB 2 10\r\nunsub 3 x\r\n", "UNSUB(1,0);UNSUB(2,10);UNSUB(3,0);+0"},
    {"PUB fo\ro 1\r\nx\r\nSUB a\r b\r\r\n", "PUB(fo,o,,x);SUB(a,,b);+0"}, // no CR gets into a subject
    {"PUB a\x01z 1\r\nx\r\n", "PUB(a\x01z,,,x);+0"},
    {"PING\r\nPI", "PING;+2"},
    {"PUB foo", "+7"},
};

static void test_from_client(void **state)
{
    check_examples(PARSER_SERVER, NULL, FROM_CLIENT, COUNT(FROM_CLIENT));
}

static const struct example FROM_SERVER[] = {
    {"INFO {\"a\":1} \r\nPING\r\n", "INFO({\"a\":1});PING;+0"},
    {"MSG foo 1 5\r\nhello\r\n", "MSG(foo,1,,,hello);+0"},
    {"MSG foo 1 bar 5\r\nhello\r\n", "MSG(foo,1,bar,,hello);+0"},
    {"HMSG foo 1 12 17\r\nNATS/1.0\r\n\r\nhello\r\n", "MSG(foo,1,,hNATS/1.0\r\n\r\n,hello);+0"},
    {"HMSG foo 1 re 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", "MSG(foo,1,re,hNATS/1.0 503\r\n\r\n,);+0"},
    {"-ERR 'Unknown Protocol Operation'\r\n", "ERR(Unknown Protocol Operation);+0"},
    {"+OK\r\nPONG\r\n", "OK;PONG;+0"},
    {"PUB foo 1\r\nx\r\n", "!Unknown Protocol Operation"},
    {"SUB foo 1\r\n", "!Unknown Protocol Operation"},
    {"MSG foo 5\r\nhello\r\n", "!Parser Error"},
    {"HMSG foo 1 5\r\nhello\r\n", "!Parser Error"},
};

static void test_from_server(void **state)
{
    check_examples(PARSER_CLIENT, NULL, FROM_SERVER, COUNT(FROM_SERVER));
}

static const struct example REFUSED[] = {
    {"GET / HTTP/1.1\r\n", "!Unknown Protocol Operation"},
    {"\x16\x03\x01", "!Unknown Protocol Operation"},
    {"\r\n", "!Unknown Protocol Operation"},
    {" PING\r\n", "!Unknown Protocol Operation"},
    {"PIN\r\n", "!Unknown Protocol Operation"},
    {"PUBX foo 1\r\nx\r\n", "!Unknown Protocol Operation"},
    {"PUB\r\n", "!Unknown Protocol Operation"},
    {"-ERR\r\n", "!Unknown Protocol Operation"},
    {"\x0bOK\r\n", "!Unknown Protocol Operation"},
    {"MSG foo 1 1\r\nx\r\n", "!Unknown Protocol Operation"},
    {"HMSG foo 1 1 1\r\nx\r\n", "!Unknown Protocol Operation"},
    {"RS+ $G foo\r\n", "!Unknown Protocol Operation"},
    {"PING\r\nBOGUS\r\nPING\r\n", "PING;!Unknown Protocol Operation"},
    {"PUB foo 5\r\nhelloo\r\n", "!Unknown Protocol Operation"},
    {"PUB foo 5\r\nhell\r\n\r\n", "!Unknown Protocol Operation"},
    {"PUB foo 5\r\nhello\rPING", "!Unknown Protocol Operation"},
    {"PUB foo 5\r\nhello\n", "!Unknown Protocol Operation"},
    {"PUB \r\n", "!Parser Error"},
    {"PUB foo\r\n", "!Parser Error"},
    {"PUB foo bar\r\n", "!Parser Error"},
    {"PUB foo -1\r\n", "!Parser Error"},
    {"PUB foo +1\r\n", "!Parser Error"},
    {"PUB foo 1x\r\n", "!Parser Error"},
    {"PUB foo 0x1\r\n", "!Parser Error"},
    {"PUB a b c 1\r\n", "!Parser Error"},
    {"PUB a b c d e f g\r\n", "!Parser Error"},
    {"PUB foo 1048577\r\n", "!Maximum Payload Violation"},
    {"PUB foo 99999999999999999999999999999\r\n", "!Maximum Payload Violation"},
    {"PUB foo 18446744073709551616\r\n", "!Maximum Payload Violation"},
    {"HPUB foo 5\r\n", "!Parser Error"},
    {"HPUB foo 6 5\r\n", "!Parser Error"},
    {"HPUB foo 99999999999999999999 5\r\n", "!Parser Error"},
    {"HPUB foo x 5\r\n", "!Parser Error"},
    {"HPUB foo 5 1048577\r\n", "!Maximum Payload Violation"},
    {"SUB foo\r\n", "!Parser Error"},
    {"SUB a b c d\r\n", "!Parser Error"},
    {"UNSUB \r\n", "!Parser Error"},
    {"UNSUB 1 2 3\r\n", "!Parser Error"},
};

static void test_refused(void **state)
{
    check_examples(PARSER_SERVER, NULL, REFUSED, COUNT(REFUSED));
}

static const struct example LIMITED[] = {
    {"SUB 12345678901234567 1\r\n", "SUB(12345678901234567,,1);+0"}, // 20 bytes with the blank in front
    {"SUB 123456789012345678 1\r\n", "!maximum control line exceeded"},
    {"SUB 123456789012345678 1\n", "!maximum control line exceeded"},
    {"UNSUB 1                              \r\n", "!maximum control line exceeded"},
    {"CONNECT {\"name\":\"abcdefghijkl\"}\r\n", "!maximum control line exceeded"},
    {"PUB abcdefghijklmnopqrstuvwxyzabcdefg", "!maximum control line exceeded"},
    {"PUB foo 8\r\n12345678\r\n", "PUB(foo,,,12345678);+0"},
    {"PUB foo 9\r\n123456789\r\n", "!Maximum Payload Violation"},
    {"HPUB foo 4 9\r\n", "!Maximum Payload Violation"},
};

static void test_limits(void **state)
{
    struct parser_config config = {.control_line_max = 20, .payload_max = 8};
    check_examples(PARSER_SERVER, &config, LIMITED, COUNT(LIMITED));
}

static void test_info_has_a_limit_of_its_own(void **state)
{
    static char line[100 + 8];
    struct parser_config config = {.control_line_max = 20, .info_line_max = 101};
    memset(line, 'x', sizeof(line));
    memcpy(line, "INFO ", 5);
    char got[512];
    memcpy(line + 5 + 100, "\r\n", 2);
    run(PARSER_CLIENT, &config, bytes_make(line, 107), 50, got, sizeof(got));
    assert_int_equal(strncmp(got, "INFO(", 5), 0);
    config.info_line_max = 100;
    run(PARSER_CLIENT, &config, bytes_make(line, 107), 50, got, sizeof(got));
    assert_string_equal(got, "!maximum control line exceeded");
    run(PARSER_CLIENT, &config, BYTES("MSG abcdefghijklmnopqrstuvwxyz 1 1\r\n"), 3, got, sizeof(got));
    assert_string_equal(got, "!maximum control line exceeded");
}

// An endless line is refused as soon as it is too long, not when it ends.
static void test_refuses_early(void **state)
{
    struct parser parser;
    struct wire_op op;
    static char line[8192];
    memset(line, 'a', sizeof(line));
    memcpy(line, "SUB ", 4);
    parser_init(&parser, PARSER_SERVER, NULL);
    struct bytes input = bytes_make(line, 4000);
    assert_int_equal(parser_next(&parser, &input, &op), 0);
    input = bytes_make(line, 4200);
    assert_int_equal(parser_next(&parser, &input, &op), ERR_PROTOCOL);
    assert_int_equal(parser_error(&parser), WIRE_MAX_CONTROL_LINE);
    assert_int_equal(parser_next(&parser, &input, &op), ERR_PROTOCOL);
    parser_init(&parser, PARSER_SERVER, NULL);
    input = BYTES("G");
    assert_int_equal(parser_next(&parser, &input, &op), ERR_PROTOCOL);
    parser_init(&parser, PARSER_SERVER, NULL);
    input = BYTES("PUB foo 3\r\nabcd");
    assert_int_equal(parser_next(&parser, &input, &op), ERR_PROTOCOL);
}

static void test_needed_bytes(void **state)
{
    struct parser parser;
    struct wire_op op;
    parser_init(&parser, PARSER_SERVER, NULL);
    struct bytes input = BYTES("PUB foo 10");
    assert_int_equal(parser_next(&parser, &input, &op), 0);
    assert_int_equal(parser_needed_bytes(&parser), 0);
    input = BYTES("PUB foo 1000\r\nabc");
    assert_int_equal(parser_next(&parser, &input, &op), 0);
    assert_int_equal(parser_needed_bytes(&parser), 14 + 1000 + 2);
    assert_int_equal(input.len, 17);
    assert_true(parser_size_max_bytes(&parser) >= 4096 + 1048576 + 2);
    assert_true(parser_size_max_bytes(&parser) < 4096 + 1048576 + 64);
}

// A limit lowered by a reload, while a line is half read, is no accident.
static void test_limits_lowered_in_a_line(void **state)
{
    struct parser parser;
    struct wire_op op;
    struct parser_config config = {.control_line_max = 10};
    parser_init(&parser, PARSER_SERVER, NULL);
    struct bytes input = BYTES("SUB abcdefghijklmnopqrstuvwxyz");
    assert_int_equal(parser_next(&parser, &input, &op), 0);
    parser_set_limits(&parser, &config);
    input = BYTES("SUB abcdefghijklmnopqrstuvwxyz 1\r\n");
    assert_int_equal(parser_next(&parser, &input, &op), ERR_PROTOCOL);
    assert_int_equal(parser_error(&parser), WIRE_MAX_CONTROL_LINE);
}

static void expect_pub(struct parser *parser, const char *input, const char *subject, const char *payload)
{
    struct wire_op op;
    struct bytes rest = bytes_from_string(input);
    assert_int_equal(parser_next(parser, &rest, &op), 1);
    assert_int_equal(rest.len, 0);
    assert_true(bytes_equal(op.subject, bytes_from_string(subject)));
    assert_true(bytes_equal(op.payload, bytes_from_string(payload)));
}

static void test_memo_is_of_one_parser(void **state)
{
    struct parser_memo memo = {0};
    struct parser one, two;
    parser_init(&one, PARSER_SERVER, NULL);
    parser_init(&two, PARSER_SERVER, NULL);
    parser_set_memo(&one, &memo);
    parser_set_memo(&two, &memo);
    expect_pub(&one, "PUB first 1\r\nA\r\n", "first", "A");
    expect_pub(&one, "PUB first 1\r\nB\r\n", "first", "B");
    expect_pub(&two, "PUB first 1\r\nC\r\n", "first", "C"); // the same line, but its fields are the other's
    expect_pub(&two, "PUB second.subject 2\r\nDD\r\n", "second.subject", "DD");
    expect_pub(&one, "PUB first 1\r\nE\r\n", "first", "E");
    expect_pub(&one, "PUB first 11\r\nEEEEEEEEEEE\r\n", "first", "EEEEEEEEEEE");
    const struct parser_config small = {.payload_max = 10};
    parser_set_limits(&one, &small); // a remembered line obeys new limits
    struct wire_op op;
    struct bytes rest = BYTES("PUB first 11\r\nEEEEEEEEEEE\r\n");
    assert_int_equal(parser_next(&one, &rest, &op), ERR_PROTOCOL);
    assert_int_equal(parser_error(&one), WIRE_MAX_PAYLOAD);
}

// What differs from the remembered line in its subject only is not parsed either; what parts words or ends the line is no subject.
static void test_memo_knows_other_subjects(void **state)
{
    static const char *const others[] = {"a b.subject", "first.sub\t.", "first.su\rec", "a", "first.subject.and.more"};
    struct parser_memo memo = {0};
    struct parser parser;
    parser_init(&parser, PARSER_SERVER, NULL);
    parser_set_memo(&parser, &memo);
    expect_pub(&parser, "PUB first.sub.0 reply 1\r\nA\r\n", "first.sub.0", "A");
    expect_pub(&parser, "PUB first.sub.1 reply 1\r\nB\r\n", "first.sub.1", "B");
    expect_pub(&parser, "PUB other.ABC.2 reply 1\r\nC\r\n", "other.ABC.2", "C");
    expect_pub(&parser, "PUB first\x01\xff.sub reply 1\r\nD\r\n", "first\x01\xff.sub", "D");
    expect_pub(&parser, "PUB first.sub.3 other 1\r\nE\r\n", "first.sub.3", "E");
    expect_pub(&parser, "PUB first.sub.3 other 2\r\nEF\r\n", "first.sub.3", "EF");
    expect_pub(&parser, "PUB a b.subject 2\r\nGH\r\n", "a", "GH"); // as long as the one before, with a reply
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char with[200], without[200];
        struct wire_op op;
        struct bytes first = BYTES("PUB first.sub.0 reply 1\r\nA\r\n"), input;
        parser_init(&parser, PARSER_SERVER, NULL);
        snprintf(with, sizeof(with), "PUB %s reply 1\r\nA\r\n", others[i]);
        input = bytes_from_string(with);
        int wanted = parser_next(&parser, &input, &op);
        size_t used = input.len;
        struct bytes subject = wanted > 0 ? op.subject : BYTES("");
        snprintf(without, sizeof(without), "%.*s", BYTES_ARG(subject));
        parser_init(&parser, PARSER_SERVER, NULL);
        parser_set_memo(&parser, &memo);
        assert_int_equal(parser_next(&parser, &first, &op), 1);
        input = bytes_from_string(with);
        assert_int_equal(parser_next(&parser, &input, &op), wanted);
        assert_int_equal(input.len, used);
        if (wanted > 0)
            assert_true(bytes_equal(op.subject, bytes_from_string(without)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_client),
        cmocka_unit_test(test_from_server),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_info_has_a_limit_of_its_own),
        cmocka_unit_test(test_refuses_early),
        cmocka_unit_test(test_needed_bytes),
        cmocka_unit_test(test_limits_lowered_in_a_line),
        cmocka_unit_test(test_memo_is_of_one_parser),
        cmocka_unit_test(test_memo_knows_other_subjects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
