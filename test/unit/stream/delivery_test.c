// SPDX-License-Identifier: Apache-2.0
// Who gets which message when: in flight limits, groups, acknowledgement waits, members that go, reads that come late.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"

enum { MANY = 100 };

static uint64_t index_of_remove(struct fake_host *h, struct member *member, bool delete_durable)
{
    uint64_t index;
    assert_int_equal(engine_member_remove(h->engine, member, delete_durable, h->now, &index), 0);
    return index;
}

// ST-B03
static void test_max_in_flight_stalls(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", false, false, CONSUMER_START_FIRST, 0);
    struct member *m = fake_member(h, c, 3, 1000);
    fake_publish_many(h, s, 10);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 3);
    assert_int_equal(member_in_flight(m), 3);
    assert_int_equal(engine_ack(h->engine, c, 2, h->now), 0);
    assert_int_equal(engine_ack(h->engine, c, 2, h->now), ERR_NOT_FOUND);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 4);
    assert_int_equal(h->deliveries[3].sequence, 4);
}

// ST-B02, ST-B03: redelivery goes out although the member is at its limit, with a count.
static void test_ack_wait_redelivers_with_count(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", false, false, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 1, 1000);
    fake_publish_many(h, s, 2);
    fake_host_settle(h);
    for (uint32_t round = 1; round <= 3; round++) {
        fake_host_advance(h, 999);
        fake_host_settle(h);
        assert_int_equal(h->delivery_count, round);
        fake_host_advance(h, 1);
        assert_true(engine_next_deadline_ms(h->engine) <= h->now.mono_ns / 1000000);
        fake_host_settle(h);
        assert_int_equal(h->delivery_count, round + 1);
        assert_int_equal(h->deliveries[round].sequence, 1);
        assert_int_equal(h->deliveries[round].count, round);
    }
}

// ST-B07: the member with the fewest in flight; ST-B09: any member's message may be acknowledged.
static void test_group_fewest_in_flight(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "g", false, true, CONSUMER_START_FIRST, 0);
    struct member *a = fake_member(h, c, 10, 1000), *b = fake_member(h, c, 10, 1000);
    fake_publish_many(h, s, 10);
    fake_host_settle(h);
    assert_int_equal(member_in_flight(a), 5);
    assert_int_equal(member_in_flight(b), 5);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(h->deliveries[i].sequence, i + 1);
        if (h->deliveries[i].member == member_id(a))
            assert_int_equal(engine_ack(h->engine, c, i + 1, h->now), 0);
    }
    fake_publish_many(h, s, 5);
    fake_host_settle(h);
    assert_int_equal(member_in_flight(a), 5);
    assert_int_equal(member_in_flight(b), 5);
}

// Interest changes are seen when the sockets are served, behind the turn's deliveries: they must cause a turn.
static void test_a_member_that_becomes_ready_wants_a_turn(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", false, false, CONSUMER_START_FIRST, 0);
    struct member *m = fake_member(h, c, 10, 1000);
    engine_member_set_state(h->engine, m, MEMBER_CONGESTED, h->now);
    fake_publish_many(h, s, 1);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 0);
    assert_true(engine_next_deadline_ms(h->engine) > h->now.mono_ns / 1000000);
    engine_member_set_state(h->engine, m, MEMBER_READY, h->now);
    assert_true(engine_next_deadline_ms(h->engine) <= h->now.mono_ns / 1000000);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 1);
}

// ST-B15
static void test_suspect_is_avoided(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "g", false, true, CONSUMER_START_FIRST, 0);
    struct member *a = fake_member(h, c, 3, 1000), *b = fake_member(h, c, 3, 1000);
    engine_member_set_suspect(h->engine, a, true);
    fake_publish_many(h, s, 3);
    fake_host_settle(h);
    assert_int_equal(member_in_flight(b), 3);
    fake_publish_many(h, s, 1);
    fake_host_settle(h);
    assert_int_equal(member_in_flight(a), 1);
    engine_member_set_suspect(h->engine, a, false);
}

