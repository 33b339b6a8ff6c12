// SPDX-License-Identifier: Apache-2.0
// CO-X04: what -D and -V say of a connection, in the words and the form of nats-server, and what they keep to themselves.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/connection_log.h"
#include "world.h"

#define NAME "127.0.0.1:40000 - cid:1 - "

struct rig {
    struct world world;
    struct logger logger;
    char log[16384]; // "TRC text\n" a line
    size_t len;
};

static void keep(void *owner, enum log_level level, const char *format, va_list arguments)
{
    static const char *const names[] = {"TRC", "DBG", "INF", "WRN", "ERR", "FTL"};
    struct rig *rig = owner;
    int len = snprintf(rig->log + rig->len, sizeof(rig->log) - rig->len, "%s ", names[level]);
    len += vsnprintf(rig->log + rig->len + len, sizeof(rig->log) - rig->len - (size_t)len, format, arguments);
    rig->len += (size_t)len;
    rig->log[rig->len++] = '\n';
    rig->log[rig->len] = '\0';
    assert_true(rig->len < sizeof(rig->log) - 1);
}

static void start(struct rig *rig, enum log_level level, bool trace, uint32_t max_traced_bytes)
{
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "NAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    options.server_name = "test";
    options.max_payload = 1000;
    options.max_traced_bytes = max_traced_bytes;
    options.logger = &rig->logger;
    rig->logger = (struct logger){.owner = rig, .level = level, .write = keep, .trace = trace};
    rig->len = 0;
    rig->log[0] = '\0';
    world_init(&rig->world, &options);
}

static void expect_log(struct rig *rig, const char *wanted)
{
    assert_string_equal(rig->log, wanted);
    rig->len = 0;
    rig->log[0] = '\0';
}

static void debug_says_who_comes_and_goes(void **state)
{
    struct rig rig;
    start(&rig, LOG_DEBUG, false, 0);
    struct peer *peer = peer_open(&rig.world);
    expect_log(&rig, "DBG " NAME "Client connection created\n");
    peer_say(peer,
             "CONNECT {\"verbose\":false,\"name\":\"app\",\"lang\":\"go\",\"version\":\"1.2\"}\r\nPUB a 2\r\nhi\r\n");
    expect_log(&rig, "");
    peer_close(peer);
    expect_log(&rig, "DBG " NAME "\"v1.2:go:app\" - Client connection closed: Client Closed\n");
    world_deinit(&rig.world);
}

// Each line of these the client alone could cause, as often as it likes.
static void nobody_floods_the_log(void **state)
{
    struct rig rig;
    start(&rig, LOG_INFO, false, 0);
    for (int i = 0; i < CONNECTION_LOG_LINES + 10; i++) {
        struct peer *peer = peer_open(&rig.world);
        peer_say(peer, "BAD\r\n");
        if (rig.len > sizeof(rig.log) / 2)
            rig.len = 0;
    }
    rig.len = 0;
    struct peer *peer = peer_open(&rig.world);
    peer_say(peer, "BAD\r\n");
    assert_int_equal(rig.len, 0);
    world_advance(&rig.world, 1000);
    rig.len = 0;
    peer = peer_open(&rig.world);
    peer_say(peer, "BAD\r\n");
    const char *first = "WRN 11 more lines about connections were left out\nERR ";
    assert_memory_equal(rig.log, first, strlen(first));
    world_deinit(&rig.world);
}

static void what_a_proxy_says_stands_before_the_peers_address(void **state)
{
    static const char *const cases[][2] = {{"192.0.2.7", "192.0.2.7"}, {"2001:db8::7", "[2001:db8::7]"}};
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        char wanted[256];
        start(&rig, LOG_DEBUG, false, 0);
        struct peer *peer = peer_open(&rig.world);
        peer->forwarded_ip = cases[i][0];
        rig.len = 0;
        peer_close(peer);
        snprintf(wanted, sizeof(wanted), "DBG %s/" NAME "Client connection closed: Client Closed\n", cases[i][1]);
        expect_log(&rig, wanted);
        world_deinit(&rig.world);
    }
}

