// SPDX-License-Identifier: Apache-2.0
// Several workers as one server: interest, messages, waiting, windows and watches between brokers, in orders that threads may take.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "broker/account.h"
#include "town.h"

static void open_town(struct town *town, uint32_t count)
{
    struct broker_options options;
    broker_options_default(&options);
    options.seed = 7;
    town_init(town, count, &options);
}

static struct peer *connect(struct town *town, uint32_t worker, const char *json)
{
    return peer_connect(&town->workers[worker].world, json);
}

// Everything that is under way arrives.
static void say(struct town *town, struct peer *peer, const char *text)
{
    peer_say(peer, text);
    town_settle(town);
}

static size_t count_of(const struct peer *peer, const char *text)
{
    size_t count = 0;
    struct bytes rest = buffer_bytes(&peer->received);
    size_t len = strlen(text);
    while (rest.len >= len) {
        const char *at = memmem(rest.ptr, rest.len, text, len);
        if (!at)
            break;
        count++;
        rest = bytes_skip(rest, (size_t)(at - rest.ptr) + len);
    }
    return count;
}

static void test_messages_cross(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    struct peer *a = connect(&town, 0, ""), *b = connect(&town, 1, "\"headers\":true"), *c = connect(&town, 2, "");
    say(&town, b, "SUB x.* 1\r\nSUB x.y 2\r\n");
    say(&town, c, "SUB x.y 9\r\nPING\r\n");
    peer_expect(c, "PONG\r\n");
    say(&town, a, "PUB x.y r 2\r\nab\r\nPUB x.z 1\r\nc\r\nPUB none 1\r\n-\r\nPING\r\n");
    peer_expect(a, "PONG\r\n");
    peer_expect(b, "MSG x.y 2 r 2\r\nab\r\nMSG x.y 1 r 2\r\nab\r\nMSG x.z 1 1\r\nc\r\n");
    peer_expect(c, "MSG x.y 9 r 2\r\nab\r\n");
    struct peer *h = connect(&town, 0, "\"headers\":true");
    say(&town, h, "HPUB x.z 12 13\r\nNATS/1.0\r\n\r\n!\r\n");
    peer_expect(b, "HMSG x.z 1 12 13\r\nNATS/1.0\r\n\r\n!\r\n");
    say(&town, b, "UNSUB 1\r\nUNSUB 2\r\n");
    say(&town, a, "PUB x.y 1\r\na\r\n");
    peer_expect(b, "");
    peer_expect(c, "MSG x.y 9 1\r\na\r\n");
    town_deinit(&town);
}

// CO-P04: a client that has its PONG is subscribed, for whoever publishes anywhere.
static void test_ping_waits_until_all_know(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    struct peer *a = connect(&town, 0, "");
    peer_say(a, "SUB x 1\r\nPING\r\nPUB y 1\r\n1\r\nPING\r\n");
    peer_expect(a, "");
    town_step(&town, 1, SIZE_MAX);
    town_step(&town, 0, SIZE_MAX);
    peer_expect(a, "");
    town_step(&town, 2, SIZE_MAX);
    peer_expect(a, "");
    town_step(&town, 0, SIZE_MAX);
    peer_expect(a, "PONG\r\nPONG\r\n");
    // Known already: nothing to wait for, on the same connection or another.
    struct peer *b = connect(&town, 0, "");
    peer_say(a, "SUB x 2\r\nPING\r\n");
    peer_expect(a, "PONG\r\n");
    peer_say(b, "SUB x 2\r\nPING\r\n");
    peer_expect(b, "PONG\r\n");
    // Nor for what was withdrawn in the same turn, though the round still ends.
    peer_say(b, "SUB z 3\r\nUNSUB 3\r\nPING\r\n");
    town_settle(&town);
    peer_expect(b, "PONG\r\n");
    town_deinit(&town);
}

