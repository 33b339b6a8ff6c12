// SPDX-License-Identifier: Apache-2.0
// What monitoring sees of a consumer: bytes, the oldest messages, who holds what.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"

enum { HEAD = RECORD_MESSAGE_SIZE };

static struct consumer *find(struct fake_host *h)
{
    return engine_consumer_find(h->engine, engine_stream_find(h->engine, 1, BYTES("s")), BYTES("c"));
}

static void assert_bytes(const struct consumer *consumer, uint64_t pending, uint64_t waiting)
{
    assert_int_equal(fake_consumer_state(consumer).pending_bytes, pending);
    assert_int_equal(fake_consumer_state(consumer).waiting_bytes, waiting);
}

static void test_bytes(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 5);
    struct consumer *c = fake_consumer(h, s, "c", true, false, CONSUMER_START_FIRST, 0);
    assert_bytes(c, 0, 0);
    struct member *m = fake_member(h, c, 2, 60000);
    fake_publish(h, s, "1", 0);
    fake_publish(h, s, "22", 0);
    fake_publish(h, s, "333", 0);
    fake_host_commit(h, SIZE_MAX);
    fake_host_settle(h);
    assert_bytes(c, 2 * HEAD + 3, HEAD + 3);
    engine_ack(h->engine, c, 1, h->now);
    assert_bytes(c, HEAD + 2, HEAD + 3);
    fake_host_settle(h);
    assert_bytes(c, 2 * HEAD + 5, 0);
    engine_member_set_state(h->engine, m, MEMBER_CONGESTED, h->now);
    fake_publish(h, s, "4444", 0);
    fake_publish(h, s, "55555", 0);
    fake_host_settle(h);
    assert_bytes(c, 2 * HEAD + 5, 2 * HEAD + 9);
    for (int i = 0; i < 4; i++)
        fake_publish(h, s, "x", 0);
    fake_host_settle(h); // 1 to 4 are gone
    assert_bytes(c, 0, 5 * HEAD + 9);
    engine_member_set_state(h->engine, m, MEMBER_READY, h->now);
    fake_host_settle(h);
    assert_bytes(c, 2 * HEAD + 6, 3 * HEAD + 3);
    for (int i = 0; i < 2; i++) {
        struct consumer *all =
            fake_consumer(h, s, i ? "new" : "all", true, false, i ? CONSUMER_START_NEW : CONSUMER_START_FIRST, 0);
        assert_bytes(all, 0, i ? 0 : 5 * HEAD + 9);
    }
}

// After a start they are guessed, until what was there has gone out.
static void test_bytes_after_a_start(void **state)
{
    struct fake_host *h = *state;
    for (int image = 0; image < 2; image++) {
        struct stream *s = fake_stream(h, "s", 0);
        struct consumer *c = fake_consumer(h, s, "c", true, false, CONSUMER_START_FIRST, 0);
        struct member *m = fake_member(h, c, 2, 60000);
        fake_publish(h, s, "1", 0);
        fake_publish(h, s, "333", 0);
        fake_publish(h, s, "55555", 0);
        fake_publish(h, s, "7777777", 0);
        fake_host_settle(h);
        if (image)
            fake_host_checkpoint(h, true, 100, 0);
        fake_host_crash(h, image);
        c = find(h);
        assert_bytes(c, 2 * (HEAD + 4), 2 * (HEAD + 4));
        m = consumer_member_next(c, NULL);
        engine_member_set_state(h->engine, m, MEMBER_READY, h->now);
        engine_ack(h->engine, c, 1, h->now);
        engine_ack(h->engine, c, 2, h->now);
        fake_host_settle(h);
        assert_bytes(c, 2 * HEAD + 12, 0);
        fake_publish(h, engine_stream_find(h->engine, 1, BYTES("s")), "1", 0);
        fake_host_settle(h);
        assert_bytes(c, 2 * HEAD + 12, HEAD + 1);
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
}

static void test_oldest(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", true, false, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 3, 60000);
    uint64_t begin_ns = h->now.wall_ns, time_ns;
    assert_int_equal(fake_consumer_state(c).oldest_pending, 0);
    assert_int_equal(fake_consumer_state(c).oldest_waiting, 0);
    for (int i = 0; i < 5; i++) {
        fake_publish(h, s, "m", 0);
        fake_host_advance(h, 1000);
    }
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(c).oldest_pending, 1);
    assert_int_equal(fake_consumer_state(c).oldest_waiting, 4);
    engine_ack(h->engine, c, 1, h->now);
    engine_ack(h->engine, c, 3, h->now);
    assert_int_equal(fake_consumer_state(c).oldest_pending, 2);
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(c).oldest_pending, 2);
    assert_int_equal(fake_consumer_state(c).oldest_waiting, 0);
    assert_int_equal(engine_message_time(h->engine, s, 2, &time_ns), 0);
    assert_int_equal(time_ns, begin_ns + 1000000000);
    assert_int_equal(engine_message_time(h->engine, s, 6, &time_ns), ERR_NOT_FOUND);
}

