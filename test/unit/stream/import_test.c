// SPDX-License-Identifier: Apache-2.0
// IM-03, IM-10, IM-12: messages under the numbers and times they had, consumers where they were, before and after a start.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"

enum { FROM_LOG, FROM_BASE, FROM_DELTA, STILL_LIVE, WAYS };

static int bring(struct fake_host *h, struct stream *s, uint64_t sequence, uint64_t time_ns)
{
    const struct publish publish = {.payload = BYTES("old"), .reply = BYTES("back")};
    uint64_t index;
    return engine_import_message(h->engine, s, &publish, sequence, time_ns, h->now, &index);
}

static struct stream_state stream_of(struct fake_host *h)
{
    struct stream_state state;
    stream_state_get(engine_stream_find(h->engine, 1, BYTES("s")), &state);
    return state;
}

static struct consumer *find(struct fake_host *h)
{
    return engine_consumer_find(h->engine, engine_stream_find(h->engine, 1, BYTES("s")), BYTES("c"));
}

// 51 … 60 without 55.
static struct stream *fill(struct fake_host *h)
{
    struct stream *s = fake_stream(h, "s", 0);
    for (uint64_t sequence = 51; sequence <= 60; sequence++)
        if (sequence != 55)
            assert_int_equal(bring(h, s, sequence, 1000 + sequence), 0);
    return s;
}

static void test_messages_keep_number_and_time(void **state)
{
    struct fake_host *h = *state;
    fill(h);
    fake_host_settle(h);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(stream_of(h).first_sequence, 51);
        assert_int_equal(stream_of(h).last_sequence, 60);
        assert_int_equal(stream_of(h).messages, 9);
        assert_int_equal(stream_of(h).last_time_ns, 1060);
        fake_host_crash(h, false);
    }
    struct stream *s = engine_stream_find(h->engine, 1, BYTES("s"));
    assert_int_equal(fake_publish(h, s, "new", 1), 61);
}

static void test_bad_numbers_and_times(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    assert_int_equal(bring(h, s, 0, 5), ERR_INVALID);
    assert_int_equal(bring(h, s, UINT64_MAX, 5), ERR_INVALID);
    assert_int_equal(bring(h, s, 7, 5), 0);
    assert_int_equal(bring(h, s, 7, 5), ERR_INVALID);
    assert_int_equal(bring(h, s, 6, 5), ERR_INVALID);
    assert_int_equal(bring(h, s, 8, 4), 0);
    fake_host_settle(h);
    assert_int_equal(stream_of(h).last_time_ns, 5);
    assert_int_equal(bring(h, s, 9, UINT64_MAX), 0);
    fake_host_settle(h);
    assert_int_equal(stream_of(h).last_time_ns, h->now.wall_ns);
    h->admit_error = ERR_NO_SPACE;
    assert_int_equal(bring(h, s, 10, 6), ERR_NO_SPACE);
    h->admit_error = 0;
}

// Two members, one message with each and one with nobody; everything else before 59 is finished.
static void build(struct fake_host *h, int way)
{
    struct stream *s = fill(h);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_SEQUENCE, 52);
    uint32_t members[2];
    for (int i = 0; i < 2; i++) {
        struct member *member = fake_member(h, c, 1, 60000);
        engine_member_set_state(h->engine, member, MEMBER_GONE, h->now);
        members[i] = member_id(member);
    }
    if (way == FROM_DELTA) {
        fake_host_settle(h);
        fake_host_checkpoint(h, true, 100, 0);
    }
    const struct import_pending pending[] = {{52, 1, members[0], 0}, {53, 3, members[1], 0}, {57, 1, 0, 0}};
    uint64_t index;
    assert_int_equal(engine_import_position(h->engine, c, 59, pending, 3, h->now, &index), 0);
    fake_host_settle(h);
    if (way == FROM_BASE || way == FROM_DELTA)
        fake_host_checkpoint(h, way == FROM_BASE, 100, 0);
    if (way != STILL_LIVE)
        fake_host_crash(h, way != FROM_LOG);
}

