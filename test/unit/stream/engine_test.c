// SPDX-License-Identifier: Apache-2.0
// Streams, publishing, the tentative tail, limits, start positions.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "fake_host.h"

static struct stream_state state_of(const struct stream *stream)
{
    struct stream_state state;
    stream_state_get(stream, &state);
    return state;
}

static uint64_t start_of(struct fake_host *h, struct stream *stream, enum consumer_start start, uint64_t value)
{
    static const char *const names[] = {"new", "last", "first", "sequence", "time"};
    uint64_t index;
    struct consumer_state state;
    struct consumer *consumer = fake_consumer(h, stream, names[start], true, false, start, value);
    while (!consumer && fake_host_answer(h, 0))
        consumer = engine_consumer_find(h->engine, stream, bytes_from_string(names[start]));
    consumer_state_get(consumer, &state);
    assert_int_equal(engine_consumer_delete(h->engine, consumer, h->now, &index), 0);
    return state.next_sequence;
}

static void test_stream_life(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    struct stream *stream = fake_stream(h, "a", 0), *again;
    struct stream_config config = {.account = 1, .name = BYTES("a")};
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &again, &index), ERR_EXISTS);
    config.account = 2;
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &again, &index), 0);
    assert_ptr_equal(engine_stream_find(h->engine, 1, BYTES("a")), stream);
    assert_ptr_equal(engine_stream_find(h->engine, 2, BYTES("a")), again);
    fake_host_settle(h);
    assert_int_equal(engine_stream_delete(h->engine, stream, h->now, &index), 0);
    assert_int_equal(engine_stream_delete(h->engine, stream, h->now, &index), ERR_NOT_FOUND);
    assert_null(engine_stream_find(h->engine, 1, BYTES("a")));
    struct stream *next = fake_stream(h, "a", 0);
    assert_int_not_equal(state_of(next).id, state_of(stream).id);
    fake_host_settle(h);
    assert_ptr_equal(engine_stream_next(h->engine, NULL), again);
    assert_ptr_equal(engine_stream_next(h->engine, again), next);
    assert_null(engine_stream_next(h->engine, next));
    config = (struct stream_config){.account = 1};
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &again, &index), ERR_INVALID);
}

// ST-B01: from 1, without gaps.
static void test_publish_sequences_and_time(void **state)
{
    struct fake_host *h = *state;
    struct stream *stream = fake_stream(h, "a", 0);
    assert_int_equal(fake_publish(h, stream, "1", 0), 1);
    h->now.wall_ns -= 1000000000;
    assert_int_equal(fake_publish(h, stream, "2", 0), 2);
    assert_int_equal(state_of(stream).last_sequence, 0);
    fake_host_settle(h);
    assert_int_equal(state_of(stream).last_sequence, 2);
    assert_int_equal(state_of(stream).messages, 2);
    assert_int_equal(state_of(stream).first_sequence, 1);
    assert_int_equal(state_of(stream).last_time_ns, h->now.wall_ns + 1000000000);
    assert_true(engine_is_wanted(h->engine, state_of(stream).id, 2));
    assert_false(engine_is_wanted(h->engine, state_of(stream).id, 3));
}

static void test_refused_publish_changes_nothing(void **state)
{
    struct fake_host *h = *state;
    struct stream *stream = fake_stream(h, "a", 0);
    struct publish publish = {.payload = BYTES("x"), .dedupe = {1, 1}};
    struct publish_result result;
    h->admit_error = ERR_NO_SPACE;
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), ERR_NO_SPACE);
    h->admit_error = 0;
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), 0);
    assert_int_equal(result.sequence, 1);
    assert_false(result.duplicate);
    h->admit_error = ERR_NO_SPACE;
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), 0);
    assert_true(result.duplicate);
}

static void test_duplicates(void **state)
{
    struct fake_host *h = *state;
    struct stream *stream = fake_stream(h, "a", 0);
    fake_publish(h, stream, "1", 5);
    uint64_t original = fake_host_last_index(h);
    struct publish publish = {.payload = BYTES("1"), .dedupe = {5, 5}};
    struct publish_result result;
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), 0);
    assert_true(result.duplicate && result.sequence == 1 && result.index >= original);
    fake_host_settle(h);
    h->now.wall_ns += 3600000000000ull; // a jump of the wall clock does not forget ids
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), 0);
    assert_true(result.duplicate);
    fake_host_crash(h, false);
    stream = engine_stream_find(h->engine, 1, BYTES("a"));
    h->now.wall_ns -= 3600000000000ull;
    fake_host_advance(h, 119000);
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), 0);
    assert_false(result.duplicate); // that one was spent down: the machine said that an hour had passed
    fake_host_settle(h);
    fake_host_crash(h, false);
    stream = engine_stream_find(h->engine, 1, BYTES("a"));
    fake_host_advance(h, 119000);
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), 0);
    assert_true(result.duplicate);
    fake_host_advance(h, 2000);
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), 0);
    assert_false(result.duplicate);
}

