// SPDX-License-Identifier: Apache-2.0
// Messages that die: when, what is remembered, and the copy that another stream gets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake_host.h"

static struct stream *stream_of(struct fake_host *h, const char *name)
{
    return engine_stream_find(h->engine, 1, bytes_from_string(name));
}

static struct consumer *find(struct fake_host *h)
{
    return engine_consumer_find(h->engine, stream_of(h, "s"), BYTES("c"));
}

static struct consumer_state state_of(struct fake_host *h)
{
    struct consumer_state state;
    consumer_state_get(find(h), &state);
    return state;
}

static uint64_t messages_of(struct fake_host *h, const char *name)
{
    struct stream_state state = {0};
    if (stream_of(h, name))
        stream_state_get(stream_of(h, name), &state);
    return state.messages;
}

// So many messages, out with one member.
static void begin(struct fake_host *h, int messages, uint32_t max_deliver, const char *dead_letter)
{
    struct stream_config config = {
        .account = 1, .name = BYTES("s"), .max_deliver = max_deliver, .dead_letter = bytes_from_string(dead_letter)};
    struct stream *s;
    uint64_t index;
    assert_int_equal(engine_stream_create(h->engine, &config, h->now, &s, &index), 0);
    fake_member(h, fake_consumer(h, s, "c", true, false, CONSUMER_START_FIRST, 0), 10, 1000);
    for (int i = 0; i < messages; i++) {
        char text[16];
        snprintf(text, sizeof(text), "m%d", i + 1);
        fake_publish(h, s, text, 0);
    }
    fake_host_settle(h);
}

static void advance(struct fake_host *h, uint64_t ms)
{
    fake_host_advance(h, ms);
    fake_host_settle(h);
}

static void terminate(struct fake_host *h, uint64_t sequence, const char *reason)
{
    assert_int_equal(engine_terminate(h->engine, find(h), sequence, bytes_from_string(reason), h->now), 0);
}

// Takes the last message of the dead letter stream.
static void read_letter(struct fake_host *h, const char *name, char *ret_text, size_t size)
{
    struct stream_state state;
    stream_state_get(stream_of(h, name), &state);
    struct engine_read read = {.stream = state.id, .sequence = state.last_sequence};
    assert_int_equal(h->options.host.read(h, &read), 0);
    snprintf(ret_text, size, "%.*s|%.*s", BYTES_ARG(read.message.headers), BYTES_ARG(read.message.payload));
    h->options.host.release(h, read.hold);
}

static void test_deliveries_run_out(void **state)
{
    struct fake_host *h = *state;
    begin(h, 2, 3, "");
    engine_ack(h->engine, find(h), 2, h->now);
    advance(h, 1001);
    advance(h, 1001);
    assert_int_equal(h->delivery_count, 4);
    assert_int_equal(state_of(h).dead, 0);
    uint64_t since_ns = h->now.wall_ns + 1001000000ull;
    advance(h, 1001);
    advance(h, 5000);
    assert_int_equal(h->delivery_count, 4);
    assert_int_equal(state_of(h).pending, 0);
    assert_int_equal(state_of(h).ack_floor, 2);
    struct dead_info info[2];
    assert_int_equal(consumer_dead_list(find(h), 0, info, 2), 1);
    assert_int_equal(info[0].sequence, 1);
    assert_int_equal(info[0].attempts, 3);
    assert_int_equal(info[0].reason, DEAD_MAX_DELIVER);
    assert_int_equal(info[0].since_ns, since_ns);
    assert_int_equal(info[0].size, RECORD_MESSAGE_SIZE + 2);
    assert_int_equal(info[0].text.len, 0);
    assert_int_equal(state_of(h).dead_bytes, RECORD_MESSAGE_SIZE + 2);
    assert_int_equal(messages_of(h, "s"), 2); // it is still there
}

static void test_terminated(void **state)
{
    struct fake_host *h = *state;
    begin(h, 3, 0, "");
    terminate(h, 2, "no such customer");
    assert_int_equal(engine_terminate(h->engine, find(h), 2, BYTES(""), h->now), ERR_NOT_FOUND);
    assert_int_equal(engine_terminate(h->engine, find(h), 7, BYTES(""), h->now), ERR_NOT_FOUND);
    fake_host_turn(h);
    struct pending_info pending;
    assert_int_equal(consumer_pending_list(find(h), 2, &pending, 1), 1);
    assert_int_equal(pending.place, PENDING_RUN_OUT);
    assert_int_equal(state_of(h).dead, 0); // not committed
    assert_int_equal(engine_ack(h->engine, find(h), 2, h->now), ERR_NOT_FOUND);
    fake_host_settle(h);
    static char longer[ENGINE_REASON_MAX + 10];
    memset(longer, 'x', sizeof(longer) - 1);
    terminate(h, 1, longer);
    fake_host_settle(h);
    advance(h, 10000);
    for (size_t i = 3; i < h->delivery_count; i++)
        assert_int_equal(h->deliveries[i].sequence, 3);
    struct dead_info info[3];
    assert_int_equal(consumer_dead_list(find(h), 0, info, 3), 2);
    assert_int_equal(info[0].sequence, 1);
    assert_int_equal(info[0].text.len, ENGINE_REASON_MAX);
    assert_int_equal(info[1].reason, DEAD_TERMINATED);
    assert_true(bytes_equal(info[1].text, BYTES("no such customer")));
    assert_int_equal(consumer_dead_list(find(h), 2, info, 3), 1);
    assert_int_equal(state_of(h).ack_floor, 2);
}

