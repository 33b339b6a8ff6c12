// SPDX-License-Identifier: Apache-2.0
// What changes for clients that are connected: a server that goes (CO-P17), INFO in between (CO-P18), other limits (CO-X02).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/inspection.h"
#include "world.h"

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

static void make(struct world *world)
{
    struct broker_options options = options_make();
    world_init(world, &options);
}

// Whether what the peer received since the last time holds this; forgets it.
static bool heard(struct peer *peer, const char *part)
{
    char text[4096];
    struct bytes bytes = buffer_bytes(&peer->received);
    assert_true(bytes.len < sizeof(text));
    memcpy(text, bytes.ptr ? bytes.ptr : "", bytes.len);
    text[bytes.len] = '\0';
    bool found = strstr(text, part) != NULL;
    peer_forget(peer);
    return found;
}

static uint64_t count_connections(const struct world *world)
{
    struct broker_stats stats;
    broker_stats_get(world->broker, &stats);
    return stats.connections;
}

// CO-P17, CO-P18: only who says `protocol` 1 hears of it in between, and not before the first PONG.
static void a_lame_duck_tells_who_understands(void **state)
{
    struct world world;
    make(&world);
    struct peer *modern = peer_connect(&world, "\"protocol\":1");
    peer_say(modern, "PING\r\n");
    peer_expect(modern, "PONG\r\n");
    struct peer *simple = peer_connect(&world, "\"protocol\":0");
    peer_say(simple, "PING\r\n");
    peer_expect(simple, "PONG\r\n");
    struct peer *early = peer_connect(&world, "\"protocol\":1");
    broker_lame_duck(world.broker, 2000, 1000);
    world_turn(&world);
    assert_true(heard(modern, "\"ldm\":true"));
    peer_expect(simple, "");
    peer_expect(early, "");
    peer_say(early, "PING\r\n");
    assert_true(heard(early, "PONG\r\nINFO {"));
    broker_lame_duck(world.broker, 1, 0); // again: nothing changes
    world_turn(&world);
    peer_expect(modern, "");
    // All of them still work, and nobody else comes.
    peer_say(simple, "SUB a 1\r\n");
    peer_say(modern, "PUB a 2\r\nhi\r\n");
    peer_expect(simple, "MSG a 1 2\r\nhi\r\n");
    assert_null(peer_open(&world));
    world_deinit(&world);
}

// CO-P17: nobody before the grace period is over, then one by one, the last within the duration.
static void a_lame_duck_closes_one_by_one(void **state)
{
    struct world world;
    make(&world);
    for (int i = 0; i < 10; i++)
        peer_connect(&world, "\"protocol\":0");
    broker_lame_duck(world.broker, 11000, 1000);
    world_advance(&world, 999);
    assert_int_equal(count_connections(&world), 10);
    world_advance(&world, 1); // the first is not heard any more
    world_advance(&world, 199);
    assert_int_equal(count_connections(&world), 10);
    world_advance(&world, 1);
    assert_int_equal(count_connections(&world), 9);
    uint64_t waited_ms = 0, last = 9;
    unsigned steps = 0;
    while (count_connections(&world) > 0) {
        world_advance(&world, 10);
        waited_ms += 10;
        uint64_t left = count_connections(&world);
        assert_true(left == last || left == last - 1);
        if (left != last) {
            steps++;
            assert_in_range(waited_ms, 500, 1010); // each pause is between half and all of a second
            waited_ms = 0;
        }
        last = left;
    }
    assert_int_equal(steps, 9);
    world_deinit(&world);
}

// What a client asked for before is answered, what it asks for afterwards is not taken: it will ask elsewhere.
static void a_lame_duck_lets_answers_out_before_it_closes(void **state)
{
    struct world world;
    make(&world);
    struct peer *first = peer_connect(&world, "\"protocol\":0"), *second = peer_connect(&world, "\"protocol\":0");
    peer_say(first, "SUB answers 1\r\n");
    peer_say(second, "SUB asked 1\r\n");
    world_turn(&world);
    broker_lame_duck(world.broker, 11000, 1000);
    world_advance(&world, 1000);
    peer_say(first, "PUB asked 4\r\nlate\r\n");
    peer_say(second, "PUB answers 2\r\nOK\r\n");
    world_turn(&world);
    peer_expect(first, "MSG answers 1 2\r\nOK\r\n");
    world_advance(&world, 201);
    assert_true(first->closed && !second->closed);
    peer_expect(second, "");
    world_deinit(&world);
}

// More connections than milliseconds are closed several at a time.
static void a_lame_duck_in_a_hurry_closes_in_batches(void **state)
{
    struct world world;
    make(&world);
    for (int i = 0; i < 100; i++)
        peer_connect(&world, "\"protocol\":0");
    broker_lame_duck(world.broker, 20, 0);
    for (int i = 0; i <= 20; i++)
        world_advance(&world, 1);
    assert_int_equal(count_connections(&world), 0);
    world_deinit(&world);
}