static void test_ids_full(void **state)
{
    struct fake_host *h = *state;
    h->options.max_ids = 100;
    fake_host_crash(h, false);
    struct stream *stream = fake_stream(h, "a", 0);
    struct publish publish = {.payload = BYTES("1"), .dedupe = {500, 5}};
    struct publish_result result;
    for (uint64_t n = 1; n <= 100; n++)
        fake_publish(h, stream, "m", n);
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), ERR_IDS_FULL);
    publish.dedupe = (struct hash128){0, 0};
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), 0);
    fake_host_advance(h, 120001);
    publish.dedupe = (struct hash128){500, 5};
    assert_int_equal(engine_publish(h->engine, stream, &publish, h->now, &result), 0);
}

static void test_drop_tail_takes_everything_back(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    struct stream *kept = fake_stream(h, "kept", 0);
    struct consumer *consumer = fake_consumer(h, kept, "c", false, true, CONSUMER_START_FIRST, 0);
    struct member *member = fake_member(h, consumer, 10, 1000);
    fake_publish(h, kept, "1", 1);
    fake_host_settle(h);
    fake_publish(h, kept, "2", 2);
    struct stream *lost = fake_stream(h, "lost", 0);
    struct consumer *lost_consumer = fake_consumer(h, lost, "c", false, true, CONSUMER_START_FIRST, 0);
    fake_member(h, lost_consumer, 10, 1000);
    fake_publish(h, lost, "1", 1);
    fake_consumer(h, kept, "d", false, false, CONSUMER_START_FIRST, 0);
    assert_int_equal(engine_member_remove(h->engine, member, false, h->now, &index), 0);
    assert_null(engine_consumer_find(h->engine, kept, BYTES("c")));
    assert_int_equal(engine_stream_delete(h->engine, kept, h->now, &index), 0);
    fake_stream(h, "kept", 0);
    fake_host_turn(h);
    fake_host_refuse(h);
    engine_check(h->engine);
    assert_ptr_equal(engine_stream_find(h->engine, 1, BYTES("kept")), kept);
    assert_null(engine_stream_find(h->engine, 1, BYTES("lost")));
    assert_ptr_equal(engine_consumer_find(h->engine, kept, BYTES("c")), consumer);
    assert_null(engine_consumer_find(h->engine, kept, BYTES("d")));
    assert_int_equal(fake_publish(h, kept, "2", 2), 2);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 2);
    assert_int_equal(state_of(kept).messages, 2);
}

// What is appended and may still be committed stays.
static void test_drop_tail_keeps_what_is_before(void **state)
{
    struct fake_host *h = *state;
    struct stream *stream = fake_stream(h, "a", 0);
    fake_host_settle(h);
    fake_publish(h, stream, "1", 1);
    fake_host_turn(h);
    fake_publish(h, stream, "2", 2);
    engine_drop_tail(h->engine, fake_host_last_index(h) - 1);
    mem_free(h->entries[--h->entry_count].records);
    h->open = false;
    assert_int_equal(fake_publish(h, stream, "2", 2), 2);
    fake_host_settle(h);
    assert_int_equal(state_of(stream).messages, 2);
}

static void test_acknowledgement_survives_a_refused_batch(void **state)
{
    struct fake_host *h = *state;
    struct stream *stream = fake_stream(h, "a", 0);
    struct consumer *consumer = fake_consumer(h, stream, "c", true, false, CONSUMER_START_FIRST, 0);
    struct consumer_state c;
    fake_member(h, consumer, 10, 1000);
    fake_publish(h, stream, "1", 1);
    fake_host_settle(h);
    engine_ack(h->engine, consumer, 1, h->now);
    fake_host_turn(h);
    consumer_state_get(consumer, &c);
    assert_int_equal(c.ack_floor, 0);
    fake_host_refuse(h);
    fake_host_advance(h, 2000);
    fake_host_settle(h);
    consumer_state_get(consumer, &c);
    assert_int_equal(c.ack_floor, 1);
    assert_int_equal(h->delivery_count, 1);
}