static void names_have_the_parts_that_were_given(void **state)
{
    static const char *const cases[][2] = {
        {"\"name\":\"app\"", "\"app\" - "},
        {"\"version\":\"7\"", "\"v7\" - "},
        {"\"lang\":\"go\",\"name\":\"app\"", "\"go:app\" - "},
        {"\"version\":\"7\",\"name\":\"a\\n\\\"b\\u00e9\"", "\"v7:a\\n\\\"b\\xc3\\xa9\" - "},
        {"\"name\":\"\"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig rig;
        start(&rig, LOG_DEBUG, false, 0);
        struct peer *peer = peer_connect(&rig.world, cases[i][0]);
        rig.len = 0;
        peer_close(peer);
        char wanted[256];
        snprintf(wanted, sizeof(wanted), "DBG " NAME "%sClient connection closed: Client Closed\n", cases[i][1]);
        expect_log(&rig, wanted);
        world_deinit(&rig.world);
    }
}

static void errors_are_told_once_and_slow_and_stale_ones_as_such(void **state)
{
    struct rig rig;
    start(&rig, LOG_INFO, false, 0);
    struct peer *peer = peer_connect(&rig.world, "\"name\":\"app\"");
    peer_say(peer, "NONSENSE\r\n");
    expect_log(&rig, "ERR " NAME "\"app\" - Unknown Protocol Operation\n");
    world_deinit(&rig.world);
    start(&rig, LOG_DEBUG, false, 0);
    peer = peer_connect(&rig.world, "\"name\":\"app\"");
    rig.len = 0;
    world_advance(&rig.world, 10 * 60 * 1000);
    world_advance(&rig.world, 10 * 60 * 1000);
    world_advance(&rig.world, 10 * 60 * 1000);
    world_advance(&rig.world, 10 * 60 * 1000);
    expect_log(&rig, "DBG " NAME "\"app\" - Stale Client Connection - Closing\n"
                     "DBG " NAME "\"app\" - Client connection closed: Stale Connection\n");
    world_deinit(&rig.world);
}

static void trace_shows_every_operation(void **state)
{
    struct rig rig;
    start(&rig, LOG_INFO, true, 0);
    struct peer *peer = peer_connect(&rig.world, "\"headers\":true,\"name\":\"app\"");
    rig.len = 0;
#define LINE "TRC " NAME "\"app\" - "
    peer_say(peer, "PING\r\nSUB foo 1\r\nSUB a.> q 2\r\nUNSUB 2 5\r\nUNSUB 2\r\n");
    expect_log(&rig, LINE "<<- [PING]\n" LINE "->> [PONG]\n" LINE "<<- [SUB foo 1]\n" LINE "<<- [SUB a.> q 2]\n" LINE
                          "<<- [UNSUB 2 5]\n" LINE "<<- [UNSUB 2]\n" LINE "<-> [DELSUB 2]\n");
    peer_say(peer, "PUB foo 5\r\nhe\"l\x01\r\nHPUB foo re 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    expect_log(&rig, LINE "<<- [PUB foo 5]\n" LINE "<<- MSG_PAYLOAD: [\"he\\\"l\\x01\"]\n" LINE
                          "->> [MSG foo 1 5]\n" LINE "<<- [HPUB foo re 12 14]\n" LINE
                          "<<- MSG_PAYLOAD: [\"NATS/1.0\\r\\n\\r\\nhi\"]\n" LINE "->> [HMSG foo 1 re 12 14]\n");
    peer_say(peer, "SUB foo..bar 3\r\n");
    expect_log(&rig, LINE "<<- [SUB foo..bar 3]\n" LINE "->> [-ERR Invalid Subject]\n");
    peer_close(peer);
    expect_log(&rig, LINE "<-> [DELSUB 1]\n");
    world_deinit(&rig.world);
}

static void payloads_are_cut(void **state)
{
    struct rig rig;
    start(&rig, LOG_INFO, true, 4);
    struct peer *peer = peer_connect(&rig.world, "\"name\":\"app\"");
    rig.len = 0;
    peer_say(peer, "PUB a 4\r\n1234\r\nPUB a 5\r\n12345\r\n");
    expect_log(&rig, LINE "<<- [PUB a 4]\n" LINE "<<- MSG_PAYLOAD: [\"1234\"]\n" LINE "<<- [PUB a 5]\n" LINE
                          "<<- MSG_PAYLOAD: [\"1234...\"]\n");
    world_deinit(&rig.world);
}

// Whatever spelling of the key, and whatever the JSON looks like.
static void secrets_are_redacted(void **state)
{
    static const char *const spellings[] = {
        "CONNECT {\"user\":\"u\",\"pass\":\"hush\",\"auth_token\":\"hush\",\"jwt\":\"hush\",\"sig\":\"hush\"}\r\n",
        "CONNECT { \"p\\u0061ss\" : \"hush\", \"user\":\"u\" }\r\n",
        "CONNECT {\"pass\":\"hush\",\"pass\":\"hush\"}\r\n",
        "CONNECT {\"pass\":\"hush\"\r\n",
        "CONNECT \"hush\"\r\n",
    };
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        struct rig rig;
        start(&rig, LOG_DEBUG, true, 0);
        struct peer *peer = peer_open(&rig.world);
        peer_say(peer, spellings[i]);
        assert_null(strstr(rig.log, "hush"));
        assert_non_null(strstr(rig.log, "<<- [CONNECT "));
        assert_int_equal(strstr(rig.log, "[REDACTED]") != NULL, i < 3);
        world_deinit(&rig.world);
    }
}

// A long payload fills the line and no more.
static void lines_are_bounded(void **state)
{
    struct rig rig;
    start(&rig, LOG_INFO, true, 0);
    struct peer *peer = peer_connect(&rig.world, "\"name\":\"app\"");
    rig.len = 0;
    char text[1100];
    size_t len = (size_t)snprintf(text, sizeof(text), "PUB a 1000\r\n");
    memset(text + len, 1, 1000); // four characters each
    memcpy(text + len + 1000, "\r\n", 3);
    peer_say_bytes(peer, bytes_make(text, len + 1002));
    assert_true(rig.len > 4000 && rig.len < 4300);
    world_deinit(&rig.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(debug_says_who_comes_and_goes),
        cmocka_unit_test(what_a_proxy_says_stands_before_the_peers_address),
        cmocka_unit_test(names_have_the_parts_that_were_given),
        cmocka_unit_test(errors_are_told_once_and_slow_and_stale_ones_as_such),
        cmocka_unit_test(trace_shows_every_operation),
        cmocka_unit_test(payloads_are_cut),
        cmocka_unit_test(secrets_are_redacted),
        cmocka_unit_test(lines_are_bounded),
        cmocka_unit_test(nobody_floods_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
