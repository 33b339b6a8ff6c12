// SPDX-License-Identifier: Apache-2.0
// What owners of watches hear when connections come, go, and fall behind.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "world.h"

#define NONE      BROKER_INTEREST_NONE
#define READY     BROKER_INTEREST_READY
#define CONGESTED BROKER_INTEREST_CONGESTED

struct watcher {
    struct broker_watch watch;
    struct broker *broker;
    enum broker_interest heard[16];
    size_t count;
    struct watcher *removes; // from within the callback
    const char *publishes;   // when ready: a message to this subject
    int publish_count;
};

static void hear(struct broker_watch *watch, enum broker_interest interest)
{
    struct watcher *watcher = (struct watcher *)(void *)watch;
    if (watcher->count < 16)
        watcher->heard[watcher->count++] = interest;
    if (watcher->removes) {
        broker_watch_remove(watcher->broker, &watcher->removes->watch);
        watcher->removes = NULL;
    }
    if (watcher->publishes && interest == READY && watcher->publish_count > 0) {
        watcher->publish_count--;
        struct bytes part = BYTES("0123456789");
        for (int i = 0; i < 12; i++)
            broker_publish(watcher->broker, bytes_from_string(watcher->publishes), (struct bytes){0}, (struct bytes){0},
                           &part, 1);
    }
}

static enum broker_interest watch(struct watcher *watcher, struct world *world, const char *subject)
{
    *watcher = (struct watcher){.watch.on_change = hear, .broker = world->broker};
    return broker_watch_add(world->broker, &watcher->watch, bytes_from_string(subject));
}

// Exactly one report since the last look, of this interest.
static void heard(struct watcher *watcher, enum broker_interest interest)
{
    assert_int_equal(watcher->count, 1);
    assert_int_equal(watcher->heard[0], interest);
    watcher->count = 0;
}

static void silent(struct watcher *watcher)
{
    assert_int_equal(watcher->count, 0);
}

static void setup(struct world *world)
{
    struct broker_options options;
    broker_options_default(&options);
    options.congested_bytes = 200;
    options.max_pending = 2000;
    world_init(world, &options);
}

static void come_and_go(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct watcher a, b, single;
    assert_int_equal(watch(&a, &world, "_INBOX.x.1"), NONE);
    assert_int_equal(watch(&b, &world, "_INBOX.x.1"), NONE);
    assert_int_equal(watch(&single, &world, "one"), NONE);
    struct peer *peer = peer_connect(&world, "");
    const char *patterns[] = {"_INBOX.x.1", "_INBOX.x.*", "_INBOX.x.>",   "_INBOX.>",
                              "*.x.1",      ">",          "_INBOX.x.1 q", "_INBOX.*.1 q"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "SUB %s 1\r\n", patterns[i]);
        peer_say(peer, line);
        heard(&a, READY);
        heard(&b, READY);
        assert_int_equal(broker_interest(world.broker, BYTES("_INBOX.x.1")), READY);
        peer_say(peer, "SUB _INBOX.x.1 2\r\nUNSUB 1\r\n"); // another instead: no change
        silent(&a);
        peer_say(peer, "UNSUB 2\r\n");
        heard(&a, NONE);
        heard(&b, NONE);
    }
    single.count = 0;
    peer_say(
        peer,
        "SUB _INBOX.x 1\r\nSUB _INBOX.x.1.2 2\r\nSUB _INBOX.x.2 3\r\nSUB _INBOX.x.1.> 4\r\n"); // none of our business
    silent(&a);
    peer_say(peer, "SUB one 5\r\nUNSUB 5\r\n"); // came and went in one turn
    silent(&single);
    peer_say(peer, "SUB one 5\r\n");
    heard(&single, READY);
    peer_say(peer, "UNSUB 5 1\r\nPUB one 0\r\n\r\n"); // ends by itself
    heard(&single, NONE);
    peer_say(peer, "SUB * 6\r\nSUB _INBOX.x.* 7\r\n");
    heard(&single, READY);
    heard(&a, READY);
    heard(&b, READY);
    assert_int_equal(broker_interest(world.broker, BYTES("_INBOX.x.1")), READY);
    broker_watch_remove(world.broker, &b.watch);
    peer_close(peer);
    world_turn(&world);
    heard(&single, NONE);
    heard(&a, NONE);
    silent(&b);
    world_deinit(&world);
}

enum { MANY = 100 };