static void test_acknowledgement_waits_for_a_log_that_takes_it(void **state)
{
    struct fake_host *h = *state;
    struct stream *stream = fake_stream(h, "a", 0);
    struct consumer *consumer = fake_consumer(h, stream, "c", true, false, CONSUMER_START_FIRST, 0);
    struct consumer_state c;
    fake_member(h, consumer, 10, 60000);
    fake_publish(h, stream, "1", 0);
    fake_host_settle(h);
    assert_true(engine_next_deadline_ms(h->engine) > h->now.mono_ns / 1000000);
    assert_int_equal(engine_ack(h->engine, consumer, 1, h->now), 0);
    assert_true(engine_next_deadline_ms(h->engine) <= h->now.mono_ns / 1000000);
    h->reserved_error = ERR_NO_SPACE;
    assert_false(fake_host_turn(h));
    uint64_t next_ms = engine_next_deadline_ms(h->engine);
    assert_true(next_ms > h->now.mono_ns / 1000000 && next_ms < h->now.mono_ns / 1000000 + 1000);
    h->reserved_error = 0;
    fake_host_settle(h);
    consumer_state_get(consumer, &c);
    assert_int_equal(c.ack_floor, 1);
}

// ST-B20: the oldest go, finished or not.
static void test_limit_of_messages(void **state)
{
    struct fake_host *h = *state;
    struct stream *stream = fake_stream(h, "a", 10);
    struct consumer *consumer = fake_consumer(h, stream, "c", true, false, CONSUMER_START_FIRST, 0);
    struct consumer_state c;
    fake_member(h, consumer, 5, 100000);
    for (int i = 0; i < 25; i++) {
        fake_publish(h, stream, "m", 0);
        fake_host_settle(h);
        assert_true(state_of(stream).messages <= 10);
    }
    assert_int_equal(state_of(stream).first_sequence, 16);
    assert_int_equal(state_of(stream).messages, 10);
    consumer_state_get(consumer, &c);
    assert_int_equal(c.ack_floor, 15);
    assert_int_equal(c.pending, 5);
    assert_int_equal(engine_ack(h->engine, consumer, 1, h->now), ERR_NOT_FOUND);
    fake_host_crash(h, false);
    stream = engine_stream_find(h->engine, 1, BYTES("a"));
    assert_int_equal(state_of(stream).first_sequence, 16);
    assert_int_equal(state_of(stream).messages, 10);
}

static void test_limit_of_bytes_keeps_up(void **state)
{
    struct fake_host *h = *state;
    struct stream_config config = {.account = 1, .name = BYTES("b"), .max_bytes = 100 * 57};
    struct stream *stream;
    uint64_t index;
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &stream, &index), 0);
    for (int i = 0; i < 20; i++) {
        for (int n = 0; n < 5000; n++)
            fake_publish(h, stream, "m", 0);
        fake_host_turn(h);
        fake_host_commit(h, SIZE_MAX);
        assert_true(state_of(stream).messages <= 10200);
    }
    fake_host_settle(h);
    assert_int_equal(state_of(stream).messages, 100);
    assert_int_equal(state_of(stream).bytes, 100 * 57);
    assert_int_equal(engine_first_wanted(h->engine, state_of(stream).id), 99901);
}

static void test_limit_of_age(void **state)
{
    struct fake_host *h = *state;
    struct stream_config config = {.account = 1, .name = BYTES("b"), .max_age_ns = 10000000000ull};
    struct stream *stream;
    uint64_t index;
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &stream, &index), 0);
    fake_publish(h, stream, "m", 0);
    fake_host_settle(h);
    fake_host_advance(h, 6000);
    fake_publish(h, stream, "m", 0);
    fake_host_settle(h);
    fake_host_advance(h, 3999);
    fake_host_settle(h);
    assert_int_equal(state_of(stream).messages, 2);
    fake_host_advance(h, 2);
    assert_true(engine_next_deadline_ms(h->engine) <= h->now.mono_ns / 1000000);
    fake_host_settle(h);
    assert_int_equal(state_of(stream).messages, 1);
    fake_host_advance(h, 6001);
    fake_host_settle(h);
    assert_int_equal(state_of(stream).messages, 0);
    assert_int_equal(state_of(stream).first_sequence, 3);
    assert_int_equal(fake_publish(h, stream, "m", 0), 3);
}

