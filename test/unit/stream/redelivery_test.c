// SPDX-License-Identifier: Apache-2.0
// What workers say about a message that they have: give it back, give me longer, it is dead; and what a stream says about how often
// and after which wait a message goes out again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "fake_host.h"

#define SECONDS 1000000000ull

static struct consumer *find(struct fake_host *h)
{
    return engine_consumer_find(h->engine, engine_stream_find(h->engine, 1, BYTES("s")), BYTES("c"));
}

static struct stream *find_stream(struct fake_host *h)
{
    return engine_stream_find(h->engine, 1, BYTES("s"));
}

// A durable consumer with one member and so many messages, all of them out.
static struct consumer *begin(struct fake_host *h, int messages, uint64_t ack_wait_ms)
{
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 10, ack_wait_ms);
    fake_publish_many(h, s, messages);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, messages);
    return c;
}

static void configure(struct fake_host *h, uint32_t max_deliver, const uint64_t *backoff_ns, uint8_t steps)
{
    struct stream_state state;
    uint64_t index;
    stream_state_get(find_stream(h), &state);
    state.config.max_deliver = max_deliver;
    state.config.backoff_count = steps;
    if (steps)
        memcpy(state.config.backoff_ns, backoff_ns, steps * sizeof(*backoff_ns));
    assert_int_equal(engine_stream_update(h->engine, find_stream(h), &state.config, h->now, &index), 0);
    fake_host_settle(h);
}

static const struct fake_delivery *advance(struct fake_host *h, uint64_t ms)
{
    fake_host_advance(h, ms);
    fake_host_settle(h);
    return &h->deliveries[h->delivery_count - 1];
}

static int nak(struct fake_host *h, uint64_t sequence, uint64_t delay_ns, bool count)
{
    return engine_nak(h->engine, find(h), NULL, sequence, delay_ns, count, h->now);
}

// The recovered member is well again.
static void back(struct fake_host *h)
{
    engine_member_set_state(h->engine, consumer_member_next(find(h), NULL), MEMBER_READY, h->now);
}

static void test_given_back_at_once(void **state)
{
    struct fake_host *h = *state;
    begin(h, 3, 60000);
    assert_int_equal(nak(h, 2, 0, true), 0);
    assert_int_equal(nak(h, 2, 0, true), ERR_NOT_FOUND);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 4);
    assert_int_equal(h->deliveries[3].sequence, 2);
    assert_int_equal(h->deliveries[3].count, 1);
    assert_int_equal(nak(h, 2, 0, true), 0);
    fake_host_settle(h);
    assert_int_equal(h->deliveries[4].count, 2);
    assert_int_equal(nak(h, 4, 0, true), ERR_NOT_FOUND);
    engine_ack(h->engine, find(h), 2, h->now);
    assert_int_equal(nak(h, 2, 0, true), ERR_NOT_FOUND);
}

static void test_given_back_with_a_delay(void **state)
{
    struct fake_host *h = *state;
    begin(h, 2, 1000);
    assert_int_equal(nak(h, 1, 5 * SECONDS, true), 0);
    engine_ack(h->engine, find(h), 2, h->now);
    struct pending_info info;
    assert_int_equal(consumer_pending_list(find(h), 0, &info, 1), 1);
    assert_int_equal(info.place, PENDING_HELD_BACK);
    assert_int_equal(info.deadline_ns, h->now.wall_ns + 5 * SECONDS);
    advance(h, 4999);
    assert_int_equal(h->delivery_count, 2);
    assert_int_equal(advance(h, 2)->sequence, 1);
    assert_int_equal(h->delivery_count, 3);
    assert_int_equal(nak(h, 1, 5 * SECONDS, true), 0);
    assert_int_equal(engine_ack(h->engine, find(h), 1, h->now), 0); // a late one still counts
    advance(h, 6000);
    assert_int_equal(h->delivery_count, 3);
    assert_int_equal(fake_consumer_state(find(h)).ack_floor, 2);
}

static void test_who_may_give_back(void **state)
{
    struct fake_host *h = *state;
    struct consumer *c = begin(h, 1, 60000);
    struct member *first = consumer_member_next(c, NULL), *other = fake_member(h, c, 10, 60000);
    fake_host_settle(h);
    assert_int_equal(engine_nak(h->engine, c, other, 1, 0, true, h->now), ERR_NOT_FOUND);
    assert_int_equal(engine_extend(h->engine, c, other, 1, h->now), ERR_NOT_FOUND);
    assert_int_equal(engine_nak(h->engine, c, first, 1, 0, true, h->now), 0);
    fake_host_settle(h);
    assert_int_equal(h->deliveries[1].member, member_id(other));
    assert_int_equal(engine_nak(h->engine, c, first, 1, 0, true, h->now), ERR_NOT_FOUND);
    assert_int_equal(engine_extend(h->engine, c, other, 1, h->now), 0);
}