// ST-B10: close releases at once; ST-B11: redelivery goes before new messages.
static void test_removed_member_releases(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "g", false, true, CONSUMER_START_FIRST, 0);
    struct member *a = fake_member(h, c, 2, 60000);
    fake_publish_many(h, s, 4);
    fake_host_settle(h);
    struct member *b = fake_member(h, c, 10, 60000);
    index_of_remove(h, a, false);
    fake_publish_many(h, s, 1);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 2 + 5);
    uint32_t redelivered = 0;
    for (size_t i = 2; i < 7; i++) {
        assert_int_equal(h->deliveries[i].member, member_id(b));
        redelivered += h->deliveries[i].count == 1;
    }
    assert_int_equal(redelivered, 2);
    assert_int_equal(h->members_removed, 1);
}

// ST-B06, ST-B11, ST-B12: a durable keeps what is pending; its next member gets that first, counted, then new messages.
static void test_durable_resumes_with_pending_first(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "d", true, false, CONSUMER_START_FIRST, 0);
    struct member *a = fake_member(h, c, 3, 60000);
    fake_publish_many(h, s, 6);
    fake_host_settle(h);
    engine_ack(h->engine, c, 2, h->now);
    index_of_remove(h, a, false);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 3);
    fake_member(h, c, 10, 60000);
    fake_host_settle(h);
    uint64_t expected[] = {1, 3, 4, 5, 6};
    assert_int_equal(h->delivery_count, 3 + 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(h->deliveries[3 + i].sequence, expected[i]);
        assert_int_equal(h->deliveries[3 + i].count, i < 2);
    }
}

// ST-B08, ST-B13
// One takes another's place: both, or nothing of it, whatever the log takes.
static void test_a_member_that_takes_anothers_place(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", true, false, CONSUMER_START_FIRST, 0);
    struct member *first = fake_member(h, c, 10, 60000), *second, *third;
    struct member_config config = {.max_in_flight = 10, .ack_wait_ns = 60000000000ull, .data = BYTES("other")};
    uint64_t index;
    fake_publish_many(h, s, 3);
    fake_host_settle(h);
    h->reserved_error = ERR_NO_SPACE;
    assert_int_equal(engine_member_replace(h->engine, first, &config, h->now, &second, &index), ERR_NO_SPACE);
    h->reserved_error = 0;
    config.max_in_flight = 0;
    assert_int_equal(engine_member_replace(h->engine, first, &config, h->now, &second, &index), ERR_INVALID);
    config.max_in_flight = 10;
    assert_ptr_equal(consumer_member_next(c, NULL), first);
    assert_int_equal(member_in_flight(first), 3);
    // Refused: as if nothing had been.
    assert_int_equal(engine_member_replace(h->engine, first, &config, h->now, &second, &index), 0);
    assert_int_equal(engine_member_replace(h->engine, first, &config, h->now, &third, &index), ERR_NOT_FOUND);
    fake_host_refuse(h);
    assert_ptr_equal(consumer_member_next(c, NULL), first);
    assert_null(consumer_member_next(c, first));
    // In one entry, however full the one before it was.
    for (size_t room = 20; room < 200; room += 20) {
        h->entry_bytes = room;
        first = consumer_member_next(c, NULL);
        uint64_t before = fake_host_last_index(h);
        assert_int_equal(engine_member_replace(h->engine, first, &config, h->now, &second, &index), 0);
        fake_host_turn(h);
        assert_int_equal(fake_host_last_index(h), before + 1);
        fake_host_commit(h, 1);
        assert_ptr_equal(consumer_member_next(c, NULL), second);
        fake_host_settle(h);
    }
    engine_member_set_state(h->engine, second, MEMBER_READY, h->now);
    fake_host_settle(h);
    assert_int_equal(member_in_flight(second), 3);
    assert_true(bytes_equal(member_config_get(second)->data, BYTES("other")));
}