// The +OK of a SUB is a promise too (CO-P03).
static void test_verbose_confirms_when_all_know(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 2);
    struct peer *a = peer_open(&town.workers[0].world);
    peer_say(a, "CONNECT {\"verbose\":true}\r\nSUB x 1\r\nSUB y 2\r\nPUB y 1\r\na\r\n");
    peer_expect(a, "+OK\r\n");
    town_settle(&town);
    peer_expect(a, "+OK\r\n+OK\r\n+OK\r\nMSG y 2 1\r\na\r\n");
    town_deinit(&town);
}

static void test_reply_never_overtakes_interest(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    struct peer *responder = connect(&town, 1, "");
    say(&town, responder, "SUB service 1\r\n");
    struct peer *requester = connect(&town, 0, "");
    peer_say(requester, "SUB inbox.1 5\r\nUNSUB 5 1\r\nPUB service inbox.1 1\r\n?\r\n");
    // The responder's worker goes as fast as it can; the third one sleeps and keeps the request from leaving.
    for (int i = 0; i < 5; i++) {
        town_step(&town, 1, SIZE_MAX);
        town_step(&town, 0, SIZE_MAX);
    }
    peer_expect(responder, "");
    town_step(&town, 2, SIZE_MAX);
    town_step(&town, 0, SIZE_MAX);
    town_step(&town, 1, SIZE_MAX);
    peer_expect(responder, "MSG service 1 inbox.1 1\r\n?\r\n");
    peer_say(responder, "PUB inbox.1 1\r\n!\r\n");
    town_step(&town, 0, SIZE_MAX);
    peer_expect(requester, "MSG inbox.1 5 1\r\n!\r\n");
    say(&town, responder, "PUB inbox.1 1\r\n!\r\n");
    peer_expect(requester, "");
    town_deinit(&town);
}

static void test_group_members_are_drawn_alike(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    struct peer *a = connect(&town, 0, "");
    struct peer *one = connect(&town, 1, ""), *two = connect(&town, 2, ""), *three = connect(&town, 2, "");
    say(&town, one, "SUB x q 1\r\n");
    say(&town, two, "SUB x q 1\r\n");
    say(&town, three, "SUB x q 1\r\n");
    say(&town, a, "SUB * q 1\r\n");
    for (int i = 0; i < 1000; i++)
        peer_give_bytes(a, BYTES("PUB x 1\r\nm\r\n"));
    town_settle(&town);
    size_t total = 0;
    struct peer *all[] = {a, one, two, three};
    for (int i = 0; i < 4; i++) {
        size_t count = count_of(all[i], "MSG x 1 1\r\nm\r\n");
        assert_in_range(count, 190, 310);
        total += count;
    }
    assert_int_equal(total, 1000);
    town_deinit(&town);
}

// A member leaves while messages for it are under way: they go to members elsewhere, each to one.
static void test_group_is_passed_on(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    struct peer *a = connect(&town, 0, ""), *b = connect(&town, 1, ""), *c = connect(&town, 2, "");
    say(&town, b, "SUB x q 1\r\n");
    say(&town, c, "SUB x q 1\r\n");
    char text[64];
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof(text), "PUB x 2\r\n%02d\r\n", i);
        peer_give_bytes(a, bytes_from_string(text));
    }
    town_step(&town, 0, SIZE_MAX);
    peer_say(b, "UNSUB 1\r\n");
    town_settle(&town);
    assert_int_equal(count_of(b, "MSG x 1 2\r\n"), 0);
    assert_int_equal(count_of(c, "MSG x 1 2\r\n"), 40);
    for (int i = 0; i < 40; i++) {
        snprintf(text, sizeof(text), "\r\n%02d\r\n", i);
        assert_int_equal(count_of(c, text), 1);
    }
    town_deinit(&town);
}

