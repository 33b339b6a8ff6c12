// SPDX-License-Identifier: Apache-2.0
// CO-S07: accounts are worlds of their own, cheap in their thousands, and come and go with the configuration.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/auth_config.h"
#include "base/memory.h"
#include "broker/account.h"
#include "broker/broker_internal.h"
#include "broker/connection.h"
#include "world.h"

struct ear {
    struct inlet inlet;
    struct broker_watch watch;
    int heard;
    enum broker_interest interest;
};

static void init(struct world *world)
{
    struct broker_options options;
    broker_options_default(&options);
    options.server_id = "ID";
    options.server_name = "name";
    options.max_accounts = 3000;
    world_init(world, &options);
}

static struct account *open_account(struct world *world, const char *name)
{
    struct bytes names[3] = {BYTES("A"), BYTES("B"), bytes_from_string(name)};
    assert_int_equal(world_accounts(world->broker, names, 3), 0);
    return account_find(world->broker, bytes_from_string(name));
}

static struct peer *connect_to(struct world *world, struct account *account)
{
    struct peer *peer = peer_connect(world, "\"headers\":true,\"no_responders\":true");
    connection_account_set(peer->context, account);
    return peer;
}

static bool hear(struct inlet *inlet, const struct inlet_message *message)
{
    (void)message;
    container_of(inlet, struct ear, inlet)->heard++;
    return true;
}

static void see(struct broker_watch *watch, enum broker_interest interest)
{
    container_of(watch, struct ear, watch)->interest = interest;
}

static void test_messages_stay_in_their_account(void **state)
{
    struct world world;
    init(&world);
    struct account *a = open_account(&world, "A"), *b = account_find(world.broker, BYTES("B"));
    struct peer *in_a = connect_to(&world, a), *in_b = connect_to(&world, b);
    struct peer *in_default = peer_connect(&world, "");
    peer_say(in_a, "SUB s 1\r\nSUB > 2\r\n");
    peer_say(in_b, "SUB s 1\r\n");
    peer_say(in_default, "SUB s 1\r\n");
    peer_say(in_b, "PUB s 2\r\nhi\r\n");
    peer_expect(in_b, "MSG s 1 2\r\nhi\r\n");
    peer_expect(in_a, "");
    peer_expect(in_default, "");
    broker_publish(world.broker, BYTES("s"), (struct bytes){0}, (struct bytes){0}, NULL, 0);
    world_turn(&world);
    peer_expect(in_default, "MSG s 1 0\r\n\r\n");
    peer_expect(in_b, "");
    // Nobody answers in B, whoever listens in A.
    peer_say(in_b, "SUB r 2\r\nPUB only.a r 0\r\n\r\n");
    peer_expect(in_b, "HMSG r 2 38 38\r\nNATS/1.0 503\r\nNats-Subject: only.a\r\n\r\n\r\n");
    broker_check(world.broker);
    world_deinit(&world);
}

static void test_inlets_and_watches_belong_to_an_account(void **state)
{
    struct world world;
    init(&world);
    struct account *a = open_account(&world, "A"), *b = account_find(world.broker, BYTES("B"));
    struct ear ear = {.inlet.on_message = hear, .watch.on_change = see};
    assert_int_equal(account_inlet_add(a, &ear.inlet, BYTES("in.>")), 0);
    assert_int_equal(account_watch_add(a, &ear.watch, BYTES("s")), BROKER_INTEREST_NONE);
    struct peer *in_a = connect_to(&world, a), *in_b = connect_to(&world, b);
    peer_say(in_b, "PUB in.x 0\r\n\r\nSUB s 1\r\n");
    assert_int_equal(ear.heard, 0);
    assert_int_equal(ear.interest, BROKER_INTEREST_NONE);
    peer_say(in_a, "PUB in.x 0\r\n\r\nSUB s 1\r\n");
    assert_int_equal(ear.heard, 1);
    assert_int_equal(ear.interest, BROKER_INTEREST_READY);
    assert_int_equal(account_interest(b, BYTES("s")), BROKER_INTEREST_READY);
    assert_int_equal(broker_interest(world.broker, BYTES("s")), BROKER_INTEREST_NONE);
    broker_check(world.broker);
    broker_inlet_remove(world.broker, &ear.inlet);
    broker_watch_remove(world.broker, &ear.watch);
    world_deinit(&world);
}

