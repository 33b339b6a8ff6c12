// SPDX-License-Identifier: Apache-2.0
// The client protocol as transcripts: what a client says and what it hears, as nats-server answers. Every transcript runs
// uncut and cut into pieces of 1, 2, 3 and 7 bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "world.h"

#define MODERN "\"headers\":true,\"no_responders\":true"

static const size_t CUTS[] = {0, 1, 2, 3, 7};

static struct broker_options options_make(void)
{
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "NAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    options.server_name = "test";
    options.max_payload = 1000;
    options.max_control_line = 200;
    options.seed = 7;
    return options;
}

// Calls the body with every way of cutting.
#define TRANSCRIPT(name)                                                                                               \
    static void name##_cut(struct world *world);                                                                       \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        for (size_t i = 0; i < sizeof(CUTS) / sizeof(CUTS[0]); i++) {                                                  \
            struct broker_options options = options_make();                                                            \
            struct world world;                                                                                        \
            world_init(&world, &options);                                                                              \
            world.cut = CUTS[i];                                                                                       \
            name##_cut(&world);                                                                                        \
            world_deinit(&world);                                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_cut(struct world *world)

// One connection says `say` and hears `hear`.
static void one(struct world *world, const char *fields, const char *say, const char *hear)
{
    struct peer *peer = peer_connect(world, fields);
    peer_say(peer, say);
    peer_expect(peer, hear);
    assert_false(peer->closed);
    peer_close(peer);
}

// The same, and is closed after that.
static void last(struct world *world, const char *fields, const char *say, const char *hear)
{
    struct peer *peer = peer_connect(world, fields);
    peer_say(peer, say);
    peer_expect(peer, hear);
    assert_true(peer->closed);
}

static void info(void **state)
{
    (void)state;
    struct broker_options options = options_make();
    struct world world;
    world_init(&world, &options);
    struct peer *peer = peer_open(&world); // saw a line that begins with INFO {
    peer_expect(peer, "");
    world_deinit(&world);
}

TRANSCRIPT(before_connect)
{
    struct peer *peer = peer_open(world);
    peer_say(peer, "PING\r\nSUB a 1\r\nPUB a 1\r\nx\r\nPUB a..b 1\r\nx\r\n");
    peer_expect(peer, "PONG\r\n+OK\r\n+OK\r\nMSG a 1 1\r\nx\r\n-ERR 'Invalid Publish Subject'\r\n+OK\r\n");
}

TRANSCRIPT(connect)
{
    struct peer *peer = peer_open(world);
    peer_say(peer, "CONNECT {}\r\nPING\r\n");
    peer_expect(peer, "+OK\r\nPONG\r\n");
    peer_say(peer, "CONNECT {\"verbose\":false}\r\nPING\r\n");
    peer_expect(peer, "PONG\r\n");
    last(world, "\"protocol\":7", "", "-ERR 'invalid client protocol'\r\n");
    last(world, "\"no_responders\":true", "PING\r\n", "-ERR 'no responders requires headers support'\r\n");
    last(world, "", "CONNECT {x}\r\nPING\r\n", "-ERR 'Parser Error'\r\n");
    last(world, "", "CONNECT {\"verbose\":1}\r\nPING\r\n", "-ERR 'Parser Error'\r\n");
}

TRANSCRIPT(publish)
{
    one(world, "", "SUB a 1\r\nPUB a 5\r\nhello\r\nPUB a r 0\r\n\r\n", "MSG a 1 5\r\nhello\r\nMSG a 1 r 0\r\n\r\n");
    one(world, "", "sub a 1\r\npub a 1\r\nx\r\nping\r\n", "MSG a 1 1\r\nx\r\nPONG\r\n");
    one(world, "\"pedantic\":false", "SUB > 1\r\nPUB a..b 1\r\nx\r\nPUB a.* 1\r\ny\r\n", "MSG a.* 1 1\r\ny\r\n");
    one(world, "", "SUB > 1\r\nPUB a.* 1\r\ny\r\n", "-ERR 'Invalid Publish Subject'\r\nMSG a.* 1 1\r\ny\r\n");
    struct broker_stats stats;
    broker_stats_get(world->broker, &stats);
    assert_int_equal(stats.in_msgs, 6);
    assert_int_equal(stats.in_bytes, 9);
    assert_int_equal(stats.out_msgs, 5);
    assert_int_equal(stats.out_bytes, 8);
    assert_int_equal(stats.connections, 0);
    assert_int_equal(stats.total_connections, 4);
    assert_int_equal(stats.subscriptions, 0);
}