// Back to where it began, where its own publisher does not want it, is nobody there; but another one is.
static void test_group_comes_home(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 2);
    struct peer *a = connect(&town, 0, "\"echo\":false"), *b = connect(&town, 1, "");
    say(&town, b, "SUB x q 1\r\n");
    say(&town, a, "SUB x q 1\r\n");
    peer_say(a, "PUB x 1\r\nm\r\n");
    peer_say(b, "UNSUB 1\r\n");
    town_settle(&town);
    peer_expect(a, "");
    peer_expect(b, "");
    say(&town, b, "SUB x q 1\r\n");
    struct peer *other = connect(&town, 0, "");
    for (int i = 0; i < 20; i++)
        peer_give_bytes(a, BYTES("PUB x 1\r\nm\r\n"));
    town_step(&town, 0, SIZE_MAX);
    say(&town, other, "SUB x q 1\r\n");
    say(&town, b, "UNSUB 1\r\n");
    assert_int_equal(count_of(other, "m\r\n") + count_of(b, "m\r\n"), 20);
    peer_expect(a, "");
    town_deinit(&town);
}

#define REQUESTER "\"headers\":true,\"no_responders\":true"

// CO-P10
static void test_nobody_answers(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    struct peer *a = connect(&town, 0, REQUESTER), *b = connect(&town, 1, ""), *c = connect(&town, 2, "");
    const char *none = "HMSG inbox.1 5 39 39\r\nNATS/1.0 503\r\nNats-Subject: service\r\n\r\n\r\n";
    say(&town, a, "SUB inbox.* 5\r\nPUB service inbox.1 1\r\n?\r\n");
    peer_expect(a, none);
    // Somebody was there when it left.
    say(&town, b, "SUB service 1\r\n");
    peer_say(a, "PUB service inbox.1 1\r\n?\r\n");
    peer_expect(a, "");
    peer_say(b, "UNSUB 1\r\n");
    town_settle(&town);
    peer_expect(a, none);
    peer_expect(b, "");
    // The same for a group, which is passed on first.
    say(&town, b, "SUB service q 1\r\n");
    say(&town, c, "SUB service q 1\r\n");
    peer_say(a, "PUB service inbox.1 1\r\n?\r\n");
    peer_say(b, "UNSUB 1\r\n");
    peer_say(c, "UNSUB 1\r\n");
    town_settle(&town);
    peer_expect(a, none);
    peer_expect(b, "");
    peer_expect(c, "");
    // And none when one of two was there.
    say(&town, b, "SUB service q 1\r\n");
    say(&town, c, "SUB service q 1\r\n");
    peer_say(a, "PUB service inbox.1 1\r\n?\r\n");
    peer_say(b, "UNSUB 1\r\n");
    town_settle(&town);
    peer_expect(a, "");
    peer_expect(c, "MSG service 1 inbox.1 1\r\n?\r\n");
    town_deinit(&town);
}

// Long payloads are shared by all, short ones copied.
static void test_long_payloads(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    size_t len = 300000;
    char *payload = mem_alloc(len + 1), *line = mem_alloc(len + 100), *wanted = mem_alloc(len + 100);
    memset(payload, 'p', len);
    payload[len] = 0;
    struct peer *a = connect(&town, 0, ""), *own = connect(&town, 0, "");
    struct peer *b = connect(&town, 1, ""), *c = connect(&town, 2, "");
    say(&town, own, "SUB x 1\r\n");
    say(&town, b, "SUB x 1\r\nSUB x q 2\r\n");
    say(&town, c, "SUB x 1\r\n");
    int n = snprintf(line, len + 100, "PUB x %zu\r\n%s\r\n", len, payload);
    peer_say_bytes(a, bytes_make(line, (size_t)n));
    peer_close(a);
    town_settle(&town);
    snprintf(wanted, len + 100, "MSG x 1 %zu\r\n%s\r\n", len, payload);
    peer_expect(own, wanted);
    peer_expect(c, wanted);
    assert_int_equal(b->received.len, 2 * strlen(wanted));
    assert_int_equal(count_of(b, wanted), 1);
    mem_free(payload);
    mem_free(line);
    mem_free(wanted);
    town_deinit(&town);
}