static void test_positions(void **state)
{
    struct fake_host *h = *state;
    for (int way = 0; way < WAYS; way++) {
        build(h, way);
        struct consumer *c = find(h);
        engine_check(h->engine);
        assert_int_equal(fake_consumer_state(c).next_sequence, 59);
        assert_int_equal(fake_consumer_state(c).ack_floor, 51);
        assert_int_equal(fake_consumer_state(c).pending, 3);
        assert_int_equal(fake_consumer_state(c).waiting, 2);
        struct member *first = consumer_member_next(c, NULL);
        assert_int_equal(member_in_flight(first), 1);
        // What nobody has goes out again, then what was never sent.
        struct member *third = fake_member(h, c, 10, 60000);
        fake_host_settle(h);
        assert_int_equal(h->delivery_count, 3);
        const uint64_t expected[] = {57, 59, 60};
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(h->deliveries[i].sequence, expected[i]);
        assert_int_equal(h->deliveries[0].count, 1);
        assert_int_equal(member_in_flight(third), 3);
        // Those who had something may still say that it is done.
        assert_int_equal(engine_ack(h->engine, c, 52, h->now), 0);
        assert_int_equal(engine_ack(h->engine, c, 54, h->now), ERR_NOT_FOUND);
        fake_host_settle(h);
        assert_int_equal(fake_consumer_state(c).ack_floor, 52);
        // The rest is released when nobody comes back.
        fake_host_advance(h, 6000);
        fake_host_settle(h);
        assert_int_equal(h->deliveries[3].sequence, 53);
        assert_int_equal(h->deliveries[3].count, 3);
        fake_host_tear_down(state);
        fake_host_set_up(state);
    }
}

static void test_nothing_pending(void **state)
{
    struct fake_host *h = *state;
    struct consumer *c = fake_consumer(h, fill(h), "c", true, false, CONSUMER_START_SEQUENCE, 61);
    uint64_t index;
    assert_int_equal(engine_import_position(h->engine, c, 61, NULL, 0, h->now, &index), 0);
    fake_host_settle(h);
    fake_host_crash(h, false);
    assert_int_equal(fake_consumer_state(find(h)).next_sequence, 61);
    assert_int_equal(fake_consumer_state(find(h)).ack_floor, 60);
}

static void test_positions_that_cannot_be(void **state)
{
    struct fake_host *h = *state;
    struct consumer *c = fake_consumer(h, fill(h), "c", true, false, CONSUMER_START_SEQUENCE, 52);
    const struct import_pending bad[][2] = {
        {{51, 1, 0, 0}, {53, 1, 0, 0}},        {{53, 1, 0, 0}, {53, 1, 0, 0}},          {{54, 1, 0, 0}, {53, 1, 0, 0}},
        {{53, 1, 0, 0}, {59, 1, 0, 0}},        {{53, 0, 0, 0}, {54, 1, 0, 0}},          {{53, 1, 9, 0}, {54, 1, 0, 0}},
        {{53, 1u << 24, 0, 0}, {54, 1, 0, 0}}, {{53, 1, 0, UINT64_MAX}, {54, 1, 0, 0}},
    };
    uint64_t index;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(engine_import_position(h->engine, c, 59, bad[i], 2, h->now, &index), ERR_INVALID);
    assert_int_equal(engine_import_position(h->engine, c, 62, NULL, 0, h->now, &index), ERR_INVALID);
    assert_int_equal(engine_import_position(h->engine, c, 51, NULL, 0, h->now, &index), ERR_INVALID);
    h->reserved_error = ERR_NO_SPACE;
    assert_int_equal(engine_import_position(h->engine, c, 59, NULL, 0, h->now, &index), ERR_NO_SPACE);
    h->reserved_error = 0;
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(c).next_sequence, 52);
    assert_int_equal(fake_consumer_state(c).pending, 0);
}