static void test_an_acknowledgement_in_time_saves_it(void **state)
{
    struct fake_host *h = *state;
    begin(h, 1, 0, "dead");
    h->asynchronous = true;
    terminate(h, 1, "");
    fake_host_turn(h);
    assert_int_equal(h->read_count, 1);
    assert_int_equal(engine_ack(h->engine, find(h), 1, h->now), 0);
    assert_int_equal(h->read_count, 0);
    fake_host_settle(h);
    assert_int_equal(state_of(h).dead_ever, 0);
    assert_int_equal(messages_of(h, "dead"), 0);
}

static void test_the_dead_survive(void **state)
{
    struct fake_host *h = *state;
    for (int image = 0; image < 2; image++) {
        begin(h, 3, 2, "");
        terminate(h, 3, "why");
        fake_host_settle(h);
        engine_ack(h->engine, find(h), 2, h->now);
        if (image)
            fake_host_checkpoint(h, true, 100, 0);
        fake_host_crash(h, image);
        struct dead_info info[3];
        assert_int_equal(consumer_dead_list(find(h), 0, info, 3), 1);
        assert_int_equal(info[0].sequence, 3);
        assert_true(bytes_equal(info[0].text, BYTES("why")));
        assert_int_equal(state_of(h).dead_ever, 1);
        assert_int_equal(state_of(h).pending, 2);
        // Counts are kept, so one more delivery is the last.
        engine_member_set_state(h->engine, consumer_member_next(find(h), NULL), MEMBER_READY, h->now);
        advance(h, 1001);
        advance(h, 1001);
        assert_int_equal(state_of(h).dead, 3);
        assert_int_equal(h->deliveries[h->delivery_count - 1].count, 1);
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
}

static void test_a_refused_batch_kills_again(void **state)
{
    struct fake_host *h = *state;
    begin(h, 2, 0, "dead");
    for (int i = 0; i < 3; i++) {
        terminate(h, 1, "x");
        fake_host_turn(h);
        assert_int_equal(messages_of(h, "dead"), 0);
        fake_host_refuse(h);
        assert_int_equal(state_of(h).dead, 0);
        fake_host_settle(h);
        assert_int_equal(state_of(h).dead, 1);
        assert_int_equal(messages_of(h, "dead"), 1);
        fake_host_deinit(h);
        fake_host_set_up(state);
        begin(h, 2, 0, "dead");
    }
}

static void test_dead_letters(void **state)
{
    struct fake_host *h = *state;
    char text[128], expected[128];
    for (int asynchronous = 0; asynchronous < 2; asynchronous++) {
        begin(h, 2, 2, "dead");
        h->asynchronous = asynchronous;
        terminate(h, 2, "bad");
        fake_host_settle(h);
        while (fake_host_answer(h, 0))
            continue;
        fake_host_settle(h);
        assert_int_equal(messages_of(h, "dead"), 1);
        snprintf(expected, sizeof(expected), "2 after 1 by %u: 2 bad|m2",
                 member_id(consumer_member_next(find(h), NULL)));
        h->asynchronous = false;
        read_letter(h, "dead", text, sizeof(text));
        assert_string_equal(text, expected);
        struct dead_info info;
        struct stream_state dead;
        stream_state_get(stream_of(h, "dead"), &dead);
        assert_int_equal(consumer_dead_list(find(h), 0, &info, 1), 1);
        assert_int_equal(info.stream, dead.id);
        assert_int_equal(info.copied_as, 1);
        advance(h, 1001);
        advance(h, 1001);
        assert_int_equal(messages_of(h, "dead"), 2);
        read_letter(h, "dead", text, sizeof(text));
        assert_non_null(strstr(text, "1 after 2"));
        fake_host_crash(h, false);
        assert_int_equal(messages_of(h, "dead"), 2);
        assert_int_equal(state_of(h).dead, 2);
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
}

// Whatever is in the way, the message stays until the copy can be made.
static void test_a_letter_that_cannot_be_taken_waits(void **state)
{
    struct fake_host *h = *state;
    begin(h, 1, 1, "dead");
    h->dead_letter_error = ERR_FULL;
    advance(h, 1001);
    for (int i = 0; i < 5; i++)
        advance(h, 2000);
    assert_int_equal(state_of(h).pending, 1);
    assert_int_equal(state_of(h).dead, 0);
    h->dead_letter_error = 0;
    h->admit_error = ERR_NO_SPACE;
    for (int i = 0; i < 5; i++)
        advance(h, 2000);
    assert_int_equal(state_of(h).pending, 1);
    h->admit_error = 0;
    h->read_error = ERR_IO;
    for (int i = 0; i < 5; i++)
        advance(h, 2000);
    assert_int_equal(state_of(h).pending, 1);
    assert_int_equal(h->delivery_count, 1);
    h->read_error = 0;
    advance(h, 2000);
    assert_int_equal(state_of(h).pending, 0);
    assert_int_equal(messages_of(h, "dead"), 1);
}

// ST-B12: nobody will say again that a message is dead, so it holds over a restart, whether that is in the log only or in an image, and
// over a refused batch.
static void test_a_word_holds_while_its_letter_waits(void **state)
{
    struct fake_host *h = *state;
    char text[128];
    for (int way = 0; way < 4; way++) {
        bool image = way & 1, refused = way & 2;
        begin(h, 2, 0, "dead");
        h->dead_letter_error = ERR_FULL;
        terminate(h, 2, "poison");
        fake_host_turn(h);
        if (refused)
            fake_host_refuse(h);
        fake_host_settle(h);
        if (image)
            fake_host_checkpoint(h, true, 100, 0);
        for (int crash = 0; crash < 2; crash++) {
            size_t before = h->delivery_count;
            fake_host_crash(h, image);
            engine_member_set_state(h->engine, consumer_member_next(find(h), NULL), MEMBER_READY, h->now);
            for (int i = 0; i < 10; i++)
                advance(h, 1000);
            for (size_t i = before; i < h->delivery_count; i++)
                assert_int_equal(h->deliveries[i].sequence, 1);
            assert_int_equal(state_of(h).pending, 2);
            assert_int_equal(state_of(h).dead, 0);
        }
        h->dead_letter_error = 0;
        advance(h, 1001);
        assert_int_equal(state_of(h).dead, 1);
        read_letter(h, "dead", text, sizeof(text));
        assert_non_null(strstr(text, ": 2 poison|m2"));
        fake_host_crash(h, image);
        assert_int_equal(state_of(h).dead, 1);
        assert_int_equal(state_of(h).pending, 1);
        assert_int_equal(messages_of(h, "dead"), 1);
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
}

// One that can die at once needs no such record, nor one whose deliveries ran out: that is known anyway.
static void test_words_are_recorded_when_they_must_be(void **state)
{
    struct fake_host *h = *state;
    begin(h, 3, 1, "dead");
    terminate(h, 2, "x");
    fake_host_settle(h);
    assert_int_equal(fake_host_records(h, RECORD_DEAD), 1);
    h->dead_letter_error = ERR_FULL;
    advance(h, 1001);
    assert_int_equal(state_of(h).pending, 2);
    assert_int_equal(fake_host_records(h, RECORD_DYING), 0);
    assert_int_equal(engine_ack(h->engine, find(h), 1, h->now), 0);
    fake_host_settle(h);
    assert_int_equal(engine_terminate(h->engine, find(h), 3, BYTES("y"), h->now), ERR_NOT_FOUND);
}

// Many of them, and a log that takes nothing for a while.
static void test_words_wait_for_the_log(void **state)
{
    struct fake_host *h = *state;
    begin(h, 9, 0, "dead");
    h->dead_letter_error = h->reserved_error = ERR_NO_SPACE;
    for (uint64_t i = 1; i <= 9; i += 2)
        terminate(h, i, "");
    fake_host_settle(h);
    assert_int_equal(fake_host_records(h, RECORD_DYING), 0);
    h->reserved_error = 0;
    fake_host_settle(h);
    assert_int_equal(fake_host_records(h, RECORD_DYING), 5);
    assert_int_equal(engine_ack(h->engine, find(h), 3, h->now), 0); // a late one still counts
    fake_host_settle(h);
    fake_host_crash(h, false);
    struct pending_info info[9];
    assert_int_equal(consumer_pending_list(find(h), 0, info, 9), 8);
    for (int i = 0; i < 8; i++)
        assert_int_equal(info[i].place == PENDING_RUN_OUT, info[i].sequence % 2 == 1);
}

// Nothing that was read is held while they wait.
static void test_letters_that_wait_hold_nothing(void **state)
{
    struct fake_host *h = *state;
    begin(h, 10, 0, "dead");
    h->dead_letter_error = ERR_FULL;
    for (uint64_t i = 1; i <= 10; i++)
        terminate(h, i, "");
    fake_host_turn(h);
    assert_int_equal(h->holds, 0);
    h->asynchronous = true;
    fake_host_advance(h, 1001);
    fake_host_turn(h);
    assert_true(h->read_count > 1);
    while (fake_host_answer(h, 0))
        continue;
    fake_host_turn(h);
    assert_int_equal(h->holds, 0);
    h->asynchronous = false;
    h->dead_letter_error = 0;
    advance(h, 1001);
    assert_int_equal(messages_of(h, "dead"), 10);
}

static void test_no_copy_of_a_copy(void **state)
{
    struct fake_host *h = *state;
    const int errors[] = {ERR_EXISTS, ERR_INVALID};
    for (int i = 0; i < 2; i++) {
        begin(h, 1, 1, "dead");
        h->dead_letter_error = errors[i];
        advance(h, 1001);
        assert_int_equal(state_of(h).dead, 1);
        assert_int_equal(messages_of(h, "dead"), 0);
        fake_host_deinit(h);
        fake_host_set_up(state);
    }
    begin(h, 1, 1, "s"); // a stream that is its own
    advance(h, 1001);
    assert_int_equal(state_of(h).dead, 1);
    assert_int_equal(messages_of(h, "s"), 1);
}

static void test_the_dead_go_with_their_messages(void **state)
{
    struct fake_host *h = *state;
    begin(h, 6, 0, "");
    for (uint64_t s = 6; s >= 1; s--)
        terminate(h, s, "");
    fake_host_settle(h);
    assert_int_equal(state_of(h).dead, 6);
    struct stream_state stream;
    uint64_t index;
    stream_state_get(stream_of(h, "s"), &stream);
    stream.config.max_msgs = 2;
    assert_int_equal(engine_stream_update(h->engine, stream_of(h, "s"), &stream.config, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(state_of(h).dead, 2);
    assert_int_equal(state_of(h).dead_ever, 6);
    struct dead_info info[3];
    assert_int_equal(consumer_dead_list(find(h), 0, info, 3), 2);
    assert_int_equal(info[0].sequence, 5);
}

static void test_the_number_of_remembered_is_bounded(void **state)
{
    struct fake_host *h = *state;
    enum { REMEMBERED = 10000, MORE = 5 };
    struct stream *s = fake_stream(h, "s", 0);
    fake_member(h, fake_consumer(h, s, "c", true, false, CONSUMER_START_FIRST, 0), REMEMBERED + MORE, 1000);
    for (int i = 0; i < REMEMBERED + MORE; i++)
        fake_publish(h, s, "m", 0);
    fake_host_settle(h);
    for (uint64_t i = 1; i <= REMEMBERED + MORE; i++)
        terminate(h, i, "");
    fake_host_settle(h);
    assert_int_equal(state_of(h).dead, REMEMBERED);
    assert_int_equal(state_of(h).dead_ever, REMEMBERED + MORE);
    struct dead_info info;
    assert_int_equal(consumer_dead_list(find(h), 0, &info, 1), 1);
    assert_int_equal(info.sequence, MORE + 1);
    fake_host_checkpoint(h, true, 1 << 20, 0);
    fake_host_crash(h, true);
    assert_int_equal(state_of(h).dead, REMEMBERED);
}

static void test_the_end_while_one_dies(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    begin(h, 3, 0, "dead");
    h->asynchronous = true;
    for (uint64_t i = 1; i <= 3; i++)
        terminate(h, i, "");
    fake_host_turn(h);
    assert_int_equal(h->read_count, 3);
    engine_quiesce(h->engine);
    assert_int_equal(h->read_count, 0);
    fake_host_crash(h, false);
    assert_int_equal(state_of(h).pending, 3);
    for (uint64_t i = 1; i <= 3; i++)
        terminate(h, i, "");
    fake_host_turn(h);
    assert_int_equal(h->read_count, 3);
    assert_int_equal(engine_consumer_delete(h->engine, find(h), h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(h->read_count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_deliveries_run_out),
        TEST(test_terminated),
        TEST(test_an_acknowledgement_in_time_saves_it),
        TEST(test_the_dead_survive),
        TEST(test_a_refused_batch_kills_again),
        TEST(test_dead_letters),
        TEST(test_a_letter_that_cannot_be_taken_waits),
        TEST(test_a_word_holds_while_its_letter_waits),
        TEST(test_words_are_recorded_when_they_must_be),
        TEST(test_words_wait_for_the_log),
        TEST(test_letters_that_wait_hold_nothing),
        TEST(test_no_copy_of_a_copy),
        TEST(test_the_dead_go_with_their_messages),
        TEST(test_the_number_of_remembered_is_bounded),
        TEST(test_the_end_while_one_dies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