static void test_who_holds_what(void **state)
{
    struct fake_host *h = *state;
    struct pending_info info[4];
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    struct member *m = fake_member(h, c, 4, 60000);
    assert_int_equal(consumer_pending_list(c, 0, info, 4), 0);
    uint64_t out_ns = h->now.wall_ns;
    for (int i = 0; i < 5; i++)
        fake_publish(h, s, "m", 0);
    fake_host_settle(h);
    engine_ack(h->engine, c, 2, h->now);
    fake_host_advance(h, 10);
    assert_int_equal(consumer_pending_list(c, 0, info, 4), 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(info[i].sequence, i == 0 ? 1 : i + 2);
        assert_int_equal(info[i].member, member_id(m));
        assert_int_equal(info[i].attempts, 1);
        assert_int_equal(info[i].place, PENDING_WITH_MEMBER);
        assert_int_equal(info[i].size, HEAD + 1);
        assert_int_equal(info[i].delivered_ns, out_ns);
        assert_int_equal(info[i].deadline_ns, out_ns + 60000000000ull);
    }
    assert_int_equal(consumer_pending_list(c, 0, info, 2), 2);
    assert_int_equal(consumer_pending_list(c, 3, info, 1), 1);
    assert_int_equal(info[0].sequence, 3);
    engine_member_set_state(h->engine, m, MEMBER_CONGESTED, h->now);
    fake_host_advance(h, 60001);
    fake_host_settle(h);
    assert_int_equal(consumer_pending_list(c, 4, info, 4), 1);
    assert_int_equal(info[0].place, PENDING_FOR_REDELIVERY);
    assert_int_equal(info[0].deadline_ns, 0);
    fake_host_crash(h, false);
    assert_int_equal(consumer_pending_list(find(h), 0, info, 4), 3);
    assert_int_equal(info[0].attempts, 1);
    assert_int_equal(info[0].delivered_ns, 0);
    assert_int_equal(info[0].deadline_ns, 0);
}

// Numbers below the position that are neither finished nor pending, however many a damaged store has of them, are not walked through.
static void test_holes_are_passed_over(void **state)
{
    struct fake_host *h = *state;
    static const uint64_t expected[] = {1, 2, 3, 4, 5000, 5001};
    struct pending_info info[9];
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 4, 60000);
    for (int i = 0; i < 4; i++)
        fake_publish(h, s, "m", 0);
    fake_host_settle(h);
    fake_host_checkpoint(h, true, 100, 0);
    struct engine *engine = engine_new(&h->options);
    struct bytes rest = buffer_bytes(&h->image);
    struct record record;
    for (size_t used; rest.len; rest = bytes_skip(rest, used)) {
        assert_int_equal(record_get(rest, true, &record, &used), 0);
        assert_int_equal(engine_restore(engine, &record), 0);
    }
    // Two that the stream never had: 5000 and 5001.
    record = (struct record){.kind = RECORD_DELIVERED, .object = consumer_id(c), .body = BYTES("\x8e\x4e\x01\x00\x01")};
    record.body.len = 5;
    assert_int_equal(engine_apply(engine, &record, fake_host_last_index(h) + 1, false), 0);
    c = engine_consumer_by_id(engine, consumer_id(c));
    assert_int_equal(consumer_pending_list(c, 0, info, 9), 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(info[i].sequence, expected[i]);
    assert_int_equal(consumer_pending_list(c, 0, info, 5), 5);
    assert_int_equal(info[4].sequence, 5000);
    assert_int_equal(consumer_pending_list(c, 5, info, 9), 2);
    assert_int_equal(info[1].sequence, 5001);
    engine_free(engine);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_bytes),          TEST(test_bytes_after_a_start),   TEST(test_oldest),
        TEST(test_who_holds_what), TEST(test_holes_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
