// SPDX-License-Identifier: Apache-2.0
// A stream that refuses what comes rather than dropping what is not finished; and changes of a stream that runs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"

#define SECONDS 1000000000ull

static struct stream *find(struct fake_host *h)
{
    return engine_stream_find(h->engine, 1, BYTES("s"));
}

static struct consumer *find_consumer(struct fake_host *h, const char *name)
{
    return engine_consumer_find(h->engine, find(h), bytes_from_string(name));
}

static struct stream_state state_of(struct fake_host *h)
{
    struct stream_state state;
    stream_state_get(find(h), &state);
    return state;
}

static void create(struct fake_host *h, uint64_t max_msgs, uint64_t max_bytes, uint64_t max_age_ns)
{
    struct stream_config config = {.account = 1,
                                   .name = BYTES("s"),
                                   .max_msgs = max_msgs,
                                   .max_bytes = max_bytes,
                                   .max_age_ns = max_age_ns,
                                   .duplicate_window_ns = 120 * SECONDS,
                                   .discard_new = true};
    struct stream *stream;
    uint64_t index;
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &stream, &index), 0);
}

static struct consumer *consumer(struct fake_host *h, const char *name)
{
    struct consumer *c = fake_consumer(h, find(h), name, true, false, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 100, 60000);
    fake_host_settle(h);
    return c;
}

static int publish(struct fake_host *h, uint64_t id)
{
    struct publish message = {.payload = BYTES("message"), .dedupe = {id, id}};
    struct publish_result result;
    return engine_publish(h->engine, find(h), &message, h->now, &result);
}

static void ack(struct fake_host *h, const char *name, uint64_t sequence)
{
    assert_int_equal(engine_ack(h->engine, find_consumer(h, name), sequence, h->now), 0);
    fake_host_settle(h);
}