// With the same first tokens, as the inboxes of one connection; two watch each.
static void many_under_one_prefix(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    static struct watcher many[MANY];
    char line[64];
    for (int i = 0; i < MANY; i++) {
        snprintf(line, sizeof(line), "_INBOX.x.%d", i / 2);
        assert_int_equal(watch(&many[i], &world, line), NONE);
    }
    struct peer *peer = peer_connect(&world, "");
    for (int i = 0; i < MANY; i++) {
        if (i % 2 == 0) {
            snprintf(line, sizeof(line), "SUB _INBOX.x.%d %d\r\n", i / 2, i + 1);
            peer_say(peer, line);
        }
        heard(&many[i], READY);
        silent(&many[(i + 2) % MANY]);
    }
    peer_say(peer, "SUB _INBOX.x.* 1000\r\n");
    for (int i = 0; i < MANY; i += 2) {
        broker_watch_remove(world.broker, &many[i + i / 2 % 2].watch);
        snprintf(line, sizeof(line), "UNSUB %d\r\n", i + 1);
        peer_say(peer, line);
    }
    peer_say(peer, "UNSUB 1000\r\n");
    for (int i = 0; i < MANY; i += 2) {
        silent(&many[i + i / 2 % 2]);
        heard(&many[i + 1 - i / 2 % 2], NONE);
        broker_watch_remove(world.broker, &many[i + 1 - i / 2 % 2].watch);
    }
    world_deinit(&world);
}

static bool ignore(struct inlet *inlet, const struct inlet_message *message)
{
    (void)inlet;
    (void)message;
    return true;
}

static void inlets_do_not_count(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct watcher watcher;
    struct inlet inlet = {.on_message = ignore};
    assert_int_equal(watch(&watcher, &world, "a.b"), NONE);
    assert_int_equal(broker_inlet_add(world.broker, &inlet, BYTES("a.b")), 0);
    world_turn(&world);
    silent(&watcher);
    assert_int_equal(broker_interest(world.broker, BYTES("a.b")), NONE);
    world_deinit(&world);
}

static void an_error_ends_interest(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct watcher watcher;
    watch(&watcher, &world, "a");
    struct peer *peer = peer_connect(&world, "");
    peer_say(peer, "SUB a 1\r\n");
    heard(&watcher, READY);
    peer_take(peer, 0);
    peer->takes = 0; // it cannot even be told
    peer_give_bytes(peer, BYTES("NONSENSE\r\n"));
    assert_int_equal(broker_interest(world.broker, BYTES("a")), NONE); // at once, though nothing has happened yet
    silent(&watcher);
    world_turn(&world);
    heard(&watcher, NONE);
    assert_false(peer->closed);
    peer_take(peer, 1000);
    peer_expect(peer, "-ERR 'Unknown Protocol Operation'\r\n");
    assert_true(peer->closed);
    silent(&watcher);
    world_deinit(&world);
}

// 40 bytes on the wire each.
static void send(struct world *world, int count)
{
    struct bytes part = BYTES("01234567890123456789");
    for (int i = 0; i < count; i++)
        broker_publish(world->broker, BYTES("inbox.1"), (struct bytes){0}, (struct bytes){0}, &part, 1);
}

static void congestion(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct watcher watcher, other;
    watch(&watcher, &world, "inbox.1");
    struct peer *peer = peer_connect(&world, "");
    peer_say(peer, "SUB inbox.* 1\r\n");
    heard(&watcher, READY);
    peer->takes = 0;
    send(&world, 5); // 200 bytes
    world_turn(&world);
    silent(&watcher);
    send(&world, 1); // 240
    assert_int_equal(broker_interest(world.broker, BYTES("inbox.1")), CONGESTED);
    silent(&watcher); // not before the turn's end
    world_turn(&world);
    heard(&watcher, CONGESTED);
    assert_int_equal(watch(&other, &world, "inbox.2"), CONGESTED);
    struct broker_stats stats;
    broker_stats_get(world.broker, &stats);
    assert_int_equal(stats.pending_bytes, 240);
    peer_take(peer, 110); // 130 left: below the mark, above its half
    silent(&watcher);
    send(&world, 1);
    world_turn(&world);
    silent(&watcher);
    struct peer *second = peer_connect(&world, ""); // somebody else reads fast
    peer_say(second, "SUB inbox.1 q 9\r\n");
    heard(&watcher, READY);
    peer_close(second);
    world_turn(&world);
    heard(&watcher, CONGESTED);
    peer_take(peer, 120);
    heard(&watcher, READY);
    heard(&other, READY);
    world_deinit(&world);
}

