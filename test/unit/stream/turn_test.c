// SPDX-License-Identifier: Apache-2.0
// Several consumers record a turn together, in TURN records; what one alone has to say, and what is long, is as it always was.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/pool.h"
#include "fake_host.h"

enum { MANY = 5, CROWD = 600, BODY_MAX = 4096 };

struct many {
    struct stream *stream;
    struct consumer *consumers[CROWD];
    struct member *members[CROWD];
};

static void add(struct fake_host *h, struct many *many, int count)
{
    many->stream = fake_stream(h, "s", 0);
    for (int i = 0; i < count; i++) {
        char name[] = {'c', (char)('a' + i % 26), (char)('a' + i / 26), 0};
        many->consumers[i] = fake_consumer(h, many->stream, name, true, true, CONSUMER_START_FIRST, 0);
        many->members[i] = fake_member(h, many->consumers[i], 100, 60000);
    }
    fake_host_settle(h);
}

static struct consumer *find(struct fake_host *h, int i)
{
    char name[] = {'c', (char)('a' + i % 26), (char)('a' + i / 26), 0};
    return engine_consumer_find(h->engine, engine_stream_find(h->engine, 1, BYTES("s")), bytes_from_string(name));
}

static size_t single(const struct fake_host *h)
{
    return fake_host_records(h, RECORD_DELIVERED) + fake_host_records(h, RECORD_ACKED) +
           fake_host_records(h, RECORD_RETURNED);
}

// The newest record of the kind.
static struct record newest(const struct fake_host *h, uint16_t kind)
{
    struct record found = {0};
    for (size_t i = 0; i < h->entry_count; i++) {
        struct bytes rest = bytes_make(h->entries[i].records, h->entries[i].len);
        while (rest.len) {
            struct record record;
            size_t used;
            assert_int_equal(record_get(rest, true, &record, &used), 0);
            if (record.kind == kind)
                found = record;
            rest = bytes_skip(rest, used);
        }
    }
    return found;
}

static void test_a_turn_of_several_is_one_record(void **state)
{
    struct fake_host *h = *state;
    struct many many;
    add(h, &many, MANY);
    fake_publish(h, many.stream, "m", 1);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, MANY);
    assert_int_equal(fake_host_records(h, RECORD_TURN), 1);
    fake_publish(h, many.stream, "n", 2);
    fake_host_settle(h);
    for (int i = 0; i < MANY - 1; i++)
        assert_int_equal(engine_ack(h->engine, many.consumers[i], 1, h->now), 0);
    assert_int_equal(
        engine_nak(h->engine, many.consumers[MANY - 1], many.members[MANY - 1], 1, 3600000000000, true, h->now), 0);
    fake_host_settle(h);
    assert_int_equal(fake_host_records(h, RECORD_TURN), 3);
    assert_int_equal(single(h), 0);
    assert_int_equal(newest(h, RECORD_TURN).object, 0);
    for (int i = 0; i < MANY - 1; i++) {
        assert_int_equal(fake_consumer_state(many.consumers[i]).ack_floor, 1);
        assert_int_equal(fake_consumer_state(many.consumers[i]).pending, 1);
    }
    assert_int_equal(fake_consumer_state(many.consumers[MANY - 1]).pending, 2);
}

// What is known again is what was known.
static void test_a_start_reads_all_parts(void **state)
{
    struct fake_host *h = *state;
    struct many many;
    add(h, &many, MANY);
    for (uint64_t i = 1; i <= 4; i++)
        fake_publish(h, many.stream, "m", i);
    fake_host_settle(h);
    for (int i = 0; i < MANY; i++) {
        for (uint64_t sequence = 1; sequence <= 3; sequence++) {
            if (sequence != (uint64_t)i % 3 + 1)
                assert_int_equal(engine_ack(h->engine, many.consumers[i], sequence, h->now), 0);
        }
    }
    fake_host_settle(h);
    fake_host_crash(h, false);
    engine_check(h->engine);
    for (int i = 0; i < MANY; i++) {
        struct consumer_state known = fake_consumer_state(find(h, i));
        assert_int_equal(known.next_sequence, 5);
        assert_int_equal(known.pending, 2);
        assert_int_equal(known.ack_floor, i % 3);
        assert_int_equal(known.waiting, 0);
    }
}

// So an older version can start where no two consumers ever had something to say at a time.
static void test_one_alone_has_records_of_its_own(void **state)
{
    struct fake_host *h = *state;
    struct many many;
    add(h, &many, 1);
    for (uint64_t i = 1; i <= 3; i++)
        fake_publish(h, many.stream, "m", i);
    fake_host_settle(h);
    assert_int_equal(engine_ack(h->engine, many.consumers[0], 1, h->now), 0);
    fake_host_settle(h);
    assert_int_equal(fake_host_records(h, RECORD_TURN), 0);
    assert_int_equal(fake_host_records(h, RECORD_DELIVERED), 1);
    assert_int_equal(fake_host_records(h, RECORD_ACKED), 1);
}