static void a_shutdown_ends_a_lame_duck(void **state)
{
    struct world world;
    make(&world);
    struct peer *peer = peer_connect(&world, "\"protocol\":0");
    broker_lame_duck(world.broker, 100000, 10000);
    broker_shutdown(world.broker);
    world_turn(&world);
    assert_true(peer->closed);
    assert_true(broker_next_deadline_ms(world.broker) == UINT64_MAX);
    world_deinit(&world);
}

// CO-X02, CO-P18: another max_payload holds at once, and clients are told.
static void limits_change_for_who_is_connected(void **state)
{
    struct world world;
    make(&world);
    struct peer *peer = peer_connect(&world, "\"protocol\":1");
    peer_say(peer, "PING\r\nSUB a 1\r\nSUB b 2\r\n");
    peer_expect(peer, "PONG\r\n");
    struct broker_options options = options_make();
    options.max_subscriptions = 2;
    assert_int_equal(broker_limits_set(world.broker, &options, options.max_connections), 0);
    world_turn(&world);
    peer_expect(peer, ""); // nothing that INFO says has changed
    peer_say(peer, "SUB c 3\r\n");
    assert_true(heard(peer, "maximum subscriptions exceeded"));
    peer = peer_connect(&world, "\"protocol\":1");
    peer_say(peer, "PING\r\n");
    peer_expect(peer, "PONG\r\n");
    options.max_payload = 5;
    assert_int_equal(broker_limits_set(world.broker, &options, options.max_connections), 0);
    world_turn(&world);
    assert_true(heard(peer, "\"max_payload\":5"));
    peer_say(peer, "PUB a 5\r\n12345\r\nPUB a 6\r\n123456\r\n");
    peer_expect(peer, "-ERR 'Maximum Payload Violation'\r\n");
    assert_true(peer->closed);
    world_deinit(&world);
}

// CO-X02: who came last goes.
static void connections_over_a_lower_limit_are_closed(void **state)
{
    struct world world;
    make(&world);
    struct peer *peers[4];
    for (int i = 0; i < 4; i++)
        peers[i] = peer_connect(&world, "\"protocol\":0");
    struct broker_options options = options_make();
    options.max_connections = 2;
    assert_int_equal(broker_limits_set(world.broker, &options, options.max_connections), 2);
    world_turn(&world);
    for (int i = 0; i < 4; i++)
        assert_int_equal(peers[i]->closed, i >= 2);
    peer_expect(peers[3], "-ERR 'maximum connections exceeded'\r\n");
    peer_say(peers[0], "PING\r\n");
    peer_expect(peers[0], "PONG\r\n");
    world_deinit(&world);
}

// Whoever spreads connections over workers subtracts these from those that he gave away: one that is missing would be alive for ever.
static void who_is_turned_away_counts_as_ended(void **state)
{
    struct world world;
    make(&world);
    struct peer *peer = peer_connect(&world, "\"protocol\":0");
    assert_int_equal(broker_connections_ended(world.broker), 0);
    peer_close(peer);
    assert_int_equal(broker_connections_ended(world.broker), 1);
    broker_drain(world.broker);
    assert_null(peer_open(&world));
    assert_null(peer_open(&world));
    assert_int_equal(broker_connections_ended(world.broker), 3);
    world.handler->on_lost(world.handler->owner);
    assert_int_equal(broker_connections_ended(world.broker), 4);
    world_deinit(&world);
}

static uint64_t count_subscriptions(const struct world *world)
{
    struct broker_stats stats;
    broker_stats_get(world->broker, &stats);
    return stats.subscriptions;
}

// Gone at once for everybody else, and out of the way in slices.
static void many_subscriptions_end_a_few_at_a_time(void **state)
{
    struct broker_options options = options_make();
    options.leave_turn_max = 10;
    struct world world;
    world_init(&world, &options);
    struct peer *rich = peer_connect(&world, "");
    struct peer *other = peer_connect(&world, "\"headers\":true,\"no_responders\":true");
    for (int i = 0; i < 30; i++) {
        char line[64];
        snprintf(line, sizeof(line), "SUB many.%d %d\r\nSUB shared%s %d\r\n", i % 20, i, i % 2 ? " q" : "", 100 + i);
        peer_say(rich, line);
    }
    peer_say(other, "SUB inbox.* 1\r\nSUB shared q 2\r\n");
    assert_int_equal(count_subscriptions(&world), 62);
    peer_close(rich);
    assert_int_equal(count_subscriptions(&world), 2);
    int turns = 1;
    for (bool again = true; again; turns++) {
        peer_give_bytes(other, BYTES("PUB many.3 inbox.x 0\r\n\r\nPUB shared 2\r\nhi\r\n"));
        again = broker_turn_end(world.broker);
        peer_expect(other, "HMSG inbox.x 1 38 38\r\nNATS/1.0 503\r\nNats-Subject: many.3\r\n\r\n\r\n"
                           "MSG shared 2 2\r\nhi\r\n");
        broker_check(world.broker);
        broker_turn_begin(world.broker, world.now);
        assert_int_equal(count_subscriptions(&world), 2);
    }
    assert_in_range(turns, 6, 9);
    world_deinit(&world);
}

