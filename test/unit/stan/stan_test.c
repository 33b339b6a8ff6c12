// SPDX-License-Identifier: Apache-2.0
// What answers wait for, and what becomes of requests that are overtaken by others.
#include <stdio.h>

#include "base/memory.h"
#include "base/varint.h"
#include "rig.h"
#include "stan/stan_inspect.h"

// That an id is taken is only true when the one who took it is durable; what the request itself says is true at once.
static void refusals_wait_for_what_they_rest_on(void **state)
{
    struct rig *rig = *state;
    rig_connect(rig, "a", "r.1");
    rig_connect(rig, "a", "r.2");
    rig_connect(rig, "", "r.3");
    rig_turn(rig);
    rig_expect_heard(rig, "3 clientID missing;");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;2 clientID already registered;");
    // Its close is not durable: that nobody of the name is there is not, either.
    rig_close(rig, "a", "r.1");
    rig_publish(rig, "a", "g", 10, "r.2");
    rig_subscribe(rig, "a", "r.inbox", false, "r.3");
    rig_sub_close(rig, "a", "r.inbox", "r.4");
    rig_close(rig, "a", "r.5");
    rig_turn(rig);
    rig_expect_heard(rig, "");
    rig_settle(rig);
    rig_expect_heard(rig,
                     "1 ok;2 invalid publish request;3 unknown clientID;4 invalid subscription;5 unknown clientID;");
    // With nothing on its way there is nothing to wait for.
    rig_close(rig, "a", "r.1");
    rig_expect_heard(rig, "1 unknown clientID;");
    rig_expect_counts(rig, 0, 0, 0);
}

// What the log does not take was never true.
static void refusals_go_with_what_they_rest_on(void **state)
{
    struct rig *rig = *state;
    rig_connect(rig, "a", "r.1");
    rig_connect(rig, "b", "r.2");
    rig_connect(rig, "a", "r.3");
    sim_disk_fail(&rig->disk, 1, ERR_NO_SPACE);
    rig_settle(rig);
    rig_expect_heard(rig,
                     "1 the server's disk is full, nothing was stored;2 the server's disk is full, nothing was stored;"
                     "3 the server's disk is full, nothing was stored;");
    rig_expect_counts(rig, 0, 0, 0);
    rig_connect(rig, "a", "r.1");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;");
    rig_expect_counts(rig, 1, 0, 0);
}

// ST-P05: by the inbox, of a subscription whose answer has not left.
static void a_subscription_is_closed_before_it_is_durable(void **state)
{
    struct rig *rig = *state;
    rig_connect(rig, "a", "r.0");
    rig_settle(rig);
    rig_subscribe(rig, "a", "r.inbox", false, "r.1");
    rig_sub_close(rig, "a", "r.other", "r.2");
    rig_sub_close(rig, "a", "r.inbox", "r.3");
    rig_sub_close(rig, "a", "r.inbox", "r.4");
    rig_turn(rig);
    rig_expect_heard(rig, "0 ok;");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;2 invalid subscription;3 ok;4 invalid subscription;");
    rig_expect_counts(rig, 1, 0, 0);
    // A batch that is refused takes all of it back.
    rig_subscribe(rig, "a", "r.inbox", false, "r.1");
    rig_turn(rig);
    rig_sub_close(rig, "a", "r.inbox", "r.2");
    sim_disk_fail(&rig->disk, 1, ERR_NO_SPACE);
    rig_settle(rig);
    rig->heard_len = 0;
    rig_expect_counts(rig, 1, 0, 0);
    rig_subscribe(rig, "a", "r.inbox", false, "r.1");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;");
    rig_expect_counts(rig, 1, 1, 1);
    rig_sub_close(rig, "a", "r.inbox", "r.2");
    rig_settle(rig);
    rig_expect_heard(rig, "2 ok;");
    rig_expect_counts(rig, 1, 0, 0);
}

// The same while it is searched for where it begins.
static void a_subscription_is_closed_before_it_begins(void **state)
{
    struct rig *rig = *state;
    rig_connect(rig, "a", "r.0");
    rig_settle(rig);
    for (int i = 0; i < 100; i++) {
        char guid[16];
        snprintf(guid, sizeof(guid), "g%d", i);
        rig_publish(rig, "a", guid, KIB, "");
        rig_settle(rig);
    }
    rig->heard_len = 0;
    rig_subscribe(rig, "a", "r.inbox", true, "r.1");
    rig_turn(rig);
    rig_expect_heard(rig, "");
    rig_sub_close(rig, "a", "r.inbox", "r.2");
    rig_settle(rig);
    rig_expect_heard(rig, "1 subscription closed;2 ok;");
    rig_expect_counts(rig, 1, 0, 0);
}