static void test_deliveries_that_do_not_count(void **state)
{
    struct fake_host *h = *state;
    begin(h, 1, 60000);
    configure(h, 2, NULL, 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(nak(h, 1, 0, false), 0);
        fake_host_settle(h);
        assert_int_equal(h->deliveries[h->delivery_count - 1].count, 0);
    }
    assert_int_equal(h->delivery_count, 6);
    assert_int_equal(nak(h, 1, 0, true), 0);
    fake_host_settle(h);
    assert_int_equal(h->deliveries[6].count, 1);
    assert_int_equal(nak(h, 1, 0, true), 0);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 7);
    assert_int_equal(fake_consumer_state(find(h)).dead, 1);
}

// ST-B12: what a worker said holds over a restart, whether it is in the log only or in an image.
static void test_given_back_survives(void **state)
{
    struct fake_host *h = *state;
    for (int image = 0; image < 2; image++) {
        begin(h, 3, 60000);
        assert_int_equal(nak(h, 1, 10 * SECONDS, true), 0);
        assert_int_equal(nak(h, 2, 10 * SECONDS, false), 0);
        assert_int_equal(nak(h, 3, 0, false), 0);
        fake_host_settle(h); // 3 is out again
        if (image)
            fake_host_checkpoint(h, true, 100, 0);
        fake_host_advance(h, 4000);
        fake_host_crash(h, image);
        back(h);
        fake_host_settle(h);
        size_t before = h->delivery_count;
        struct pending_info info[3];
        assert_int_equal(consumer_pending_list(find(h), 0, info, 3), 3);
        assert_int_equal(info[0].attempts, 1);
        assert_int_equal(info[0].place, PENDING_HELD_BACK);
        assert_int_equal(info[1].attempts, 0);
        assert_int_equal(info[2].attempts, 1);
        assert_int_equal(info[2].place, PENDING_WITH_MEMBER);
        advance(h, 5900);
        assert_int_equal(h->delivery_count, before);
        advance(h, 102);
        assert_int_equal(h->delivery_count, before + 2);
        assert_int_equal(h->deliveries[before].count, 1);
        assert_int_equal(h->deliveries[before + 1].count, 0);
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
}

// What a refused batch took along is recorded again, in its order.
static void test_given_back_in_a_refused_batch(void **state)
{
    struct fake_host *h = *state;
    begin(h, 3, 60000);
    assert_int_equal(nak(h, 1, 3600 * SECONDS, true), 0);
    assert_int_equal(nak(h, 2, 0, false), 0);
    assert_int_equal(nak(h, 3, 0, true), 0);
    for (int i = 0; i < 3; i++) {
        fake_host_turn(h); // 2 and 3 are out again
        fake_host_refuse(h);
    }
    assert_int_equal(engine_ack(h->engine, find(h), 3, h->now), 0);
    fake_host_settle(h);
    fake_host_crash(h, false);
    struct pending_info info[3];
    assert_int_equal(consumer_pending_list(find(h), 0, info, 3), 2);
    assert_int_equal(info[0].place, PENDING_HELD_BACK);
    assert_int_equal(info[0].attempts, 1);
    assert_int_equal(info[1].place, PENDING_WITH_MEMBER);
    assert_int_equal(info[1].attempts, 1);
    back(h);
    advance(h, 1000);
    assert_int_equal(h->delivery_count, 5);
    advance(h, 3600 * 1000);
    assert_true(h->delivery_count > 5);
}

// However much gathers while the log takes nothing, writing it is one pass.
static void test_much_is_written_at_once(void **state)
{
    struct fake_host *h = *state;
    enum { TIMES = 32000 };
    begin(h, 1, 60000);
    fake_host_crash(h, false);
    back(h);
    h->reserved_error = ERR_NO_SPACE;
    for (int i = 0; i < TIMES; i++) {
        assert_int_equal(nak(h, 1, 0, true), 0);
        fake_host_turn(h);
    }
    h->reserved_error = 0;
    clock_t begin_time = clock();
    fake_host_turn(h);
    assert_true(clock() - begin_time < 3 * CLOCKS_PER_SEC);
    fake_host_settle(h);
    assert_int_equal(fake_host_records(h, RECORD_RETURNED), TIMES);
    assert_int_equal(fake_host_records(h, RECORD_DELIVERED), TIMES + 1);
}

static void test_extended(void **state)
{
    struct fake_host *h = *state;
    begin(h, 2, 1000);
    for (int i = 0; i < 5; i++) {
        advance(h, 900);
        assert_int_equal(engine_extend(h->engine, find(h), NULL, 1, h->now), 0);
    }
    assert_int_equal(h->delivery_count, 4); // the other one twice more
    for (size_t i = 2; i < 4; i++)
        assert_int_equal(h->deliveries[i].sequence, 2);
    assert_int_equal(engine_ack(h->engine, find(h), 2, h->now), 0);
    advance(h, 999);
    assert_int_equal(h->delivery_count, 4);
    assert_int_equal(advance(h, 2)->sequence, 1);
    assert_int_equal(engine_extend(h->engine, find(h), NULL, 2, h->now), ERR_NOT_FOUND);
}

static void test_backoff(void **state)
{
    struct fake_host *h = *state;
    begin(h, 1, 1000);
    const uint64_t steps[] = {SECONDS / 2, 3 * SECONDS, 7 * SECONDS};
    configure(h, 0, steps, 3);
    const uint64_t expected_ms[] = {1000, 3000, 7000, 7000}; // the ack wait, where that is longer
    for (size_t i = 0; i < 4; i++) {
        advance(h, expected_ms[i] - 1);
        assert_int_equal(h->delivery_count, 1 + i);
        assert_int_equal(advance(h, 2)->count, i + 1);
        assert_int_equal(h->delivery_count, 2 + i);
    }
    assert_int_equal(nak(h, 1, 0, true), 0); // not held up
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 6);
}