static struct inspection_sublist sublist_of(const struct world *world)
{
    struct inspection inspection;
    struct inspection_sublist sublist = {0};
    inspection_init(&inspection, 1000);
    inspection_add_subscriptions(&inspection, &sublist, world->broker, (struct bytes){0}, (struct bytes){0}, 0);
    inspection_deinit(&inspection);
    return sublist;
}

static void subscribe_many(struct peer *peer, int count, const char *format)
{
    for (int i = 0; i < count; i++) {
        char line[64];
        int len = snprintf(line, sizeof(line), format, i, i);
        peer_give_bytes(peer, bytes_make(line, (size_t)len));
    }
}

// Within one turn many come, subscribe and go: there are never more subscriptions in memory than were counted at some time.
static void who_subscribes_makes_room(void **state)
{
    struct broker_options options = options_make();
    options.leave_turn_max = 10;
    struct world world;
    world_init(&world, &options);
    uint64_t inlets = sublist_of(&world).subscriptions;
    for (int i = 0; i < 60; i++) {
        // Every other one has few.
        int count = i % 2 ? 100 : 35;
        struct peer *peer = peer_arrive(&world);
        peer_give_bytes(peer, BYTES("CONNECT {}\r\n"));
        subscribe_many(peer, count, "SUB many.%d %d\r\n");
        assert_int_equal(count_subscriptions(&world), count);
        peer_close(peer);
        struct inspection_sublist sublist = sublist_of(&world);
        assert_int_equal(sublist.subscriptions, inlets);
        assert_in_range(sublist.inserts - sublist.removes - inlets, 0, 100);
    }
    world_turn(&world);
    assert_int_equal(sublist_of(&world).inserts - sublist_of(&world).removes, inlets);
    world_deinit(&world);
}

// A large group of one connection does not have a match made of it for each slice.
static void a_crowd_leaves_quietly(void **state)
{
    struct broker_options options = options_make();
    options.leave_turn_max = 10;
    struct world world;
    world_init(&world, &options);
    struct peer *rich = peer_connect(&world, "");
    struct peer *other = peer_connect(&world, "");
    subscribe_many(rich, 500, "SUB jobs q %d\r\n");
    peer_say(other, "SUB jobs q 1\r\nSUB jobs 2\r\n");
    peer_close(rich);
    uint64_t finds = 0, hits = sublist_of(&world).cache_hits;
    for (bool again = true; again; finds++) {
        peer_give_bytes(other, BYTES("PUB jobs 2\r\nhi\r\n"));
        again = broker_turn_end(world.broker);
        peer_expect(other, "MSG jobs 2 2\r\nhi\r\nMSG jobs 1 2\r\nhi\r\n");
        broker_check(world.broker);
        broker_turn_begin(world.broker, world.now);
    }
    assert_in_range(finds, 30, 60);
    assert_in_range(sublist_of(&world).cache_hits - hits, finds - 3, finds);
    world_deinit(&world);
}

// The broker can go before they have.
static void a_broker_may_end_before_they_have(void **state)
{
    struct broker_options options = options_make();
    options.leave_turn_max = 1;
    struct world world;
    world_init(&world, &options);
    struct peer *rich = peer_connect(&world, "");
    struct peer *few = peer_connect(&world, "");
    peer_say(few, "SUB a 1\r\nSUB b.* 2\r\nSUB c q 3\r\nSUB d 4\r\n");
    subscribe_many(rich, 40, "SUB many.%d %d\r\n");
    peer_close(rich);
    peer_close(few);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lame_duck_tells_who_understands),
        cmocka_unit_test(a_lame_duck_closes_one_by_one),
        cmocka_unit_test(a_lame_duck_lets_answers_out_before_it_closes),
        cmocka_unit_test(a_lame_duck_in_a_hurry_closes_in_batches),
        cmocka_unit_test(a_shutdown_ends_a_lame_duck),
        cmocka_unit_test(limits_change_for_who_is_connected),
        cmocka_unit_test(connections_over_a_lower_limit_are_closed),
        cmocka_unit_test(who_is_turned_away_counts_as_ended),
        cmocka_unit_test(many_subscriptions_end_a_few_at_a_time),
        cmocka_unit_test(who_subscribes_makes_room),
        cmocka_unit_test(a_crowd_leaves_quietly),
        cmocka_unit_test(a_broker_may_end_before_they_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