// A worker that does not keep up stops those who feed it, nobody else; nothing is lost.
static void test_window(void **state)
{
    (void)state;
    struct town town;
    struct broker_options options;
    broker_options_default(&options);
    options.remote_window_bytes = 10000;
    town_init(&town, 2, &options);
    struct peer *a = connect(&town, 0, ""), *b = connect(&town, 1, ""), *c = connect(&town, 0, "");
    say(&town, b, "SUB x 1\r\n");
    char text[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "PUB x 3\r\n%03d\r\n", i);
        peer_give_bytes(a, bytes_from_string(text));
    }
    assert_true(a->paused);
    peer_say(c, "PUB y 1\r\n1\r\nPING\r\n");
    peer_expect(c, "PONG\r\n");
    size_t before = a->unread.len;
    assert_in_range(before, 5000, 15000);
    town_step(&town, 1, SIZE_MAX);
    assert_in_range(count_of(b, "MSG x 1 3\r\n"), 50, 300);
    town_settle(&town);
    assert_false(a->paused);
    assert_int_equal(count_of(b, "MSG x 1 3\r\n"), 1000);
    const char *at = b->received.ptr;
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "MSG x 1 3\r\n%03d\r\n", i);
        assert_memory_equal(at, text, strlen(text));
        at += strlen(text);
    }
    town_deinit(&town);
}

struct drain {
    struct inlet inlet;
    uint64_t connection;
    size_t count;
    bool full;
};

static bool take(struct inlet *inlet, const struct inlet_message *message)
{
    struct drain *drain = (struct drain *)(void *)inlet;
    drain->connection = message->connection;
    drain->count++;
    return !drain->full;
}

static void test_inlet_elsewhere(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    struct broker *home = town.workers[0].world.broker;
    struct drain drain = {.inlet.on_message = take};
    assert_int_equal(broker_inlet_add(home, &drain.inlet, BYTES("_IN.>")), 0);
    town_settle(&town);
    struct peer *a = connect(&town, 1, ""), *b = connect(&town, 2, "");
    say(&town, a, "PUB _IN.x 1\r\n1\r\n");
    assert_int_equal(drain.count, 1);
    uint64_t id_a = drain.connection;
    say(&town, b, "PUB _IN.x 1\r\n1\r\n");
    assert_true(drain.connection != id_a && drain.connection != 0);
    // Overloaded: who feeds it is not read until it says so; others go on.
    drain.full = true;
    say(&town, a, "PUB _IN.x 1\r\n1\r\n");
    assert_int_equal(drain.count, 3);
    say(&town, a, "PUB _IN.x 1\r\n1\r\nPING\r\n");
    assert_int_equal(drain.count, 3);
    assert_true(a->paused);
    peer_expect(a, "");
    say(&town, b, "PING\r\n");
    peer_expect(b, "PONG\r\n");
    drain.full = false;
    broker_inlets_resume(home);
    town_settle(&town);
    assert_int_equal(drain.count, 4);
    peer_expect(a, "PONG\r\n");
    broker_inlet_remove(home, &drain.inlet);
    town_settle(&town);
    say(&town, a, "PUB _IN.x 1\r\n1\r\n");
    assert_int_equal(drain.count, 4);
    town_deinit(&town);
}

// Two workers' inlets are overloaded; one recovers. Its resume sets the connection going, whose next message stops it again.
static void test_inlets_of_two_workers(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    struct drain drains[2] = {{.inlet.on_message = take, .full = true}, {.inlet.on_message = take, .full = true}};
    struct broker *homes[2] = {town.workers[1].world.broker, town.workers[2].world.broker};
    assert_int_equal(broker_inlet_add(homes[0], &drains[0].inlet, BYTES("_A")), 0);
    assert_int_equal(broker_inlet_add(homes[1], &drains[1].inlet, BYTES("_B")), 0);
    town_settle(&town);
    struct peer *peer = connect(&town, 0, "");
    say(&town, peer, "PUB _A 1\r\n1\r\nPUB _B 1\r\n1\r\n");
    assert_true(peer->paused && drains[0].count == 1 && drains[1].count == 1);
    drains[1].full = false;
    broker_inlets_resume(homes[1]);
    town_settle(&town);
    assert_false(peer->paused);
    say(&town, peer, "PUB _A 1\r\n1\r\n");
    assert_int_equal(drains[0].count, 2);
    assert_true(peer->paused);
    say(&town, peer, "PING\r\n");
    peer_expect(peer, "");
    drains[0].full = false;
    broker_inlets_resume(homes[0]);
    town_settle(&town);
    peer_expect(peer, "PONG\r\n");
    for (int i = 0; i < 2; i++)
        broker_inlet_remove(homes[i], &drains[i].inlet);
    town_settle(&town);
    town_deinit(&town);
}

