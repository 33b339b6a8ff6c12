// SPDX-License-Identifier: Apache-2.0
// How much may be delivered and not finished: what one consumer has parked, and what all have together.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"

#define SECONDS 1000000000ull

// A host with these limits; 0: the usual ones.
static void limit(struct fake_host *h, uint32_t max_pending, uint32_t max_parked)
{
    h->options.max_pending = max_pending;
    h->options.max_parked = max_parked;
    fake_host_crash(h, false);
}

// A group with one member, which has a place for everything.
static struct consumer *begin(struct fake_host *h, const char *name, struct stream **ret_stream)
{
    *ret_stream = fake_stream(h, name, 0);
    struct consumer *c = fake_consumer(h, *ret_stream, "c", true, true, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 1000, 60000);
    fake_host_settle(h);
    return c;
}

static void publish_many(struct fake_host *h, struct stream *stream, int count)
{
    fake_publish_many(h, stream, count);
    fake_host_settle(h);
}

static size_t delivered_to(const struct fake_host *h, struct consumer *c)
{
    size_t count = 0;
    for (size_t i = 0; i < h->delivery_count; i++)
        count += h->deliveries[i].member == member_id(consumer_member_next(c, NULL));
    return count;
}

static void give_back(struct fake_host *h, struct consumer *c, uint64_t first, uint64_t last, uint64_t delay_ns)
{
    for (uint64_t sequence = first; sequence <= last; sequence++)
        assert_int_equal(engine_nak(h->engine, c, NULL, sequence, delay_ns, true, h->now), 0);
    fake_host_settle(h);
}

// At its limit a consumer gets nothing new, and goes on as soon as one of its parked messages leaves, whichever way.
static void test_parked_messages_stop_first_deliveries(void **state)
{
    struct fake_host *h = *state;
    struct stream *s;
    limit(h, 0, 4);
    struct consumer *c = begin(h, "s", &s);
    publish_many(h, s, 4);
    give_back(h, c, 1, 4, 3600 * SECONDS);
    assert_int_equal(fake_consumer_state(c).parked, 4);
    publish_many(h, s, 10);
    assert_int_equal(h->delivery_count, 4);
    // Acknowledged late.
    assert_int_equal(engine_ack(h->engine, c, 2, h->now), 0);
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(c).parked, 3);
    assert_int_equal(h->delivery_count, 14);
    give_back(h, c, 5, 9, 3600 * SECONDS);
    publish_many(h, s, 1);
    assert_int_equal(h->delivery_count, 14);
    // Dead.
    for (uint64_t sequence = 5; sequence <= 9; sequence++)
        assert_int_equal(engine_terminate(h->engine, c, sequence, BYTES(""), h->now), 0);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 15);
    give_back(h, c, 10, 12, 10 * SECONDS);
    publish_many(h, s, 1);
    assert_int_equal(h->delivery_count, 15);
    // Out again.
    fake_host_advance(h, 10001);
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(c).parked, 3);
    assert_int_equal(h->delivery_count, 19);
}

// What is with members does not count, and one that is parked is no matter to other consumers.
static void test_parked_messages_are_a_consumers_own(void **state)
{
    struct fake_host *h = *state;
    struct stream *a, *b;
    limit(h, 0, 4);
    struct consumer *ca = begin(h, "a", &a), *cb = begin(h, "b", &b);
    publish_many(h, a, 20);
    assert_int_equal(delivered_to(h, ca), 20);
    give_back(h, ca, 1, 20, 3600 * SECONDS);
    publish_many(h, a, 1);
    publish_many(h, b, 20);
    assert_int_equal(delivered_to(h, ca), 20);
    assert_int_equal(delivered_to(h, cb), 20);
}

// Too many are out: who is turned away is served, in turn, as others finish; nothing else has to happen.
static void test_too_many_are_out(void **state)
{
    struct fake_host *h = *state;
    struct stream *a, *b, *c;
    limit(h, 8, 0);
    struct consumer *ca = begin(h, "a", &a), *cb = begin(h, "b", &b), *cc = begin(h, "c", &c);
    publish_many(h, a, 8);
    publish_many(h, b, 2);
    publish_many(h, c, 2);
    publish_many(h, a, 2);
    assert_int_equal(delivered_to(h, ca), 8);
    assert_int_equal(delivered_to(h, cb) + delivered_to(h, cc), 0);
    assert_true(engine_next_deadline_ms(h->engine) > h->now.mono_ns / 1000000);
    assert_int_equal(engine_ack(h->engine, ca, 1, h->now), 0);
    fake_host_turn(h);
    assert_int_equal(h->delivery_count, 8);
    fake_host_commit(h, SIZE_MAX);
    assert_int_equal(engine_next_deadline_ms(h->engine), h->now.mono_ns / 1000000);
    fake_host_settle(h);
    assert_int_equal(delivered_to(h, cb), 1);
    for (uint64_t sequence = 2; sequence <= 3; sequence++) {
        assert_int_equal(engine_ack(h->engine, ca, sequence, h->now), 0);
        fake_host_settle(h);
    }
    assert_int_equal(delivered_to(h, ca) + delivered_to(h, cb) + delivered_to(h, cc), 11);
    assert_true(delivered_to(h, cb) > 0 && delivered_to(h, cc) > 0);
    // Redeliveries do not wait for room.
    give_back(h, ca, 4, 8, 0);
    assert_int_equal(h->delivery_count, 16);
}

// One that waits for room may go.
static void test_who_is_turned_away_may_go(void **state)
{
    struct fake_host *h = *state;
    struct stream *a, *b;
    uint64_t index;
    limit(h, 1, 0);
    struct consumer *ca = begin(h, "a", &a), *cb = begin(h, "b", &b);
    publish_many(h, a, 1);
    publish_many(h, b, 1);
    assert_int_equal(h->delivery_count, 1);
    assert_int_equal(engine_consumer_delete(h->engine, cb, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(engine_ack(h->engine, ca, 1, h->now), 0);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_parked_messages_stop_first_deliveries),
        TEST(test_parked_messages_are_a_consumers_own),
        TEST(test_too_many_are_out),
        TEST(test_who_is_turned_away_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
