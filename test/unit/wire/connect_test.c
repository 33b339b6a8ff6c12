// SPDX-License-Identifier: Apache-2.0
// CO-P02, P12, P13: what CONNECT says and what it leaves out.
#include "base/memory.h"
#include "wire/connect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_bytes(struct bytes got, const char *wanted)
{
    if (!bytes_equal(got, bytes_from_string(wanted)))
        fail_msg("got '%.*s', not '%s'", BYTES_ARG(got), wanted);
}

static void test_defaults(void **state)
{
    struct wire_connect connect;
    assert_int_equal(connect_parse(BYTES("{}"), &connect), 0);
    assert_true(connect.echo && connect.verbose && connect.pedantic);
    assert_false(connect.headers || connect.no_responders || connect.tls_required);
    assert_int_equal(connect.protocol, 0);
    assert_int_equal(connect.name.len, 0);
    connect_deinit(&connect);
    assert_int_equal(connect_parse(BYTES("{\"echo\":null,\"name\":null,\"verbose\":false}"), &connect), 0);
    assert_true(connect.echo && !connect.verbose);
    connect_deinit(&connect);
}

static void test_reads_what_a_client_sends(void **state)
{
    struct wire_connect connect;
    struct bytes json =
        BYTES("{\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"name\":\"wor\\u0137er\","
              "\"lang\":\"node\",\"version\":\"1.4.12\",\"protocol\":1,\"echo\":false,\"headers\":true,"
              "\"no_responders\":true,\"user\":\"u\",\"pass\":\"p\",\"auth_token\":\"t\",\"nkey\":\"U\","
              "\"sig\":\"s\",\"jwt\":\"j\",\"account\":\"A\",\"unknown\":[1,{\"a\":2}]}");
    assert_int_equal(connect_parse(json, &connect), 0);
    assert_false(connect.verbose || connect.pedantic || connect.echo);
    assert_true(connect.headers && connect.no_responders);
    assert_int_equal(connect.protocol, 1);
    assert_bytes(connect.name, "wor\xc4\xb7"
                               "er");
    assert_bytes(connect.lang, "node");
    assert_bytes(connect.version, "1.4.12");
    assert_bytes(connect.user, "u");
    assert_bytes(connect.pass, "p");
    assert_bytes(connect.auth_token, "t");
    assert_bytes(connect.nkey, "U");
    assert_bytes(connect.sig, "s");
    assert_bytes(connect.jwt, "j");
    assert_bytes(connect.account, "A");
    connect_deinit(&connect);
}

static void test_refuses(void **state)
{
    static const char *const BAD[] = {"",
                                      "{",
                                      "[]",
                                      "\"a\"",
                                      "{\"verbose\":\"yes\"}",
                                      "{\"verbose\":1}",
                                      "{\"name\":1}",
                                      "{\"protocol\":\"1\"}",
                                      "{\"protocol\":1.5}",
                                      "{}x",
                                      "{\"protocol\":99999999999}"};
    struct wire_connect connect;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        if (connect_parse(bytes_from_string(BAD[i]), &connect) != ERR_INVALID)
            fail_msg("'%s' passes", BAD[i]);
    }
}

// As nats-server reads it.
static void test_repairs(void **state)
{
    static const struct {
        const char *json, *name;
        size_t len;
    } cases[] = {
        {"{\"name\":\"caf\xe9\"}", "caf\xef\xbf\xbd", 6},
        {"{\"name\":\"\xff\xfe\"}", "\xef\xbf\xbd\xef\xbf\xbd", 6},
        {"{\"name\":\"\\ud800x\"}", "\xef\xbf\xbdx", 4},
        {"{\"nam\xe9\":1,\"other\":{\"\xe9\":[\"\xe9\"]},\"name\":\"x\"}", "x", 1},
    };
    struct wire_connect connect;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(connect_parse(bytes_from_string(cases[i].json), &connect), 0);
        assert_true(bytes_equal(connect.name, bytes_make(cases[i].name, cases[i].len)));
        connect_deinit(&connect);
    }
    assert_int_equal(connect_parse(BYTES("\xe9{}"), &connect), ERR_INVALID);
    assert_int_equal(connect_parse(BYTES("{}\xe9"), &connect), ERR_INVALID);
    assert_int_equal(connect_parse(BYTES("{\"name\":\"a\001b\"}"), &connect), ERR_INVALID);
}

static void test_protocol(void **state)
{
    const struct {
        const char *json;
        bool supported;
    } cases[] = {{"{}", true},
                 {"{\"protocol\":1}", true},
                 {"{\"protocol\":2}", false},
                 {"{\"protocol\":-1,\"name\":\"x\"}", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_connect connect;
        assert_int_equal(connect_parse(bytes_from_string(cases[i].json), &connect), 0);
        assert_int_equal(connect_is_supported(&connect), cases[i].supported);
        connect_deinit(&connect);
    }
}

static void test_what_is_left_out_stays(void **state)
{
    struct wire_connect connect = {.verbose = false, .pedantic = true, .echo = false, .headers = true, .protocol = 1};
    assert_int_equal(connect_parse_over(BYTES("{\"pedantic\":false,\"echo\":null}"), &connect), 0);
    assert_false(connect.verbose || connect.pedantic || connect.echo);
    assert_true(connect.headers && connect.protocol == 1);
    mem_free(connect.owned);
    connect.owned = NULL;
    assert_int_equal(connect_parse_over(BYTES("null"), &connect), 0);
    assert_true(connect.headers && !connect.owned);
    assert_int_equal(connect_parse_over(BYTES("nul"), &connect), ERR_INVALID);
    assert_int_equal(connect_parse(BYTES("null"), &connect), 0);
    assert_true(connect.verbose && connect.pedantic && connect.echo && !connect.headers);
}

static void test_deep_nesting(void **state)
{
    static char json[100000];
    struct wire_connect connect;
    memset(json, '[', sizeof(json));
    memcpy(json, "{\"a\":", 5);
    assert_int_equal(connect_parse(bytes_make(json, sizeof(json)), &connect), ERR_INVALID);
}

static void test_there_and_back(void **state)
{
    struct wire_connect connect, parsed;
    char line[CONNECT_LINE_SIZE_MAX];
    size_t len;
    connect_init(&connect);
    connect.verbose = false;
    connect.headers = true;
    connect.protocol = 1;
    connect.name = BYTES("weir bench");
    assert_int_equal(connect_encode(&connect, line, sizeof(line), &len), 0);
    assert_true(bytes_starts_with(bytes_make(line, len), BYTES("CONNECT {\"verbose\":false,")));
    assert_true(bytes_equal(bytes_make(line + len - 3, 3), BYTES("}\r\n")));
    assert_int_equal(connect_parse(bytes_make(line + 8, len - 8), &parsed), 0);
    assert_true(!parsed.verbose && parsed.pedantic && parsed.echo && parsed.headers && !parsed.no_responders);
    assert_bytes(parsed.name, "weir bench");
    connect_deinit(&parsed);
    assert_int_equal(connect_encode(&connect, line, len - 1, &len), ERR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),     cmocka_unit_test(test_reads_what_a_client_sends),
        cmocka_unit_test(test_refuses),      cmocka_unit_test(test_repairs),
        cmocka_unit_test(test_protocol),     cmocka_unit_test(test_what_is_left_out_stays),
        cmocka_unit_test(test_deep_nesting), cmocka_unit_test(test_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