// Acknowledged with gaps, so that there is a run for each.
static void test_what_is_long_is_a_record_of_its_own(void **state)
{
    struct fake_host *h = *state;
    struct many many;
    add(h, &many, 2);
    for (uint64_t i = 1; i <= 3000; i++) {
        fake_publish(h, many.stream, "m", i);
        for (int c = 0; i % 50 == 0 && c < 2; c++)
            fake_host_settle(h);
    }
    fake_host_settle(h);
    fake_host_refuse(h); // nothing is open
    size_t turns = fake_host_records(h, RECORD_TURN);
    struct consumer *other = fake_consumer(h, many.stream, "other", true, true, CONSUMER_START_FIRST, 0);
    struct member *greedy = fake_member(h, other, 3000, 60000);
    fake_host_settle(h);
    assert_int_equal(member_in_flight(greedy), 3000);
    for (uint64_t sequence = 1; sequence <= 3000; sequence += 2)
        assert_int_equal(engine_ack(h->engine, other, sequence, h->now), 0);
    assert_int_equal(engine_ack(h->engine, many.consumers[0], 1, h->now), 0);
    assert_int_equal(engine_ack(h->engine, many.consumers[1], 1, h->now), 0);
    size_t acked = fake_host_records(h, RECORD_ACKED);
    fake_host_settle(h);
    assert_int_equal(fake_host_records(h, RECORD_ACKED), acked + 1);
    assert_true(fake_host_records(h, RECORD_TURN) > turns);
    fake_host_crash(h, false);
    engine_check(h->engine);
    struct stream *s = engine_stream_find(h->engine, 1, BYTES("s"));
    assert_int_equal(fake_consumer_state(engine_consumer_find(h->engine, s, BYTES("other"))).pending, 1500);
    assert_int_equal(fake_consumer_state(find(h, 0)).ack_floor, 1);
}

static void test_records_are_bounded(void **state)
{
    struct fake_host *h = *state;
    static struct many many;
    add(h, &many, CROWD);
    for (uint64_t i = 1; i <= 100; i++)
        fake_publish(h, many.stream, "m", i);
    fake_host_settle(h);
    for (int i = 0; i < CROWD; i++) { // with gaps, so that there is much to say of each
        assert_int_equal(engine_ack(h->engine, many.consumers[i], 1, h->now), 0);
        for (uint64_t sequence = 2; sequence <= 100; sequence += 2)
            assert_int_equal(engine_ack(h->engine, many.consumers[i], sequence, h->now), 0);
    }
    fake_host_settle(h);
    assert_true(fake_host_records(h, RECORD_TURN) > 3);
    for (size_t i = 0; i < h->entry_count; i++) {
        struct bytes rest = bytes_make(h->entries[i].records, h->entries[i].len);
        while (rest.len) {
            struct record record;
            size_t used;
            assert_int_equal(record_get(rest, true, &record, &used), 0);
            assert_true(record.kind != RECORD_TURN || record.body.len <= BODY_MAX);
            rest = bytes_skip(rest, used);
        }
    }
    fake_host_crash(h, false);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(fake_consumer_state(find(h, i)).ack_floor, 2);
}

// Nothing of it was: not by halves either.
static void test_a_refused_turn_is_recorded_again(void **state)
{
    struct fake_host *h = *state;
    struct many many;
    add(h, &many, MANY);
    fake_publish(h, many.stream, "m", 1);
    fake_publish(h, many.stream, "n", 2);
    fake_host_settle(h);
    size_t turns = fake_host_records(h, RECORD_TURN);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(engine_ack(h->engine, many.consumers[i], 1, h->now), 0);
    fake_host_turn(h);
    assert_int_equal(fake_host_records(h, RECORD_TURN), turns + 1);
    fake_host_refuse(h);
    assert_int_equal(fake_host_records(h, RECORD_TURN), turns);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(fake_consumer_state(many.consumers[i]).ack_floor, 0);
    fake_host_settle(h);
    assert_int_equal(fake_host_records(h, RECORD_TURN), turns + 1);
    fake_host_crash(h, false);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(fake_consumer_state(find(h, i)).ack_floor, 1);
}