// What the log did not take leaves nothing behind.
static void test_refused(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fill(h);
    fake_host_settle(h);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_SEQUENCE, 52);
    const struct import_pending pending[] = {{53, 1, member_id(fake_member(h, c, 1, 60000)), 0}, {57, 1, 0, 0}};
    uint64_t index;
    assert_int_equal(engine_import_position(h->engine, c, 59, pending, 2, h->now, &index), 0);
    fake_host_refuse(h);
    engine_check(h->engine);
    assert_null(find(h));
    fake_host_settle(h);
}

// Every second one of many is pending: more than one record of acknowledgements.
static void test_many(void **state)
{
    struct fake_host *h = *state;
    enum { MANY = 70000 };
    static struct import_pending pending[MANY];
    struct stream *s = fake_stream(h, "s", 0);
    assert_int_equal(bring(h, s, 1, 1), 0);
    assert_int_equal(bring(h, s, 2 * MANY + 10, 1), 0);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    for (uint32_t i = 0; i < MANY; i++)
        pending[i] = (struct import_pending){2 * i + 1, 1, 0, 0};
    uint64_t index;
    assert_int_equal(engine_import_position(h->engine, c, 2 * MANY + 11, pending, MANY, h->now, &index), 0);
    fake_host_settle(h);
    fake_host_crash(h, false);
    assert_int_equal(fake_consumer_state(find(h)).pending, MANY);
    assert_int_equal(fake_consumer_state(find(h)).next_sequence, 2 * MANY + 11);
    assert_int_equal(fake_consumer_state(find(h)).ack_floor, 0);
}

static size_t turns(struct fake_host *h, int count)
{
    for (int i = 0; i < count; i++) {
        fake_host_turn(h);
        fake_host_commit(h, SIZE_MAX);
    }
    return h->delivery_count;
}

// What lies between two numbers is passed over at once, however far they are apart; also if the log refuses it first, and behind a message
// that is not finished. It stays passed over.
static void test_numbers_far_apart(void **state)
{
    enum { FAR = 1000000 };
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    assert_int_equal(bring(h, s, 5, 1), 0);
    assert_int_equal(bring(h, s, FAR, 1), 0);
    assert_int_equal(bring(h, s, FAR + 20, 1), 0);
    fake_host_settle(h);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    struct member *m = fake_member(h, c, 10, 30000);
    fake_host_turn(h);
    fake_host_commit(h, SIZE_MAX);
    assert_int_equal(fake_consumer_state(c).waiting, 3);
    assert_int_equal(fake_consumer_state(c).oldest_waiting, 5);
    engine_member_set_state(h->engine, m, MEMBER_READY, h->now);
    fake_host_turn(h);
    fake_host_refuse(h);
    assert_int_equal(h->delivery_count, 1);
    assert_int_equal(turns(h, 5), 3);
    assert_int_equal(h->deliveries[1].sequence, FAR);
    assert_int_equal(h->deliveries[2].sequence, FAR + 20);
    engine_check(h->engine);
    fake_host_crash(h, false);
    assert_int_equal(fake_consumer_state(find(h)).pending, 3);
    assert_int_equal(fake_consumer_state(find(h)).next_sequence, FAR + 21);
    assert_int_equal(engine_ack(h->engine, find(h), 5, h->now), 0);
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(find(h)).ack_floor, FAR - 1);
    engine_check(h->engine);
}

// Damage takes the record that passed over them along. Then that is done again, and what was delivered behind them is delivered again.
static void test_numbers_far_apart_and_damage(void **state)
{
    enum { FAR = 1000000 };
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    assert_int_equal(bring(h, s, 5, 1), 0);
    assert_int_equal(bring(h, s, FAR, 1), 0);
    fake_host_settle(h);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    struct member *m = fake_member(h, c, 10, 30000);
    fake_host_settle(h);
    engine_member_set_state(h->engine, m, MEMBER_READY, h->now);
    assert_int_equal(turns(h, 5), 2);
    for (h->lost_entry = 1; h->lost_entry <= h->entry_count; h->lost_entry++) {
        fake_host_crash(h, false);
        engine_check(h->engine);
        if (engine_stream_find(h->engine, 1, BYTES("s")) && find(h))
            assert_true(fake_consumer_state(find(h)).pending <= 2);
    }
}