// That a client has gone is part of the checkpoint after that, also of one that only says what has changed.
static void a_client_that_has_gone_stays_away(void **state)
{
    struct rig *rig = *state;
    rig_connect(rig, "a", "");
    rig_connect(rig, "b", "");
    rig_pass_checkpoint(rig, "channel", "b");
    rig_close(rig, "a", "");
    rig_pass_checkpoint(rig, "channel", "b");
    rig_expect_counts(rig, 1, 0, 0);
    rig_stop(rig);
    rig_start(rig);
    rig_settle(rig);
    rig_expect_counts(rig, 1, 0, 0);
    rig->heard_len = 0;
}

// A batch that has one client more; false when the log has no room for it.
static bool connect_one(struct rig *rig, int number)
{
    char id[16];
    snprintf(id, sizeof(id), "x%d", number);
    rig->heard_len = 0;
    rig_connect(rig, id, "r.0");
    for (int i = 0; i < 12; i++) {
        rig_turn(rig);
        sim_disk_drain(&rig->disk);
    }
    rig->heard[rig->heard_len] = '\0';
    return strstr(rig->heard, "ok") != NULL;
}

enum { CLOSING = 300 };

// A server with many clients, on a disk without space for anything but what is allocated.
static void fill(struct rig *rig)
{
    char id[16];
    for (int i = 0; i < CLOSING; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        rig_connect(rig, id, "");
    }
    rig_publish(rig, "c0", "first", 10, "");
    rig_settle(rig);
    rig->disk.capacity = 1; // whatever is given back, it is not enough
}

// They all close in one turn, behind `odd` other records. Returns whether something is left to do for later.
static bool close_all(struct rig *rig, int odd)
{
    char id[16];
    rig_publish(rig, "c0", "g", 4 * KIB, ""); // wants the next file, and so shows that there is none
    rig_settle(rig);
    for (int i = 0; i < odd; i++) {
        snprintf(id, sizeof(id), "y%d", i);
        rig_connect(rig, id, "");
    }
    for (int i = 0; i < CLOSING; i++) {
        snprintf(id, sizeof(id), "c%d", i);
        rig_close(rig, id, "");
    }
    rig_settle(rig);
    return stan_next_deadline_ms(rig->stan) <= rig->now.mono_ns / 1000000 + 100;
}

// A full log may take that a client closes but not that it is gone: that follows when there is room, without a restart.
static void a_closing_without_room_is_finished_later(void **state)
{
    struct rig *rig = *state;
    int room = 0, found = 0;
    fill(rig);
    while (connect_one(rig, room))
        room++;
    for (int left = 1; left <= 4; left++) {
        for (int odd = 0; odd < 4; odd++) {
            rig_stop(rig);
            sim_disk_deinit(&rig->disk);
            sim_disk_init(&rig->disk, 7);
            rig->heard_len = 0;
            rig_start(rig);
            fill(rig);
            for (int i = 0; i < room - left; i++)
                assert_true(connect_one(rig, i));
            bool waits = close_all(rig, odd);
            uint64_t index = shard_last_index(rig->shard);
            rig->disk.capacity = UINT64_MAX;
            rig_settle(rig);
            rig_settle(rig);
            assert_true(shard_last_index(rig->shard) > index || !waits);
            assert_true(stan_next_deadline_ms(rig->stan) > rig->now.mono_ns / 1000000 + 100);
            found += waits;
        }
    }
    assert_true(found > 0);
    rig->heard_len = 0;
}

// An answer repeats the id of the publish, however wrong the rest of it is: but not one of megabytes, which no answer has room for.
static void an_id_that_is_too_long_is_not_repeated(void **state)
{
    struct rig *rig = *state;
    size_t id_size = 5 * KIB * KIB;
    char *packed = mem_alloc_zero(id_size + 16);
    packed[0] = 2 << 3 | 2; // the guid's tag
    char *to = varint_put(packed + 1, id_size) + id_size;
    *to++ = 0; // no tag of any field
    struct bytes payload = bytes_make(packed, (size_t)(to - packed));
    broker_publish(rig->broker, BYTES("_STAN.pub.test-cluster.channel"), BYTES("r.p"), (struct bytes){0}, &payload, 1);
    mem_free(packed);
    rig_settle(rig);
    rig_expect_heard(rig, "p invalid publish request;");
}