// The log has no room for a whole record, and then none for anything.
static void test_a_full_log(void **state)
{
    struct fake_host *h = *state;
    struct many many;
    add(h, &many, MANY);
    fake_publish(h, many.stream, "m", 1);
    fake_host_settle(h);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(engine_ack(h->engine, many.consumers[i], 1, h->now), 0);
    h->reserved_error = ERR_NO_SPACE;
    size_t turns = fake_host_records(h, RECORD_TURN);
    for (int i = 0; i < 3; i++)
        fake_host_turn(h);
    assert_int_equal(fake_host_records(h, RECORD_TURN), turns);
    assert_int_equal(single(h), 0);
    h->reserved_error = 0;
    fake_host_settle(h);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(fake_consumer_state(many.consumers[i]).ack_floor, 1);
}

// Cut off, or with any byte changed: an error or a state that holds together, never a crash; and a part that does not fit
// refuses all of it.
static void test_damage_is_refused(void **state)
{
    struct fake_host *h = *state;
    struct many many;
    add(h, &many, MANY);
    fake_publish(h, many.stream, "m", 1);
    fake_host_settle(h);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(engine_ack(h->engine, many.consumers[i], 1, h->now), 0);
    fake_host_settle(h);
    struct record record = newest(h, RECORD_TURN);
    struct bytes body = record.body;
    char *bytes = mem_copy(body);
    size_t refused = 0;
    struct engine *engine = engine_new(&h->options);
    for (size_t i = 0; i < h->entry_count; i++) {
        struct bytes rest = bytes_make(h->entries[i].records, h->entries[i].len);
        struct record other;
        for (size_t used; rest.len; rest = bytes_skip(rest, used)) {
            assert_int_equal(record_get(rest, true, &other, &used), 0);
            if (other.kind != RECORD_TURN)
                assert_int_equal(engine_apply(engine, &other, h->entries[i].index, false), 0);
        }
    }
    record.body = bytes_make(bytes, body.len);
    for (size_t len = 1; len < body.len; len++) {
        record.body.len = len;
        refused += engine_apply(engine, &record, 100, false) == ERR_CORRUPT;
    }
    assert_true(refused >= body.len / 2);
    record.body.len = body.len;
    for (size_t i = 0; i < body.len; i++) {
        for (int flip = 0; flip < 8; flip++) {
            bytes[i] = (char)(body.ptr[i] ^ 1 << flip);
            (void)!engine_apply(engine, &record, 100, false);
        }
        bytes[i] = body.ptr[i];
    }
    record.object = 1;
    assert_int_equal(engine_apply(engine, &record, 100, false), ERR_CORRUPT);
    engine_recovered(engine, h->now);
    engine_check(engine);
    engine_free(engine);
    mem_free(bytes);
}

// All parts are good but the last, which is of a kind that there is not: nothing of it counts.
static void test_all_or_nothing(void **state)
{
    struct fake_host *h = *state;
    struct many many;
    add(h, &many, 2);
    fake_host_crash(h, false);
    enum { PART = 5, PARTS = 100 };
    const char part[PART] = {1, 0x15, 2, 0, 0};
    char body[PARTS * PART];
    for (size_t i = 0; i < PARTS; i++)
        memcpy(&body[i * PART], part, PART);
    char *last = &body[(PARTS - 1) * PART];
    last[0] = 2;
    last[1] = 0x17;
    struct record record = {.kind = RECORD_TURN, .body = bytes_make(body, sizeof(body))};
    struct engine *engine = engine_new(&h->options);
    for (size_t i = 0; i < h->entry_count; i++) {
        struct bytes rest = bytes_make(h->entries[i].records, h->entries[i].len);
        struct record other;
        for (size_t used; rest.len; rest = bytes_skip(rest, used)) {
            assert_int_equal(record_get(rest, true, &other, &used), 0);
            assert_int_equal(engine_apply(engine, &other, h->entries[i].index, false), 0);
        }
    }
    struct stream *s = engine_stream_find(engine, 1, BYTES("s"));
    assert_int_equal(engine_apply(engine, &record, 100, false), ERR_CORRUPT);
    assert_int_equal(fake_consumer_state(engine_consumer_find(engine, s, BYTES("caa"))).ack_floor, 0);
    last[1] = part[1];
    assert_int_equal(engine_apply(engine, &record, 100, false), 0);
    assert_int_equal(fake_consumer_state(engine_consumer_find(engine, s, BYTES("caa"))).ack_floor, 1);
    assert_int_equal(fake_consumer_state(engine_consumer_find(engine, s, BYTES("cba"))).ack_floor, 1);
    engine_free(engine);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fake_host_set_up, fake_host_tear_down)
    const struct CMUnitTest tests[] = {
        T(test_a_turn_of_several_is_one_record),
        T(test_a_start_reads_all_parts),
        T(test_one_alone_has_records_of_its_own),
        T(test_what_is_long_is_a_record_of_its_own),
        T(test_records_are_bounded),
        T(test_a_refused_turn_is_recorded_again),
        T(test_a_full_log),
        T(test_damage_is_refused),
        T(test_all_or_nothing),
    };
    return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