static void test_what_goes_with_the_last_member(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *durable = fake_consumer(h, s, "d:g", true, true, CONSUMER_START_FIRST, 0);
    struct consumer *plain = fake_consumer(h, s, "p", false, false, CONSUMER_START_FIRST, 0);
    struct member *d = fake_member(h, durable, 3, 60000), *p = fake_member(h, plain, 3, 60000);
    fake_host_settle(h);
    index_of_remove(h, p, false);
    assert_null(engine_consumer_find(h->engine, s, BYTES("p")));
    index_of_remove(h, d, false);
    assert_ptr_equal(engine_consumer_find(h->engine, s, BYTES("d:g")), durable);
    fake_host_settle(h);
    d = fake_member(h, durable, 3, 60000);
    struct member *e = fake_member(h, durable, 3, 60000);
    index_of_remove(h, d, true);
    assert_ptr_equal(engine_consumer_find(h->engine, s, BYTES("d:g")), durable);
    index_of_remove(h, e, true);
    assert_null(engine_consumer_find(h->engine, s, BYTES("d:g")));
    fake_host_settle(h);
    struct engine_stats stats;
    engine_stats_get(h->engine, &stats);
    assert_int_equal(stats.consumers, 0);
    assert_int_equal(stats.members, 0);
}

static void test_grace_then_release(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "g", true, true, CONSUMER_START_FIRST, 0);
    struct member *a = fake_member(h, c, 10, 60000);
    fake_publish_many(h, s, 3);
    fake_host_settle(h);
    struct member *b = fake_member(h, c, 10, 60000);
    engine_member_set_state(h->engine, a, MEMBER_GONE, h->now);
    fake_host_advance(h, 4000);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 3);
    engine_member_set_state(h->engine, a, MEMBER_READY, h->now);
    engine_member_set_state(h->engine, a, MEMBER_GONE, h->now);
    fake_host_advance(h, 4999);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 3);
    fake_host_advance(h, 2);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 6);
    assert_int_equal(member_in_flight(b), 3);
    assert_int_equal(member_in_flight(a), 0);
    assert_int_equal(h->deliveries[5].count, 1);
}

static void test_congested_keeps_and_waits(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", false, false, CONSUMER_START_FIRST, 0);
    struct member *m = fake_member(h, c, 10, 1000);
    fake_publish_many(h, s, 2);
    fake_host_settle(h);
    engine_member_set_state(h->engine, m, MEMBER_CONGESTED, h->now);
    fake_publish_many(h, s, 1);
    fake_host_advance(h, 1500);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 2);
    engine_member_set_state(h->engine, m, MEMBER_READY, h->now);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 5);
    uint64_t expected[] = {1, 2, 1, 2, 3};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(h->deliveries[i].sequence, expected[i]);
}

static bool refuse_all(struct fake_host *h, const struct delivery *delivery)
{
    (void)delivery;
    ++*(int *)h->owner;
    return false;
}

static void test_refused_delivery_is_tried_again(void **state)
{
    struct fake_host *h = *state;
    int refusals = 0;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", false, false, CONSUMER_START_FIRST, 0);
    struct member *m = fake_member(h, c, 10, 1000);
    h->owner = &refusals;
    h->on_deliver = refuse_all;
    fake_publish_many(h, s, 3);
    fake_host_settle(h);
    assert_int_equal(refusals, 1);
    assert_int_equal(member_in_flight(m), 0);
    h->on_deliver = NULL;
    fake_host_advance(h, 60);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(h->deliveries[i].sequence, i + 1);
        assert_int_equal(h->deliveries[i].count, 0);
    }
}

// Reads may be answered in any order; first deliveries leave in order of sequence.
static void test_late_reads_keep_order(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "g", false, true, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 50, 1000);
    fake_member(h, c, 50, 1000);
    h->asynchronous = true;
    fake_publish_many(h, s, MANY);
    fake_host_settle(h);
    assert_int_equal(h->read_count, 64);
    while (h->read_count) {
        fake_host_answer(h, h->read_count * 7 / 11);
        fake_host_settle(h);
    }
    assert_int_equal(h->delivery_count, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(h->deliveries[i].sequence, i + 1);
}

static size_t reads_of(const struct fake_host *h, uint32_t stream)
{
    size_t count = 0;
    list_foreach(link, &h->reads) count += container_of(link, struct fake_read, link)->read->stream == stream;
    return count;
}