// Full within a turn, empty at its end: whoever saw it full and stopped is told to go on.
static void dips_are_reported(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct watcher watcher;
    watch(&watcher, &world, "inbox.1");
    struct peer *peer = peer_connect(&world, "");
    peer_say(peer, "SUB inbox.1 1\r\n");
    heard(&watcher, READY);
    assert_false(broker_watch_is_behind(&watcher.watch));
    send(&world, 6);
    assert_int_equal(broker_interest(world.broker, BYTES("inbox.1")), CONGESTED);
    assert_true(broker_watch_is_behind(&watcher.watch));
    world_turn(&world);
    heard(&watcher, READY);
    assert_false(broker_watch_is_behind(&watcher.watch));
    // A pump of that kind runs on, but in turns.
    watcher.publishes = "inbox.1";
    watcher.publish_count = 50;
    send(&world, 6);
    assert_true(broker_turn_end(world.broker));
    assert_true(watcher.publish_count > 0);
    world_turn(&world);
    assert_int_equal(watcher.publish_count, 0);
    world_deinit(&world);
}

// What the owner decides then is carried out at the end of its own turn, which may be over: there must be another.
static void another_turn_for_the_owner(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct watcher watcher;
    watch(&watcher, &world, "inbox.1");
    struct peer *peer = peer_connect(&world, "");
    peer_say(peer, "SUB inbox.1 1\r\n");
    heard(&watcher, READY);
    assert_false(broker_turn_end(world.broker));
    peer_close(peer);
    assert_true(broker_turn_end(world.broker));
    heard(&watcher, NONE);
    assert_false(broker_turn_end(world.broker));
    world_deinit(&world);
}

static void removal_inside(void **state)
{
    (void)state;
    struct world world;
    setup(&world);
    struct watcher a, b;
    watch(&a, &world, "x.y");
    watch(&b, &world, "x.y");
    a.removes = &b;
    b.removes = &a;
    struct peer *peer = peer_connect(&world, "");
    peer_say(peer, "SUB x.y 1\r\n");
    assert_int_equal(a.count + b.count, 1);
    struct watcher *left = a.count ? &a : &b;
    left->count = 0;
    left->removes = left;
    peer_say(peer, "UNSUB 1\r\n");
    heard(left, NONE);
    peer_say(peer, "SUB x.y 1\r\n");
    silent(left);
    world_deinit(&world);
}

static struct peer *connect_rich(struct world *world, int count, const char *first)
{
    struct peer *peer = peer_connect(world, "");
    peer_say(peer, first);
    for (int i = 0; i < count; i++) {
        char line[64];
        snprintf(line, sizeof(line), "SUB many.%d %d\r\n", i, 10 + i);
        peer_say(peer, line);
    }
    return peer;
}

// That one goes who had a million subscriptions delays no report about others.
static void nobody_waits_for_the_rich(void **state)
{
    (void)state;
    struct broker_options options;
    broker_options_default(&options);
    options.leave_turn_max = 4;
    struct world world;
    world_init(&world, &options);
    struct watcher of_poor, of_rich;
    watch(&of_poor, &world, "poor");
    watch(&of_rich, &world, "rich");
    struct peer *richest = connect_rich(&world, 1000, "");
    struct peer *rich = connect_rich(&world, 50, "SUB rich 1\r\n");
    struct peer *poor = peer_connect(&world, "");
    peer_say(poor, "SUB poor 1\r\n");
    heard(&of_poor, READY);
    heard(&of_rich, READY);
    peer_close(richest);
    peer_close(rich);
    peer_close(poor);
    assert_true(broker_turn_end(world.broker));
    heard(&of_poor, NONE);
    // Who has many takes turns with others who have.
    for (int turns = 0; of_rich.count == 0; turns++) {
        assert_true(turns < 40);
        broker_turn_begin(world.broker, world.now);
        assert_true(broker_turn_end(world.broker));
    }
    heard(&of_rich, NONE);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"subscriptions come and go, literal, wildcard and queue", come_and_go, NULL, NULL, NULL},
        {"many with the same first tokens", many_under_one_prefix, NULL, NULL, NULL},
        {"only connections are interest", inlets_do_not_count, NULL, NULL, NULL},
        {"a connection that is being closed is none", an_error_ends_interest, NULL, NULL, NULL},
        {"congestion and its hysteresis", congestion, NULL, NULL, NULL},
        {"congestion within a turn is followed by a report", dips_are_reported, NULL, NULL, NULL},
        {"a change is followed by a turn for its owner", another_turn_for_the_owner, NULL, NULL, NULL},
        {"reports about others do not wait for who had a million subscriptions", nobody_waits_for_the_rich, NULL, NULL,
         NULL},
        {"watches removed from within a report", removal_inside, NULL, NULL, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