struct watcher {
    struct broker_watch watch;
    enum broker_interest heard[32];
    size_t count;
    enum broker_interest interest; // last heard
};

static void hear(struct broker_watch *watch, enum broker_interest interest)
{
    struct watcher *watcher = (struct watcher *)(void *)watch;
    watcher->interest = interest;
    if (watcher->count < 32)
        watcher->heard[watcher->count++] = interest;
}

static void heard(struct watcher *watcher, enum broker_interest interest)
{
    assert_int_equal(watcher->count, 1);
    assert_int_equal(watcher->heard[0], interest);
    watcher->count = 0;
}

static void test_watch_elsewhere(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 3);
    struct broker *home = town.workers[0].world.broker;
    struct watcher watcher = {.watch.on_change = hear}, late = {.watch.on_change = hear};
    assert_int_equal(broker_watch_add(home, &watcher.watch, BYTES("in.a")), BROKER_INTEREST_NONE);
    town_settle(&town);
    assert_int_equal(watcher.count, 0);
    struct peer *a = connect(&town, 1, ""), *b = connect(&town, 2, "");
    say(&town, a, "SUB in.a 1\r\n");
    heard(&watcher, BROKER_INTEREST_READY);
    say(&town, b, "SUB in.* 1\r\n");
    assert_int_equal(watcher.count, 0);
    say(&town, a, "UNSUB 1\r\n");
    assert_int_equal(watcher.count, 0);
    // Known from the interest, before anybody was asked.
    assert_int_equal(broker_watch_add(home, &late.watch, BYTES("in.a")), BROKER_INTEREST_READY);
    town_settle(&town);
    assert_int_equal(late.count, 0);
    peer_close(b);
    town_settle(&town);
    heard(&watcher, BROKER_INTEREST_NONE);
    heard(&late, BROKER_INTEREST_NONE);
    broker_watch_remove(home, &late.watch);
    struct peer *own = connect(&town, 0, "");
    say(&town, own, "SUB in.a 1\r\n");
    heard(&watcher, BROKER_INTEREST_READY);
    broker_watch_remove(home, &watcher.watch);
    town_deinit(&town);
}

// What a replay does: it sends while the watch is not behind, and goes on when it is told so.
static size_t replay(struct broker *home, struct watcher *watcher, size_t *left)
{
    size_t sent = 0;
    char payload[1000];
    memset(payload, 'x', sizeof(payload));
    struct bytes part = bytes_make(payload, sizeof(payload)), none = {0};
    struct broker_path path = {0};
    while (*left > 0 && watcher->interest == BROKER_INTEREST_READY && !broker_watch_is_behind(&watcher->watch)) {
        assert_int_equal(broker_publish_along(home, &path, BYTES("in.a"), none, &part, 1), 1);
        --*left;
        sent++;
    }
    return sent;
}