// The last messages that had numbers are not there any more: the next one gets a number behind theirs, nobody's number a second time.
static void test_the_last_messages_are_gone(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    assert_int_equal(engine_import_last(h->engine, s, 40, h->now), 0);
    assert_int_equal(bring(h, s, 40, 1), ERR_INVALID);
    assert_int_equal(bring(h, s, 51, 1), 0);
    assert_int_equal(engine_import_last(h->engine, s, 51, h->now), 0);
    assert_int_equal(engine_import_last(h->engine, s, 50, h->now), 0);
    assert_int_equal(engine_import_last(h->engine, s, UINT64_MAX, h->now), ERR_INVALID);
    assert_int_equal(engine_import_last(h->engine, s, 1000, h->now), 0);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 10, 30000);
    for (int way = FROM_LOG; way < WAYS; way++) {
        fake_host_settle(h);
        assert_int_equal(stream_of(h).first_sequence, 51);
        assert_int_equal(stream_of(h).last_sequence, 1000);
        assert_int_equal(stream_of(h).messages, 1);
        if (way == FROM_BASE || way == FROM_DELTA)
            fake_host_checkpoint(h, way == FROM_BASE, 4096, 0);
        if (way != STILL_LIVE)
            fake_host_crash(h, way != FROM_LOG);
    }
    assert_int_equal(h->deliveries[0].sequence, 51);
    assert_int_equal(fake_consumer_state(find(h)).next_sequence, 1001);
    assert_int_equal(fake_consumer_state(find(h)).waiting, 0);
    assert_int_equal(fake_publish(h, engine_stream_find(h->engine, 1, BYTES("s")), "new", 1), 1001);
    fake_host_settle(h);
    engine_check(h->engine);
}

static void test_a_last_number_that_is_none(void **state)
{
    static const char bodies[][9] = {"", "\0\0\0\0\0\0\0\0", "\xff\xff\xff\xff\xff\xff\xff\xff", "\1\0\0\0\0\0\0\0\0"};
    static const size_t sizes[] = {0, 8, 8, 9};
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    fake_host_settle(h);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct record record = {
            .kind = RECORD_STREAM_LAST, .object = stream_id(s), .body = bytes_make(bodies[i], sizes[i])};
        assert_int_equal(engine_apply(h->engine, &record, fake_host_last_index(h) + 1, false), ERR_CORRUPT);
    }
}

// Limits that take the messages in front of such a gap away do not walk through it either.
static void test_limits_far_apart(void **state)
{
    enum { FAR = 10000000 };
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 1);
    assert_int_equal(bring(h, s, 5, 1), 0);
    fake_host_settle(h);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    struct member *m = fake_member(h, c, 10, 30000);
    fake_host_settle(h);
    engine_member_set_state(h->engine, m, MEMBER_READY, h->now);
    assert_int_equal(turns(h, 2), 1);
    assert_int_equal(bring(h, s, FAR, 1), 0);
    assert_int_equal(bring(h, s, FAR + 1, 1), 0);
    assert_int_equal(turns(h, 5), 2);
    assert_int_equal(fake_consumer_state(c).ack_floor, FAR);
    assert_int_equal(fake_consumer_state(c).pending, 1);
    engine_check(h->engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_messages_keep_number_and_time, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_bad_numbers_and_times, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_positions, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_pending, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_positions_that_cannot_be, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_refused, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_many, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_numbers_far_apart, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_numbers_far_apart_and_damage, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_limits_far_apart, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_the_last_messages_are_gone, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_last_number_that_is_none, fake_host_set_up, fake_host_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