static void test_refused_rather_than_dropped(void **state)
{
    struct fake_host *h = *state;
    create(h, 3, 0, 0);
    consumer(h, "a");
    consumer(h, "b");
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(publish(h, i), 0);
    assert_int_equal(publish(h, 4), ERR_FULL);
    fake_host_settle(h);
    assert_int_equal(publish(h, 4), ERR_FULL);
    assert_int_equal(publish(h, 2), 0); // a repetition is answered as ever
    ack(h, "a", 1);
    assert_int_equal(publish(h, 4), ERR_FULL); // not everybody has finished one
    ack(h, "b", 2);
    assert_int_equal(publish(h, 4), ERR_FULL);
    ack(h, "b", 1);
    assert_int_equal(publish(h, 4), 0);
    assert_int_equal(publish(h, 5), ERR_FULL);
    fake_host_settle(h);
    assert_int_equal(state_of(h).first_sequence, 2);
    assert_int_equal(state_of(h).messages, 3);
    uint64_t index;
    assert_int_equal(engine_consumer_delete(h->engine, find_consumer(h, "a"), h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(publish(h, 5), 0); // b had finished 2
    fake_host_settle(h);
    fake_host_crash(h, false);
    assert_int_equal(publish(h, 6), ERR_FULL);
    assert_int_equal(state_of(h).messages, 3);
}

static void test_bytes(void **state)
{
    struct fake_host *h = *state;
    enum { SIZE = RECORD_MESSAGE_SIZE + 7 };
    create(h, 0, 4 * SIZE + 1, 0);
    consumer(h, "a");
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(publish(h, i), 0);
    assert_int_equal(publish(h, 5), ERR_FULL);
    fake_host_settle(h);
    ack(h, "a", 1);
    ack(h, "a", 2);
    assert_int_equal(state_of(h).messages, 4); // what is finished goes only for what comes
    assert_int_equal(publish(h, 5), 0);
    assert_int_equal(publish(h, 6), 0);
    assert_int_equal(publish(h, 7), ERR_FULL);
    fake_host_settle(h);
    assert_int_equal(state_of(h).first_sequence, 3);
}

// Nothing goes for a message that cannot be taken in the end.
static void test_what_never_fits_takes_nothing_away(void **state)
{
    struct fake_host *h = *state;
    enum { SIZE = RECORD_MESSAGE_SIZE + 7 };
    static char big[4096];
    create(h, 0, 4 * SIZE + 1, 0);
    consumer(h, "a");
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(publish(h, i), 0);
    fake_host_settle(h);
    for (uint64_t i = 1; i <= 3; i++)
        ack(h, "a", i);
    struct publish message = {.payload = {big, sizeof(big)}};
    struct publish_result result;
    assert_int_equal(engine_publish(h->engine, find(h), &message, h->now, &result), ERR_TOO_BIG);
    message.payload.len = 3 * SIZE; // with its head, more than the finished ones leave
    assert_int_equal(engine_publish(h->engine, find(h), &message, h->now, &result), ERR_FULL);
    fake_host_settle(h);
    assert_int_equal(state_of(h).messages, 4);
}

static void test_with_nobody_nothing_is_finished(void **state)
{
    struct fake_host *h = *state;
    create(h, 2, 0, 10 * SECONDS);
    assert_int_equal(publish(h, 1), 0);
    assert_int_equal(publish(h, 2), 0);
    fake_host_settle(h);
    assert_int_equal(publish(h, 3), ERR_FULL);
    fake_host_advance(h, 1000000);
    fake_host_settle(h);
    assert_int_equal(state_of(h).messages, 2);
}

static void test_age_takes_only_what_is_finished(void **state)
{
    struct fake_host *h = *state;
    create(h, 0, 0, 10 * SECONDS);
    consumer(h, "a");
    for (uint64_t i = 1; i <= 4; i++)
        assert_int_equal(publish(h, i), 0);
    fake_host_settle(h);
    ack(h, "a", 1);
    fake_host_advance(h, 9999);
    fake_host_settle(h);
    assert_int_equal(state_of(h).messages, 4);
    fake_host_advance(h, 2);
    fake_host_settle(h);
    assert_int_equal(state_of(h).messages, 3);
    assert_true(engine_next_deadline_ms(h->engine) > h->now.mono_ns / 1000000 + 1); // nobody looks at it all the time
    ack(h, "a", 3);
    assert_int_equal(state_of(h).messages, 3);
    ack(h, "a", 2); // at once
    assert_int_equal(state_of(h).messages, 1);
    engine_terminate(h->engine, find_consumer(h, "a"), 4, BYTES(""), h->now);
    fake_host_settle(h);
    assert_int_equal(state_of(h).messages, 0);
}

static void test_a_limit_that_is_lowered_or_given_up(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    create(h, 0, 0, 0);
    consumer(h, "a");
    for (uint64_t i = 1; i <= 6; i++)
        assert_int_equal(publish(h, i), 0);
    fake_host_settle(h);
    struct stream_config config = state_of(h).config;
    config.max_msgs = 2;
    assert_int_equal(engine_stream_update(h->engine, find(h), &config, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(state_of(h).messages, 6);
    for (uint64_t i = 1; i <= 3; i++)
        ack(h, "a", i);
    assert_int_equal(state_of(h).messages, 3);
    assert_int_equal(publish(h, 7), ERR_FULL);
    config.discard_new = false;
    assert_int_equal(engine_stream_update(h->engine, find(h), &config, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(state_of(h).messages, 2);
    assert_int_equal(publish(h, 7), 0);
}

static void update_grace(struct fake_host *h, struct stream *s, uint64_t seconds)
{
    struct stream_state state;
    uint64_t index;
    stream_state_get(s, &state);
    state.config.disconnect_grace_ns = seconds * SECONDS;
    assert_int_equal(engine_stream_update(h->engine, s, &state.config, h->now, &index), 0);
    fake_host_settle(h);
}

// A grace that runs ends when the new one says.
static void test_update_of_the_grace(void **state)
{
    struct fake_host *h = *state;
    const uint64_t graces[] = {20, 2, 0};
    for (int i = 0; i < 3; i++) {
        struct stream *s = fake_stream(h, "s", 0);
        struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
        struct member *gone = fake_member(h, c, 1, 600000);
        fake_publish(h, s, "m", 0);
        fake_host_settle(h);
        fake_member(h, c, 1, 600000);
        fake_host_settle(h);
        engine_member_set_state(h->engine, gone, MEMBER_GONE, h->now);
        fake_host_advance(h, 1000);
        update_grace(h, s, graces[i]);
        if (graces[i]) {
            assert_int_equal(h->delivery_count, 1);
            fake_host_advance(h, graces[i] * 1000 - 1001);
            fake_host_settle(h);
            assert_int_equal(h->delivery_count, 1);
            fake_host_advance(h, 3);
            fake_host_settle(h);
        }
        assert_int_equal(h->delivery_count, 2);
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
}

static void test_update_of_the_duplicate_window(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    uint64_t index;
    struct stream_config config = state_of(h).config;
    assert_int_equal(fake_publish(h, s, "m", 7), 1);
    assert_int_equal(fake_publish(h, s, "m", 7), 1);
    config.duplicate_window_ns = 0;
    assert_int_equal(engine_stream_update(h->engine, s, &config, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(fake_publish(h, s, "m", 7), 2);
    config.duplicate_window_ns = SECONDS;
    assert_int_equal(engine_stream_update(h->engine, s, &config, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(fake_publish(h, s, "m", 8), 3);
    assert_int_equal(fake_publish(h, s, "m", 8), 3);
    fake_host_advance(h, 1001);
    assert_int_equal(fake_publish(h, s, "m", 8), 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_refused_rather_than_dropped),
        TEST(test_bytes),
        TEST(test_what_never_fits_takes_nothing_away),
        TEST(test_with_nobody_nothing_is_finished),
        TEST(test_age_takes_only_what_is_finished),
        TEST(test_a_limit_that_is_lowered_or_given_up),
        TEST(test_update_of_the_grace),
        TEST(test_update_of_the_duplicate_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