// Who may publish to the subject of one channel may not publish to others by naming them in the message.
static void a_publish_goes_to_the_channel_of_its_subject(void **state)
{
    struct rig *rig = *state;
    StanPb__PubMsg message = STAN_PB__PUB_MSG__INIT;
    message.client_id = rig_text("a");
    message.guid = rig_text("g");
    message.subject = rig_text("channel");
    rig_connect(rig, "a", "r.c");
    rig_settle(rig);
    rig_say(rig, BYTES("_STAN.pub.test-cluster.other"), "r.1", &message.base);
    rig_say(rig, BYTES("_STAN.pub.test-cluster.channel.other"), "r.2", &message.base);
    rig_say(rig, BYTES("_STAN.pub.test-cluster.channel"), "r.3", &message.base);
    rig_settle(rig);
    rig_expect_heard(rig, "c ok;1 invalid publish request;2 invalid publish request;3 ok;");
}

static char listed(struct rig *rig, uint32_t *place, uint64_t subscriptions)
{
    struct stan_client_view client;
    if (!stan_inspect_client_next(rig->stan, place, &client))
        return 0;
    assert_int_equal(client.subscriptions, subscriptions);
    return client.id.ptr[0];
}

// A list goes on in later turns, whoever comes and goes meanwhile, and knows how many subscriptions each has.
static void clients_are_listed_in_steps(void **state)
{
    struct rig *rig = *state;
    uint32_t place = 0;
    for (int i = 0; i < 4; i++)
        rig_connect(rig, (char[]){(char)('d' - i), 0}, "r.0");
    rig_subscribe(rig, "c", "r.1", false, "r.1");
    rig_subscribe(rig, "c", "r.2", false, "r.2");
    rig_subscribe(rig, "b", "r.3", false, "r.3");
    rig_settle(rig);
    assert_int_equal(listed(rig, &place, 0), 'd');
    assert_int_equal(listed(rig, &place, 2), 'c');
    rig_close(rig, "c", "r.4");
    rig_sub_close(rig, "b", "r.3", "r.5");
    rig_connect(rig, "e", "r.6");
    rig_settle(rig);
    assert_int_equal(listed(rig, &place, 0), 'b');
    assert_int_equal(listed(rig, &place, 0), 'a');
    assert_int_equal(listed(rig, &place, 0), 'e');
    assert_int_equal(listed(rig, &place, 0), 0);
    rig_stop(rig);
    rig_start(rig);
    rig_subscribe(rig, "a", "r.7", false, "r.7");
    rig_settle(rig);
    place = 0;
    assert_int_equal(listed(rig, &place, 0), 'd');
    assert_int_equal(listed(rig, &place, 0), 'b');
    assert_int_equal(listed(rig, &place, 1), 'a');
    assert_int_equal(listed(rig, &place, 0), 'e');
}

// Subscribers that are found by a start tell the engine of themselves while it recovers: with the time that it is.
static void a_pause_of_a_group_ends_in_time_after_a_restart(void **state)
{
    struct rig *rig = *state;
    struct consumer_state group;
    uint64_t index;
    rig_connect(rig, "a", "");
    rig_subscribe_durable(rig, "a", "r.inbox", "d", "");
    rig_settle(rig);
    struct engine *engine = shard_engine(rig->shard);
    struct engine_time now = {rig->now.mono_ns, rig->now.wall_ns};
    assert_int_equal(
        engine_consumer_pause(engine, engine_consumer_by_id(engine, 1), true, now.wall_ns + 20 * SECOND, now, &index),
        0);
    rig_settle(rig);
    rig_stop(rig);
    rig_start(rig);
    engine = shard_engine(rig->shard);
    rig_pass(rig, 10);
    consumer_state_get(engine_consumer_by_id(engine, 1), &group);
    assert_true(group.paused);
    rig_pass(rig, 10);
    consumer_state_get(engine_consumer_by_id(engine, 1), &group);
    assert_false(group.paused);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
    const struct CMUnitTest tests[] = {
        T(refusals_wait_for_what_they_rest_on),
        T(refusals_go_with_what_they_rest_on),
        T(a_subscription_is_closed_before_it_is_durable),
        T(a_subscription_is_closed_before_it_begins),
        T(a_client_that_has_gone_stays_away),
        T(a_closing_without_room_is_finished_later),
        T(an_id_that_is_too_long_is_not_repeated),
        T(a_publish_goes_to_the_channel_of_its_subject),
        T(clients_are_listed_in_steps),
        T(a_pause_of_a_group_ends_in_time_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