TRANSCRIPT(headers)
{
    const char *block = "SUB a 1\r\nHPUB a 12 14\r\nNATS/1.0\r\n\r\nhi\r\n";
    one(world, MODERN, block, "HMSG a 1 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    one(world, MODERN, "SUB * 1\r\nHPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
        "HMSG a 1 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    one(world, MODERN, "SUB a 1\r\nHPUB a 0 2\r\nhi\r\n", "MSG a 1 2\r\nhi\r\n");
    last(world, "", block, "-ERR 'message headers not supported'\r\n");
    struct peer *plain = peer_connect(world, "");
    peer_say(plain, "SUB a 1\r\nSUB * 2\r\n");
    struct peer *modern = peer_connect(world, MODERN);
    peer_say(modern, "HPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    peer_expect(plain, "MSG a 1 r 2\r\nhi\r\nMSG a 2 r 2\r\nhi\r\n");
}

TRANSCRIPT(subscribe)
{
    one(world, "", "SUB a 1\r\nUNSUB 1\r\nPUB a 1\r\nx\r\nPING\r\n", "PONG\r\n");
    one(world, "", "SUB a 1\r\nSUB b 1\r\nPUB b 1\r\nx\r\nPUB a 1\r\nx\r\n", "MSG a 1 1\r\nx\r\n");
    one(world, "", "UNSUB 9\r\nPING\r\n", "PONG\r\n");
    one(world, "", "SUB a..b 1\r\nSUB a.>.b 1\r\nPING\r\n",
        "-ERR 'Invalid Subject'\r\n-ERR 'Invalid Subject'\r\nPONG\r\n");
    one(world, "", "SUB a x-1 \r\nPUB a 1\r\nx\r\n", "MSG a x-1 1\r\nx\r\n");
}

TRANSCRIPT(ping)
{
    one(world, "", "PING\r\nPONG\r\nPING\r\n", "PONG\r\nPONG\r\n");
    one(world, "", "+OK\r\nPING\r\n", "PONG\r\n");
    last(world, "", "-ERR 'bye'\r\nPING\r\n", "");
}

TRANSCRIPT(wildcards)
{
    one(world, "", "SUB a.* 1\r\nPUB a 1\r\n0\r\nPUB a.b 1\r\n1\r\nPUB a.b.c 1\r\n2\r\nPUB b.a 1\r\n3\r\n",
        "MSG a.b 1 1\r\n1\r\n");
    one(world, "", "SUB a.> 1\r\nPUB a 1\r\n0\r\nPUB a.b.c r 1\r\n2\r\n", "MSG a.b.c 1 r 1\r\n2\r\n");
    one(world, "", "SUB a*b 1\r\nPUB a*b 1\r\nx\r\nPUB aab 1\r\ny\r\n", "MSG a*b 1 1\r\nx\r\n");
}

TRANSCRIPT(no_responders)
{
    one(world, MODERN, "SUB r 1\r\nPUB q r 0\r\n\r\nPING\r\n",
        "HMSG r 1 33 33\r\nNATS/1.0 503\r\nNats-Subject: q\r\n\r\n\r\nPONG\r\n");
    one(world, MODERN, "SUB r.* 1\r\nPUB q.x r.2 0\r\n\r\n",
        "HMSG r.2 1 35 35\r\nNATS/1.0 503\r\nNats-Subject: q.x\r\n\r\n\r\n");
    one(world, MODERN, "PUB q r 0\r\n\r\nPING\r\n", "PONG\r\n");
    one(world, MODERN, "SUB r 1\r\nPUB q 0\r\n\r\nPING\r\n", "PONG\r\n");
    one(world, MODERN, "SUB r g 1\r\nPUB q r 0\r\n\r\nPING\r\n", "PONG\r\n");
    one(world, "\"headers\":true", "SUB r 1\r\nPUB q r 0\r\n\r\nPING\r\n", "PONG\r\n");
    one(world, MODERN ",\"echo\":false", "SUB r 1\r\nSUB q g 2\r\nPUB q r 0\r\n\r\n",
        "HMSG r 1 33 33\r\nNATS/1.0 503\r\nNats-Subject: q\r\n\r\n\r\n");
    // The answer does not count against the subscription.
    one(world, MODERN, "SUB r 1\r\nUNSUB 1 1\r\nPUB q r 0\r\n\r\nPUB r 1\r\nx\r\nPUB r 1\r\ny\r\n",
        "HMSG r 1 33 33\r\nNATS/1.0 503\r\nNats-Subject: q\r\n\r\n\r\nMSG r 1 1\r\nx\r\n");
    struct peer *other = peer_connect(world, "");
    peer_say(other, "SUB r 1\r\n");
    one(world, MODERN, "PUB q r 0\r\n\r\nPING\r\n", "PONG\r\n"); // somebody else's inbox
    peer_expect(other, "");
}

TRANSCRIPT(auto_unsubscribe)
{
    one(world, "",
        "SUB a 1\r\nUNSUB 1 2\r\nPUB a 1\r\n0\r\nPUB a 1\r\n1\r\nPUB a 1\r\n2\r\nSUB a 1\r\nPUB a 1\r\n3\r\n",
        "MSG a 1 1\r\n0\r\nMSG a 1 1\r\n1\r\nMSG a 1 1\r\n3\r\n");
    one(world, "", "SUB a 1\r\nPUB a 1\r\n0\r\nUNSUB 1 1\r\nPUB a 1\r\n1\r\nPING\r\n", "MSG a 1 1\r\n0\r\nPONG\r\n");
    one(world, "", "SUB a 1\r\nUNSUB 1 9\r\nUNSUB 1 1\r\nPUB a 1\r\n0\r\nPUB a 1\r\n1\r\n", "MSG a 1 1\r\n0\r\n");
    one(world, "", "SUB a 1\r\nUNSUB 1 0\r\nPUB a 1\r\n0\r\nPING\r\n", "PONG\r\n");
    one(world, "", "SUB a q 1\r\nUNSUB 1 1\r\nPUB a 1\r\n0\r\nPUB a 1\r\n1\r\n", "MSG a 1 1\r\n0\r\n");
}

TRANSCRIPT(echo)
{
    one(world, "\"echo\":false", "SUB a 1\r\nSUB a q 2\r\nPUB a 1\r\nx\r\nPING\r\n", "PONG\r\n");
    struct peer *silent = peer_connect(world, "\"echo\":false");
    peer_say(silent, "SUB a 1\r\nSUB a q 2\r\n");
    struct peer *member = peer_connect(world, "");
    peer_say(member, "SUB a q 5\r\n");
    for (int i = 0; i < 20; i++) {
        peer_say(silent, "PUB a 1\r\nx\r\n"); // its own membership is passed over
        peer_expect(member, "MSG a 5 1\r\nx\r\n");
    }
    peer_expect(silent, "");
}

TRANSCRIPT(verbose)
{
    struct peer *peer = peer_connect(world, "");
    peer_say(peer, "CONNECT {\"verbose\":true,\"pedantic\":false}\r\nSUB a 1\r\nPUB a 1\r\nx\r\nUNSUB 1\r\nUNSUB "
                   "7\r\nPING\r\nPONG\r\n");
    peer_expect(peer, "+OK\r\n+OK\r\n+OK\r\nMSG a 1 1\r\nx\r\n+OK\r\n+OK\r\nPONG\r\n");
    peer_say(peer, "SUB a..b 1\r\nPUB a..b 1\r\nx\r\n");
    peer_expect(peer, "-ERR 'Invalid Subject'\r\n+OK\r\n");
}

TRANSCRIPT(errors)
{
    last(world, "", "FOO\r\nPING\r\n", "-ERR 'Unknown Protocol Operation'\r\n");
    last(world, "", "\r\nPING\r\n", "-ERR 'Unknown Protocol Operation'\r\n");
    last(world, "", "MSG a 1 1\r\nx\r\n", "-ERR 'Unknown Protocol Operation'\r\n");
    last(world, "", "GET / HTTP/1.1\r\n\r\n", "-ERR 'Unknown Protocol Operation'\r\n");
    last(world, "", "PUB a 1\r\nxyPING\r\n", "-ERR 'Unknown Protocol Operation'\r\n");
    last(world, "", "PUB a x\r\nPING\r\n", "-ERR 'Parser Error'\r\n");
    last(world, "", "PING\r\nPUB a b c 1\r\nx\r\nPING\r\n", "PONG\r\n-ERR 'Parser Error'\r\n");
    last(world, MODERN, "HPUB a 15 14\r\nNATS/1.0\r\n\r\nhi\r\n", "-ERR 'Parser Error'\r\n");
    last(world, "", "PUB a 1001\r\nPING\r\n", "-ERR 'Maximum Payload Violation'\r\n");
    last(world, MODERN, "HPUB a 12 1001\r\nNATS/1.0\r\n\r\n", "-ERR 'Maximum Payload Violation'\r\n");
    char line[512] = "SUB ";
    memset(line + 4, 'a', 300);
    last(world, "", line, "-ERR 'maximum control line exceeded'\r\n");
}

static void connection_limit(void **state)
{
    (void)state;
    struct broker_options options = options_make();
    options.max_connections = 1;
    options.max_subscriptions = 2;
    struct world world;
    world_init(&world, &options);
    struct peer *first = peer_connect(&world, "");
    struct peer *second = peer_open(&world);
    peer_expect(second, "-ERR 'maximum connections exceeded'\r\n");
    assert_true(second->closed);
    peer_say(first, "SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nPUB c 1\r\nx\r\nUNSUB 1\r\nSUB c 3\r\nPUB c 1\r\nx\r\n");
    peer_expect(first, "-ERR 'maximum subscriptions exceeded'\r\nMSG c 3 1\r\nx\r\n");
    peer_close(first);
    struct peer *third = peer_connect(&world, "");
    peer_say(third, "PING\r\n");
    peer_expect(third, "PONG\r\n");
    world_deinit(&world);
}

static void ping_timer(void **state)
{
    (void)state;
    struct broker_options options = options_make();
    struct world world;
    world_init(&world, &options);
    struct peer *silent = peer_open(&world); // never sends CONNECT and stays
    struct peer *peer = peer_connect(&world, "");
    world_advance(&world, 1999);
    peer_expect(peer, "");
    world_advance(&world, 2400);
    peer_expect(peer, "PING\r\n");
    peer_say(peer, "PONG\r\n");
    world_advance(&world, 60000);
    peer_say(peer, "PUB a 0\r\n\r\n"); // input within the interval: no ping is needed
    peer_expect(silent, "");
    world_advance(&world, 60400);
    peer_expect(peer, "");
    peer_expect(silent, "PING\r\n");
    peer_say(silent, "PONG\r\n");
    world_advance(&world, 120000);
    peer_expect(peer, "PING\r\n");
    peer_expect(silent, "PING\r\n");
    peer_say(silent, "PONG\r\n");
    world_advance(&world, 120000);
    peer_expect(peer, "PING\r\n");
    peer_expect(silent, "PING\r\n");
    assert_false(peer->closed);
    world_advance(&world, 120000);
    peer_expect(peer, "-ERR 'Stale Connection'\r\n");
    assert_true(peer->closed);
    struct broker_stats stats;
    broker_stats_get(world.broker, &stats);
    assert_int_equal(stats.stale_connections, 1);
    assert_int_equal(stats.connections, 1);
    assert_true(broker_next_deadline_ms(world.broker) != UINT64_MAX);
    world_deinit(&world);
}

static void defaults(void **state)
{
    (void)state;
    struct broker_options options;
    broker_options_default(&options);
    assert_int_equal(options.port, 4222);
    assert_int_equal(options.max_payload, 1024 * 1024);
    assert_int_equal(options.max_control_line, 4096);
    assert_int_equal(options.max_pending, 64 * 1024 * 1024);
    assert_int_equal(options.max_connections, 65536);
    assert_int_equal(options.ping_interval_ms, 120000);
    assert_int_equal(options.ping_max, 2);
    assert_int_equal(options.write_deadline_ms, 10000);
}

static void large_payload(void **state)
{
    (void)state;
    struct broker_options options = options_make();
    options.max_payload = 1024 * 1024;
    static char text[1024 * 1024 + 64];
    static char expected[1024 * 1024 + 64];
    const size_t sizes[] = {1000, 1023, 1024, 1025, 4096, 4097, 20000, 65536, 1024 * 1024};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct world world;
        world_init(&world, &options);
        world.cut = i % 2 ? 1500 : 0;
        struct peer *peer = peer_connect(&world, "");
        struct peer *other = peer_connect(&world, "");
        peer_say(peer, "SUB a 1\r\nSUB a 2\r\n");
        peer_say(other, "SUB * 3\r\n");
        int at = snprintf(text, sizeof(text), "PUB a %zu\r\n", sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            text[(size_t)at + k] = (char)('a' + k % 23);
        memcpy(text + (size_t)at + sizes[i], "\r\n", 3);
        peer_say(peer, text);
        size_t line_len = (size_t)snprintf(expected, sizeof(expected), "MSG a 3 %zu\r\n", sizes[i]);
        memcpy(expected + line_len, text + at, sizes[i] + 3);
        peer_expect(other, expected);
        assert_int_equal(peer->received.len, 2 * (line_len + sizes[i] + 2));
        world_deinit(&world);
    }
}

// Shared by those that know headers, copied without them for who does not.
static void large_with_headers(void **state)
{
    (void)state;
    struct broker_options options = options_make();
    options.max_payload = 10000;
    struct world world;
    world_init(&world, &options);
    struct peer *modern = peer_connect(&world, MODERN), *plain = peer_connect(&world, "");
    peer_say(modern, "SUB a 1\r\nSUB a 2\r\n");
    peer_say(plain, "SUB a 3\r\n");
    char text[6100], payload[6001];
    memset(payload, 'p', 6000);
    payload[6000] = '\0';
    snprintf(text, sizeof(text), "HPUB a 12 6012\r\nNATS/1.0\r\n\r\n%s\r\n", payload);
    peer_say(modern, text);
    snprintf(text, sizeof(text), "MSG a 3 6000\r\n%s\r\n", payload);
    peer_expect(plain, text);
    size_t one = (size_t)snprintf(text, sizeof(text), "HMSG a 1 12 6012\r\nNATS/1.0\r\n\r\n%s\r\n", payload);
    assert_int_equal(modern->received.len, 2 * one);
    assert_memory_equal(modern->received.ptr, text, one);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"CO-P01 INFO at accept", info, NULL, NULL, NULL},
        {"CO-P02 before CONNECT all works, verbose and pedantic", before_connect, NULL, NULL, NULL},
        {"CO-P02 CONNECT and what it refuses", connect, NULL, NULL, NULL},
        {"CO-P03 PUB", publish, NULL, NULL, NULL},
        {"CO-P04 HPUB, CO-P06 HMSG, stripped for who knows no headers", headers, NULL, NULL, NULL},
        {"CO-P05 SUB and UNSUB", subscribe, NULL, NULL, NULL},
        {"CO-P07 PING, PONG, verbs in any case", ping, NULL, NULL, NULL},
        {"CO-P08 wildcards", wildcards, NULL, NULL, NULL},
        {"CO-P10 no responders", no_responders, NULL, NULL, NULL},
        {"CO-P11 auto-unsubscribe", auto_unsubscribe, NULL, NULL, NULL},
        {"CO-P12 echo off", echo, NULL, NULL, NULL},
        {"CO-P13 verbose", verbose, NULL, NULL, NULL},
        {"CO-P14 errors that close", errors, NULL, NULL, NULL},
        {"CO-P14 limits of connections and subscriptions", connection_limit, NULL, NULL, NULL},
        {"CO-P16 ping timer and stale connection", ping_timer, NULL, NULL, NULL},
        {"CO-P16 defaults", defaults, NULL, NULL, NULL},
        {"CO-P06 large payloads with headers, shared", large_with_headers, NULL, NULL, NULL},
        {"payloads of all sizes, shared and copied", large_payload, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
