// SPDX-License-Identifier: Apache-2.0
// CO-P01: INFO as a client sees it, there and back.
#include "wire/info.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_bytes(struct bytes got, const char *wanted)
{
    if (!bytes_equal(got, bytes_from_string(wanted)))
        fail_msg("got '%.*s', not '%s'", BYTES_ARG(got), wanted);
}

static void test_encodes(void **state)
{
    struct wire_info info = {
        .server_id = BYTES("ID"),
        .server_name = BYTES("name"),
        .go = BYTES("none"),
        .weir_version = BYTES("1.2.3"),
        .host = BYTES("0.0.0.0"),
        .port = 4222,
        .client_id = 9,
        .client_ip = BYTES("127.0.0.1"),
        .max_payload = 1048576,
        .headers = true,
    };
    char line[INFO_LINE_SIZE_MAX];
    size_t len;
    assert_int_equal(info_encode(&info, line, sizeof(line), &len), 0);
    assert_bytes(
        bytes_make(line, len),
        "INFO {\"server_id\":\"ID\",\"server_name\":\"name\",\"version\":\"2.15.0\",\"weir_version\":\"1.2.3\","
        "\"proto\":1,\"go\":\"none\",\"host\":\"0.0.0.0\",\"port\":4222,\"headers\":true,"
        "\"max_payload\":1048576,\"client_id\":9,\"client_ip\":\"127.0.0.1\"}\r\n");
    for (size_t size = 0; size < len; size++)
        assert_int_equal(info_encode(&info, line, size, &len), ERR_TOO_BIG);
    info.server_name = BYTES("\xff");
    assert_int_equal(info_encode(&info, line, sizeof(line), &len), ERR_INVALID);
}

static void test_fills_in_what_is_ours(void **state)
{
    struct wire_info info = {0}, parsed;
    char line[INFO_LINE_SIZE_MAX];
    size_t len;
    assert_int_equal(info_encode(&info, line, sizeof(line), &len), 0);
    assert_int_equal(info_parse(bytes_make(line + 5, len - 5), &parsed), 0);
    assert_bytes(parsed.version, INFO_NATS_VERSION);
    assert_bytes(parsed.weir_version, WEIR_VERSION);
    assert_true(parsed.go.len > 0);
    assert_int_equal(parsed.proto, 1);
    info_deinit(&parsed);
}

static void test_there_and_back(void **state)
{
    struct wire_info info = {
        .server_id = BYTES("ID"),
        .nonce = BYTES("n\"o\n"),
        .cluster = BYTES("\xc3\xa9"),
        .port = 65535,
        .client_id = INT64_MAX,
        .max_payload = -1,
        .auth_required = true,
        .tls_required = true,
        .tls_verify = true,
        .tls_available = true,
        .jetstream = true,
        .lame_duck = true,
        .git_commit = BYTES("abc"),
    };
    struct wire_info parsed;
    char line[INFO_LINE_SIZE_MAX];
    size_t len;
    assert_int_equal(info_encode(&info, line, sizeof(line), &len), 0);
    assert_int_equal(info_parse(bytes_make(line + 5, len - 5), &parsed), 0);
    memset(line, 0, sizeof(line)); // what was parsed stands on its own
    assert_bytes(parsed.server_id, "ID");
    assert_bytes(parsed.nonce, "n\"o\n");
    assert_bytes(parsed.cluster, "\xc3\xa9");
    assert_bytes(parsed.git_commit, "abc");
    assert_int_equal(parsed.port, 65535);
    assert_true(parsed.client_id == INT64_MAX);
    assert_int_equal(parsed.max_payload, -1);
    assert_true(parsed.auth_required && parsed.tls_required && parsed.tls_verify && parsed.tls_available);
    assert_true(parsed.jetstream && parsed.lame_duck && !parsed.headers);
    info_deinit(&parsed);
}

static void test_refuses(void **state)
{
    static const char *const BAD[] = {"",
                                      "x",
                                      "[]",
                                      "1",
                                      "{",
                                      "{\"port\":65536}",
                                      "{\"port\":-1}",
                                      "{\"port\":\"1\"}",
                                      "{\"client_id\":-1}",
                                      "{\"server_id\":1}",
                                      "{\"headers\":1}",
                                      "{} {}"};
    struct wire_info parsed;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        if (info_parse(bytes_from_string(BAD[i]), &parsed) != ERR_INVALID)
            fail_msg("'%s' passes", BAD[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodes),
        cmocka_unit_test(test_fills_in_what_is_ours),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