// What has been read and waits for what comes before it pins a block of the store. So all consumers share a number of reads; whoever
// came late, and had one, gets its share, and all get on whatever the order of the answers.
static void test_many_readers_share_the_reads(void **state)
{
    struct fake_host *h = *state;
    enum { READERS = FAKE_STREAMS - 1, READS = 512, SHARE = READS / (READERS + 1), MESSAGES = 4 * MANY };
    h->asynchronous = true;
    for (int i = 0; i < READERS; i++) {
        char name[] = {(char)('a' + i), '\0'};
        struct stream *s = fake_stream(h, name, 0);
        fake_publish_many(h, s, MESSAGES);
        fake_host_settle(h);
        fake_member(h, fake_consumer(h, s, name, false, false, CONSUMER_START_FIRST, 0), MESSAGES, 60000);
        fake_host_settle(h);
    }
    assert_in_range(h->read_count, READS - READERS, READS + READERS);
    assert_int_equal(reads_of(h, 1), 64);
    assert_int_equal(reads_of(h, READERS), 1);
    for (int i = 0; i < 5 * READS; i++) {
        fake_host_answer(h, 0);
        fake_host_settle(h);
    }
    for (uint32_t stream = 1; stream <= READERS; stream++)
        assert_in_range(reads_of(h, stream), SHARE / 4, 2 * SHARE);
    while (h->read_count) {
        fake_host_answer(h, h->read_count * 7 / 11);
        fake_host_settle(h);
        assert_in_range(h->read_count + h->holds, 0, READS + READERS);
    }
    assert_int_equal(h->delivery_count, READERS * MESSAGES);
    uint64_t last[READERS + 1] = {0};
    for (size_t i = 0; i < h->delivery_count; i++) {
        uint32_t consumer = h->deliveries[i].consumer;
        assert_in_range(consumer, 1, READERS);
        assert_int_equal(h->deliveries[i].sequence, ++last[consumer]);
    }
}

// Of large messages as many as the store reads ahead, of huge ones a few; the rest comes as these are delivered.
static void test_large_messages_are_read_by_their_bytes(void **state)
{
    static const struct {
        size_t bytes, reads;
    } rows[] = {{1000, 64}, {20000, 13}, {65536, 4}, {900000, 4}};
    static char text[900001];
    struct fake_host *h = *state;
    h->asynchronous = true;
    for (uint32_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        char name[] = {(char)('a' + row), '\0'};
        struct stream *s = fake_stream(h, name, 0);
        memset(text, 'x', rows[row].bytes);
        text[rows[row].bytes] = '\0';
        for (int i = 0; i < MANY; i++)
            fake_publish(h, s, text, 0);
        fake_host_settle(h);
        fake_member(h, fake_consumer(h, s, name, false, false, CONSUMER_START_FIRST, 0), MANY, 60000);
        fake_host_settle(h);
        assert_in_range(reads_of(h, row + 1), rows[row].reads - 1, rows[row].reads);
    }
    while (h->read_count) {
        fake_host_answer(h, h->read_count / 2);
        fake_host_settle(h);
    }
    assert_int_equal(h->delivery_count, sizeof(rows) / sizeof(rows[0]) * MANY);
}

static void test_member_goes_while_reading(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "g", true, true, CONSUMER_START_FIRST, 0);
    struct member *a = fake_member(h, c, 50, 1000);
    h->asynchronous = true;
    fake_publish_many(h, s, 5);
    fake_host_settle(h);
    engine_member_set_state(h->engine, a, MEMBER_GONE, h->now);
    while (fake_host_answer(h, 0))
        fake_host_settle(h);
    assert_int_equal(h->delivery_count, 0);
    struct consumer_state state_now;
    consumer_state_get(c, &state_now);
    assert_int_equal(state_now.next_sequence, 1);
    fake_member(h, c, 50, 1000);
    do {
        fake_host_settle(h);
    } while (fake_host_answer(h, 0));
    assert_int_equal(h->delivery_count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(h->deliveries[i].sequence, i + 1);
}

