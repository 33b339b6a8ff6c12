// SPDX-License-Identifier: Apache-2.0
// What was counted never falls, whoever goes and comes again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake_host.h"
#include "stream/tally.h"

static struct tally of_stream(const struct stream *stream)
{
    struct tally tally;
    stream_tally_get(stream, &tally);
    return tally;
}

static struct tally of_consumer(const struct consumer *consumer)
{
    struct tally tally;
    consumer_tally_get(consumer, &tally);
    return tally;
}

static struct consumer *begin(struct fake_host *h, struct stream *s, const char *name)
{
    struct consumer *c = fake_consumer(h, s, name, false, true, CONSUMER_START_NEW, 0);
    fake_member(h, c, 10, 1000);
    fake_host_settle(h);
    return c;
}

// Two messages, of which one is acknowledged and the other delivered again.
static void work(struct fake_host *h, struct stream *s, struct consumer *c)
{
    uint64_t first = fake_publish(h, s, "a", 0);
    fake_publish(h, s, "b", 0);
    fake_host_settle(h);
    assert_int_equal(engine_ack(h->engine, c, first, h->now), 0);
    fake_host_advance(h, 1500);
    fake_host_settle(h);
}

static void assert_counts(struct tally tally, uint64_t rounds)
{
    assert_int_equal(tally.delivered, 3 * rounds);
    assert_int_equal(tally.redelivered, rounds);
    assert_int_equal(tally.acked, rounds);
}

static void test_counts_of_a_group_go_on_when_it_comes_again(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    uint64_t index;
    for (uint64_t round = 1; round <= 3; round++) {
        struct consumer *c = begin(h, s, "group");
        work(h, s, c);
        assert_counts(of_consumer(c), round);
        assert_counts(of_stream(s), round);
        assert_int_equal(of_stream(s).published, 2 * round);
        assert_int_equal(engine_consumer_delete(h->engine, c, h->now, &index), 0);
        assert_counts(of_stream(s), round);
        if (round == 2)
            fake_host_refuse(h); // it stays; its end is proposed again
        if (round == 2)
            assert_counts(of_consumer(c), round);
        if (round == 2)
            assert_int_equal(engine_consumer_delete(h->engine, c, h->now, &index), 0);
        fake_host_settle(h);
        assert_counts(of_stream(s), round);
    }
}

static void test_counts_of_a_stream_go_on_when_it_comes_again(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    for (uint64_t round = 1; round <= 2; round++) {
        struct stream *s = fake_stream(h, "s", 0);
        assert_int_equal(of_stream(s).published, 2 * (round - 1));
        struct consumer *c = begin(h, s, "group");
        work(h, s, c);
        assert_counts(of_consumer(c), round);
        assert_counts(of_stream(s), round);
        assert_int_equal(of_stream(s).published, 2 * round);
        assert_int_equal(of_stream(s).published_bytes, 2 * round * (RECORD_MESSAGE_SIZE + 1));
        assert_int_equal(engine_stream_delete(h->engine, s, h->now, &index), 0);
        fake_host_refuse(h);
        assert_counts(of_consumer(c), round);
        assert_counts(of_stream(s), round);
        assert_int_equal(engine_stream_delete(h->engine, s, h->now, &index), 0);
        fake_host_settle(h);
    }
}

// What a recovery reads is not counted: the process did not do it.
static void test_a_start_begins_at_zero(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    work(h, s, begin(h, s, "group"));
    fake_host_crash(h, false);
    s = engine_stream_find(h->engine, 1, BYTES("s"));
    assert_int_equal(of_stream(s).published, 0);
    assert_counts(of_stream(s), 0);
}

static void test_a_book_has_a_last_page(void **state)
{
    (void)state;
    struct tally_book book;
    struct tally tally = {.acked = 7};
    tally_book_init(&book, 10);
    for (int i = 0; i < 11; i++) {
        char name[8];
        int len = snprintf(name, sizeof(name), "%d", i);
        tally_book_keep(&book, BYTES("s"), bytes_make(name, (size_t)len), &tally);
    }
    tally_book_keep(&book, BYTES("s"), BYTES("5"), &tally);
    tally_book_keep(&book, BYTES("s"), BYTES("6"), &(struct tally){0});
    tally_book_take(&book, BYTES("s"), BYTES("0"), &tally);
    assert_int_equal(tally.acked, 0);
    tally_book_take(&book, BYTES("s1"), (struct bytes){0}, &tally); // not "1" of "s"
    assert_int_equal(tally.acked, 0);
    tally_book_take(&book, BYTES("s"), BYTES("5"), &tally);
    assert_int_equal(tally.acked, 14);
    tally_book_take(&book, BYTES("s"), BYTES("5"), &tally);
    assert_int_equal(tally.acked, 0);
    tally_book_deinit(&book);
}

static void test_no_more_is_taken_away_than_there_is(void **state)
{
    (void)state;
    struct tally a = {.published = 2, .delivered = 3}, b = {.published = 1, .delivered = 4};
    assert_false(tally_subtract(&a, &b));
    assert_int_equal(a.published, 2);
    b.delivered = 3;
    assert_true(tally_subtract(&a, &b));
    assert_int_equal(a.published, 1);
    assert_int_equal(a.delivered, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts_of_a_group_go_on_when_it_comes_again, fake_host_set_up,
                                        fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_counts_of_a_stream_go_on_when_it_comes_again, fake_host_set_up,
                                        fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_start_begins_at_zero, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test(test_a_book_has_a_last_page),
        cmocka_unit_test(test_no_more_is_taken_away_than_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