// A reader on another worker that takes nothing is never sent more than the mark and what may be under way.
static void test_replay_at_the_readers_speed(void **state)
{
    (void)state;
    struct town town;
    struct broker_options options;
    broker_options_default(&options);
    options.max_pending = 2 * 1024 * 1024;
    options.congested_bytes = 100 * 1000;
    town_init(&town, 2, &options);
    struct broker *home = town.workers[0].world.broker;
    struct peer *a = connect(&town, 1, "");
    say(&town, a, "SUB in.a 1\r\n");
    struct watcher watcher = {.watch.on_change = hear, .interest = BROKER_INTEREST_READY};
    assert_int_equal(broker_watch_add(home, &watcher.watch, BYTES("in.a")), BROKER_INTEREST_READY);
    town_settle(&town);
    a->takes = 0;
    size_t left = 20000, sent = replay(home, &watcher, &left);
    assert_in_range(sent, 100, 600);
    assert_int_equal(replay(home, &watcher, &left), 0);
    for (int i = 0; i < 5; i++) {
        town_settle(&town);
        sent += replay(home, &watcher, &left);
    }
    assert_in_range(sent, 100, 1200);
    assert_int_equal(watcher.interest, BROKER_INTEREST_CONGESTED);
    struct broker_stats stats;
    broker_stats_get(town.workers[1].world.broker, &stats);
    assert_int_equal(stats.slow_consumers, 0);
    // It reads: everything comes.
    for (int i = 0; i < 1000 && left > 0; i++) {
        peer_take(a, 400000);
        town_settle(&town);
        replay(home, &watcher, &left);
    }
    assert_int_equal(left, 0);
    peer_take(a, SIZE_MAX);
    town_settle(&town);
    assert_int_equal(count_of(a, "MSG in.a 1 1000\r\n"), 20000);
    broker_stats_get(town.workers[1].world.broker, &stats);
    assert_int_equal(stats.slow_consumers, 0);
    broker_watch_remove(home, &watcher.watch);
    town_deinit(&town);
}

// One that reads is not lost because what one turn has for it is more than it may have waiting, be the limit small from the start or
// since a reload.
static void test_a_burst_is_no_slow_consumer(void **state)
{
    (void)state;
    for (int reload = 0; reload < 2; reload++) {
        struct town town;
        struct broker_options small, options;
        broker_options_default(&options);
        small = options;
        small.max_pending = 64 * 1024;
        small.congested_bytes = 16 * 1024;
        town_init(&town, 2, reload ? &options : &small);
        for (uint32_t i = 0; i < 2; i++)
            broker_limits_set(town.workers[i].world.broker, &small, small.max_connections);
        struct broker *home = town.workers[0].world.broker;
        struct peer *a = connect(&town, 1, "");
        say(&town, a, "SUB in.a 1\r\n");
        struct watcher watcher = {.watch.on_change = hear, .interest = BROKER_INTEREST_READY};
        assert_int_equal(broker_watch_add(home, &watcher.watch, BYTES("in.a")), BROKER_INTEREST_READY);
        town_settle(&town);
        size_t left = 1000;
        for (int i = 0; i < 1000 && left > 0; i++) {
            replay(home, &watcher, &left);
            town_settle(&town);
        }
        assert_int_equal(left, 0);
        assert_int_equal(count_of(a, "MSG in.a 1 1000\r\n"), 1000);
        struct broker_stats stats;
        broker_stats_get(town.workers[1].world.broker, &stats);
        assert_int_equal(stats.slow_consumers, 0);
        broker_watch_remove(home, &watcher.watch);
        town_deinit(&town);
    }
}

static void test_drain(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 2);
    struct broker *first = town.workers[0].world.broker;
    struct peer *a = connect(&town, 0, ""), *b = connect(&town, 1, "");
    say(&town, b, "SUB x 1\r\n");
    peer_say(a, "PUB x 1\r\n1\r\n");
    assert_false(broker_remote_is_idle(first));
    broker_drain(first);
    peer_say(a, "PUB x 1\r\n2\r\n");
    town_settle(&town);
    assert_true(broker_remote_is_idle(first));
    peer_expect(b, "MSG x 1 1\r\n1\r\n");
    say(&town, b, "PUB y 1\r\n-\r\nPING\r\n");
    peer_expect(b, "PONG\r\n");
    assert_null(peer_open(&town.workers[0].world));
    broker_shutdown(first);
    town_settle(&town);
    assert_true(a->closed);
    town_deinit(&town);
}