// What is left of the wait between two tries holds over a restart.
static void test_backoff_survives(void **state)
{
    struct fake_host *h = *state;
    const uint64_t step = 60 * SECONDS;
    for (int image = 0; image < 2; image++) {
        begin(h, 1, 1000);
        configure(h, 3, &step, 1);
        advance(h, 1001);
        if (image)
            fake_host_checkpoint(h, true, 100, 0);
        fake_host_advance(h, 9000);
        fake_host_crash(h, image);
        back(h);
        advance(h, 49000);
        assert_int_equal(h->delivery_count, 1);
        assert_int_equal(advance(h, 1001)->count, 1);
        assert_int_equal(h->delivery_count, 2);
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
}

static void test_backoff_is_not_for_members_that_go(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    struct consumer *c = begin(h, 1, 60000);
    const uint64_t step = 600 * SECONDS;
    configure(h, 0, &step, 1);
    struct member *first = consumer_member_next(c, NULL), *other = fake_member(h, c, 1, 60000);
    fake_host_settle(h);
    engine_member_set_state(h->engine, first, MEMBER_GONE, h->now);
    advance(h, 5001);
    assert_int_equal(h->delivery_count, 2);
    assert_int_equal(engine_member_remove(h->engine, other, false, h->now, &index), 0);
    engine_member_set_state(h->engine, first, MEMBER_READY, h->now);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 3);
}

// While one waits others go out: the waiting one has no place.
static void test_backoff_gives_the_place_free(void **state)
{
    struct fake_host *h = *state;
    struct consumer *c = begin(h, 10, 1000);
    const uint64_t step = 60 * SECONDS;
    configure(h, 0, &step, 1);
    for (int i = 0; i < 5; i++)
        fake_publish(h, find_stream(h), "m", 0);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 10);
    advance(h, 1001);
    assert_int_equal(h->delivery_count, 15);
    assert_int_equal(fake_consumer_state(c).pending, 15);
    fake_host_checkpoint(h, true, 100, 0);
    fake_host_crash(h, true);
    assert_int_equal(fake_consumer_state(find(h)).pending, 15);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_given_back_at_once),
        TEST(test_given_back_with_a_delay),
        TEST(test_who_may_give_back),
        TEST(test_deliveries_that_do_not_count),
        TEST(test_given_back_survives),
        TEST(test_given_back_in_a_refused_batch),
        TEST(test_much_is_written_at_once),
        TEST(test_extended),
        TEST(test_backoff),
        TEST(test_backoff_survives),
        TEST(test_backoff_is_not_for_members_that_go),
        TEST(test_backoff_gives_the_place_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