static void test_update_of_limits(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    struct stream *stream = fake_stream(h, "a", 0);
    for (int i = 0; i < 50; i++)
        fake_publish(h, stream, "m", 0);
    fake_host_settle(h);
    struct stream_config config = state_of(stream).config;
    config.max_msgs = 7;
    assert_int_equal(engine_stream_update(h->engine, stream, &config, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(state_of(stream).messages, 7);
    fake_host_crash(h, false);
    assert_int_equal(state_of(engine_stream_find(h->engine, 1, BYTES("a"))).config.max_msgs, 7);
}

// ST-B05
static void test_start_positions(void **state)
{
    struct fake_host *h = *state;
    struct stream *stream = fake_stream(h, "a", 6);
    assert_int_equal(start_of(h, stream, CONSUMER_START_LAST, 0), 1);
    assert_int_equal(start_of(h, stream, CONSUMER_START_TIME, h->now.wall_ns), 1);
    uint64_t begin = h->now.wall_ns;
    for (int i = 1; i <= 10; i++) {
        fake_host_advance(h, 1000);
        fake_publish(h, stream, "m", 0);
        fake_host_settle(h);
    }
    assert_int_equal(start_of(h, stream, CONSUMER_START_NEW, 0), 11);
    assert_int_equal(start_of(h, stream, CONSUMER_START_LAST, 0), 10);
    assert_int_equal(start_of(h, stream, CONSUMER_START_FIRST, 0), 5);
    assert_int_equal(start_of(h, stream, CONSUMER_START_SEQUENCE, 7), 7);
    assert_int_equal(start_of(h, stream, CONSUMER_START_SEQUENCE, 2), 5);
    assert_int_equal(start_of(h, stream, CONSUMER_START_SEQUENCE, 99), 11);
    for (int asynchronous = 0; asynchronous < 2; asynchronous++) {
        h->asynchronous = asynchronous;
        assert_int_equal(start_of(h, stream, CONSUMER_START_TIME, begin + 7500000000ull), 8);
        assert_int_equal(start_of(h, stream, CONSUMER_START_TIME, begin + 7000000000ull), 7);
        assert_int_equal(start_of(h, stream, CONSUMER_START_TIME, begin), 5);
        assert_int_equal(start_of(h, stream, CONSUMER_START_TIME, begin + 60000000000ull), 11);
    }
}

static void never(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    ++*(int *)owner;
}

static void test_create_waiting_for_a_seek(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    int calls = 0;
    struct stream *stream = fake_stream(h, "a", 0);
    fake_publish(h, stream, "m", 0);
    fake_host_settle(h);
    h->asynchronous = true;
    struct consumer_config config = {.name = BYTES("c"), .protocol = 1, .start = CONSUMER_START_TIME};
    engine_consumer_create(h->engine, stream, &config, h->now, never, &calls);
    engine_consumer_create_cancel(h->engine, &calls);
    assert_int_equal(h->read_count, 0);
    assert_int_equal(calls, 0);
    engine_consumer_create(h->engine, stream, &config, h->now, never, &calls);
    assert_int_equal(engine_stream_delete(h->engine, stream, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(calls, 1);
    assert_int_equal(h->read_count, 0);
}

static void test_limits_of_members(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    struct member *member;
    struct stream_config config = {.account = 1, .name = BYTES("b"), .max_consumers = 2};
    struct stream *stream;
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &stream, &index), 0);
    struct consumer *plain = fake_consumer(h, stream, "p", true, false, CONSUMER_START_FIRST, 0);
    struct consumer *group = fake_consumer(h, stream, "g", true, true, CONSUMER_START_FIRST, 0);
    struct member_config m = {.max_in_flight = 1, .ack_wait_ns = 1000000};
    member = fake_member(h, plain, 1, 1000);
    assert_int_equal(engine_member_add(h->engine, plain, &m, h->now, &member, &index), ERR_EXISTS);
    fake_member(h, group, 1, 1000);
    assert_int_equal(engine_member_add(h->engine, group, &m, h->now, &member, &index), ERR_LIMIT);
    assert_int_equal(engine_member_remove(h->engine, consumer_member_next(plain, NULL), false, h->now, &index), 0);
    assert_int_equal(engine_member_add(h->engine, plain, &m, h->now, &member, &index), 0);
    m.max_in_flight = 0;
    assert_int_equal(engine_member_add(h->engine, group, &m, h->now, &member, &index), ERR_INVALID);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_stream_life),
        TEST(test_publish_sequences_and_time),
        TEST(test_refused_publish_changes_nothing),
        TEST(test_duplicates),
        TEST(test_ids_full),
        TEST(test_drop_tail_takes_everything_back),
        TEST(test_drop_tail_keeps_what_is_before),
        TEST(test_acknowledgement_survives_a_refused_batch),
        TEST(test_acknowledgement_waits_for_a_log_that_takes_it),
        TEST(test_limit_of_messages),
        TEST(test_limit_of_bytes_keeps_up),
        TEST(test_limit_of_age),
        TEST(test_update_of_limits),
        TEST(test_start_positions),
        TEST(test_create_waiting_for_a_seek),
        TEST(test_limits_of_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