static void test_accounts_stay_apart(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 2);
    struct bytes names[] = {BYTES("A")};
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(world_accounts(town.workers[i].world.broker, names, 1), 0);
    struct account *account = account_find(town.workers[0].world.broker, names[0]);
    struct drain drain = {.inlet.on_message = take};
    assert_int_equal(account_inlet_add(account, &drain.inlet, BYTES("x")), 0);
    struct peer *a = connect(&town, 1, "");
    say(&town, a, "PUB x 1\r\n1\r\n");
    assert_int_equal(drain.count, 0);
    struct bytes part = BYTES("1"), none = {0};
    struct account *other = account_find(town.workers[1].world.broker, names[0]);
    assert_int_equal(account_publish(other, BYTES("x"), none, none, &part, 1), 1);
    town_settle(&town);
    assert_int_equal(drain.count, 1);
    // It goes when nobody anywhere needs it any more.
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(world_accounts(town.workers[i].world.broker, NULL, 0), 0);
    town_settle(&town);
    broker_inlet_remove(town.workers[0].world.broker, &drain.inlet);
    town_settle(&town);
    town_deinit(&town);
}

// What others want of an account is remembered until it comes here.
static void test_interest_comes_before_its_account(void **state)
{
    (void)state;
    struct town town;
    open_town(&town, 2);
    struct bytes names[] = {BYTES("A")}, part = BYTES("1"), none = {0};
    assert_int_equal(world_accounts(town.workers[0].world.broker, names, 1), 0);
    struct account *account = account_find(town.workers[0].world.broker, names[0]);
    struct drain stays = {.inlet.on_message = take}, goes = {.inlet.on_message = take};
    assert_int_equal(account_inlet_add(account, &stays.inlet, BYTES("stays.*")), 0);
    assert_int_equal(account_inlet_add(account, &goes.inlet, BYTES("goes")), 0);
    town_settle(&town);
    broker_inlet_remove(town.workers[0].world.broker, &goes.inlet);
    town_settle(&town);
    assert_int_equal(world_accounts(town.workers[1].world.broker, names, 1), 0);
    struct account *other = account_find(town.workers[1].world.broker, names[0]);
    assert_int_equal(account_publish(other, BYTES("stays.1"), none, none, &part, 1), 1);
    assert_int_equal(account_publish(other, BYTES("goes"), none, none, &part, 1), 0);
    town_settle(&town);
    assert_int_equal(stays.count, 1);
    broker_inlet_remove(town.workers[0].world.broker, &stays.inlet);
    town_settle(&town);
    assert_int_equal(account_publish(other, BYTES("stays.1"), none, none, &part, 1), 0);
    town_deinit(&town);
}

static void test_ids_are_the_servers(void **state)
{
    (void)state;
    struct town town;
    struct broker_options options;
    broker_options_default(&options);
    options.max_connections = 2;
    town_init(&town, 3, &options);
    broker_remote_count_connections(town.workers[0].world.broker, 1);
    struct peer *a = connect(&town, 0, "");
    struct peer *b = peer_open(&town.workers[0].world);
    peer_expect(a, "");
    peer_expect(b, "-ERR 'maximum connections exceeded'\r\n");
    town_deinit(&town);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_cross),
        cmocka_unit_test(test_ping_waits_until_all_know),
        cmocka_unit_test(test_verbose_confirms_when_all_know),
        cmocka_unit_test(test_reply_never_overtakes_interest),
        cmocka_unit_test(test_group_members_are_drawn_alike),
        cmocka_unit_test(test_group_is_passed_on),
        cmocka_unit_test(test_group_comes_home),
        cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_long_payloads),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_inlet_elsewhere),
        cmocka_unit_test(test_inlets_of_two_workers),
        cmocka_unit_test(test_watch_elsewhere),
        cmocka_unit_test(test_replay_at_the_readers_speed),
        cmocka_unit_test(test_a_burst_is_no_slow_consumer),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_accounts_stay_apart),
        cmocka_unit_test(test_interest_comes_before_its_account),
        cmocka_unit_test(test_ids_are_the_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