static void test_counts(void **state)
{
    struct world world;
    init(&world);
    struct account *a = open_account(&world, "A");
    struct peer *one = connect_to(&world, a), *two = connect_to(&world, a);
    peer_say(one, "SUB s 1\r\nSUB s 2\r\n");
    peer_say(two, "PUB s 3\r\nabc\r\n");
    struct account_stats stats;
    for (int round = 0; round < 2; round++) {
        account_stats_get(a, &stats);
        assert_int_equal(stats.in_msgs, 1);
        assert_int_equal(stats.in_bytes, 3);
        assert_int_equal(stats.out_msgs, 2);
        assert_int_equal(stats.out_bytes, 6);
        assert_int_equal(stats.connections, round == 0 ? 2 : 0);
        assert_int_equal(stats.subscriptions, round == 0 ? 2 : 0);
        struct broker_stats all;
        broker_stats_get(world.broker, &all);
        assert_int_equal(all.in_msgs, 1);
        assert_int_equal(all.out_bytes, 6);
        if (round == 0) {
            peer_close(one);
            peer_close(two);
        }
    }
    account_stats_get(account_default(world.broker), &stats);
    assert_int_equal(stats.in_msgs, 0);
    world_deinit(&world);
}

static void test_replace_keeps_retires_and_frees(void **state)
{
    struct world world;
    init(&world);
    struct account *a = open_account(&world, "A"), *c = open_account(&world, "C");
    assert_int_equal(account_id(account_default(world.broker)), ACCOUNT_DEFAULT_ID);
    assert_int_equal(account_id(account_system(world.broker)), ACCOUNT_SYSTEM_ID);
    struct peer *in_a = connect_to(&world, a), *in_c = connect_to(&world, c);
    struct ear ear = {.inlet.on_message = hear};
    assert_int_equal(account_inlet_add(c, &ear.inlet, BYTES("in")), 0);
    peer_say(in_a, "SUB s 1\r\n");
    uint32_t old_id = account_id(c);
    open_account(&world, "A"); // without C
    assert_null(account_find(world.broker, BYTES("C")));
    world_turn(&world);
    peer_expect(in_c, "-ERR 'Authorization Violation'\r\n");
    assert_true(in_c->closed);
    peer_say(in_a, "PUB s 0\r\n\r\n");
    peer_expect(in_a, "MSG s 1 0\r\n\r\n");
    struct account *again = open_account(&world, "C");
    assert_true(again != c && account_id(again) > old_id);
    account_publish(c, BYTES("in"), (struct bytes){0}, (struct bytes){0}, NULL, 0);
    assert_int_equal(ear.heard, 1); // the retired one works on for whom it still has
    broker_check(world.broker);
    broker_inlet_remove(world.broker, &ear.inlet);
    world_turn(&world);
    assert_true(list_empty(&world.broker->retired));
    broker_check(world.broker);
    world_deinit(&world);
}

static void test_replace_refuses(void **state)
{
    struct world world;
    init(&world);
    open_account(&world, "C");
    static struct bytes many[2999];
    struct bytes blank = BYTES("a b"), empty = BYTES("");
    assert_int_equal(world_accounts(world.broker, &blank, 1), ERR_INVALID);
    assert_int_equal(world_accounts(world.broker, &empty, 1), ERR_INVALID);
    assert_int_equal(world_accounts(world.broker, many, 2999), ERR_LIMIT);
    assert_non_null(account_find(world.broker, BYTES("C")));
    world_deinit(&world);
}

static bool add_size(void *context, struct account *account)
{
    (void)account;
    ++*(int *)context;
    return true;
}

static void test_thousands_of_accounts(void **state)
{
    struct world world;
    init(&world);
    enum { MANY = 2500 };
    static char texts[MANY][8];
    static struct bytes names[MANY];
    for (int i = 0; i < MANY; i++)
        names[i] = bytes_make(texts[i], (size_t)snprintf(texts[i], sizeof(texts[i]), "N%d", i));
    assert_int_equal(world_accounts(world.broker, names, MANY), 0);
    int count = 0;
    account_each(world.broker, add_size, &count);
    assert_int_equal(count, MANY + 2);
    struct account *last = account_find(world.broker, BYTES("N2499"));
    assert_int_equal(account_id(last), MANY + 2);
    // Unused: no cache, a small table of nodes.
    assert_int_equal(trie_stats(last->trie).cache_size_bytes, 0);
    assert_true(sizeof(struct account) < 512);
    broker_check(world.broker);
    assert_int_equal(world_accounts(world.broker, NULL, 0), 0);
    world_turn(&world);
    assert_true(list_empty(&world.broker->retired));
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_stay_in_their_account),
        cmocka_unit_test(test_inlets_and_watches_belong_to_an_account),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_replace_keeps_retires_and_frees),
        cmocka_unit_test(test_replace_refuses),
        cmocka_unit_test(test_thousands_of_accounts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