static void test_acknowledged_while_read_again(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", false, false, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 10, 1000);
    fake_publish_many(h, s, 1);
    fake_host_settle(h);
    h->asynchronous = true;
    fake_host_advance(h, 1001);
    fake_host_settle(h);
    assert_int_equal(h->read_count, 1);
    assert_int_equal(engine_ack(h->engine, c, 1, h->now), 0);
    fake_host_settle(h);
    fake_host_answer(h, 0);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 1);
    struct consumer_state state_now;
    consumer_state_get(c, &state_now);
    assert_int_equal(state_now.ack_floor, 1);
}

static void test_stream_deleted_while_reading(void **state)
{
    struct fake_host *h = *state;
    uint64_t index;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", false, false, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 10, 1000);
    h->asynchronous = true;
    fake_publish_many(h, s, 5);
    fake_host_settle(h);
    assert_int_equal(h->read_count, 5);
    fake_host_answer(h, 3);
    assert_int_equal(engine_stream_delete(h->engine, s, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(h->read_count, 0);
    assert_int_equal(h->members_removed, 1);
    assert_null(engine_stream_find(h->engine, 1, BYTES("s")));
}

// A damaged message is passed over and counted; an unreadable one comes later and holds up nobody.
static void test_damage_does_not_block(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "c", false, false, CONSUMER_START_FIRST, 0);
    fake_member(h, c, 10, 60000);
    fake_host_settle(h);
    fake_publish_many(h, s, 1);
    h->read_error = ERR_CORRUPT;
    fake_host_settle(h);
    h->read_error = ERR_IO;
    fake_publish_many(h, s, 1);
    fake_host_settle(h);
    h->read_error = 0;
    fake_publish_many(h, s, 1);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 1);
    assert_int_equal(h->deliveries[0].sequence, 3);
    fake_host_advance(h, 1001);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 2);
    assert_int_equal(h->deliveries[1].sequence, 2);
    assert_int_equal(h->deliveries[1].count, 0);
    struct engine_stats stats;
    engine_stats_get(h->engine, &stats);
    assert_int_equal(stats.unreadable, 1);
}

// ST-B27: every plain subscription gets every message.
static void test_consumers_are_independent(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    fake_member(h, fake_consumer(h, s, "a", false, false, CONSUMER_START_FIRST, 0), 1, 60000);
    fake_member(h, fake_consumer(h, s, "b", false, false, CONSUMER_START_FIRST, 0), 10, 60000);
    fake_publish_many(h, s, 5);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 6);
}

static void test_redelivery_prefers_another_member(void **state)
{
    struct fake_host *h = *state;
    struct stream *s = fake_stream(h, "s", 0);
    struct consumer *c = fake_consumer(h, s, "g", false, true, CONSUMER_START_FIRST, 0);
    struct member *a = fake_member(h, c, 10, 1000);
    fake_publish_many(h, s, 1);
    fake_host_settle(h);
    struct member *b = fake_member(h, c, 10, 1000);
    fake_host_settle(h);
    fake_host_advance(h, 1001);
    fake_host_settle(h);
    assert_int_equal(member_in_flight(a), 0);
    assert_int_equal(member_in_flight(b), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_max_in_flight_stalls),
        TEST(test_ack_wait_redelivers_with_count),
        TEST(test_group_fewest_in_flight),
        TEST(test_a_member_that_becomes_ready_wants_a_turn),
        TEST(test_suspect_is_avoided),
        TEST(test_removed_member_releases),
        TEST(test_durable_resumes_with_pending_first),
        TEST(test_a_member_that_takes_anothers_place),
        TEST(test_what_goes_with_the_last_member),
        TEST(test_grace_then_release),
        TEST(test_congested_keeps_and_waits),
        TEST(test_refused_delivery_is_tried_again),
        TEST(test_late_reads_keep_order),
        TEST(test_many_readers_share_the_reads),
        TEST(test_large_messages_are_read_by_their_bytes),
        TEST(test_member_goes_while_reading),
        TEST(test_acknowledged_while_read_again),
        TEST(test_stream_deleted_while_reading),
        TEST(test_damage_does_not_block),
        TEST(test_consumers_are_independent),
        TEST(test_redelivery_prefers_another_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
