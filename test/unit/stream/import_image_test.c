// SPDX-License-Identifier: Apache-2.0
// A consumer out of its image, as a backup has it: position, what waits and until when, what is dead; before and after a start, and out of
// images that make no sense.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/record.h"
#include "fake_host.h"

#define HOUR_NS UINT64_C(3600000000000)

struct told {
    struct dead_info infos[4];
    size_t count;
};

static bool translate(void *owner, const struct consumer_config *consumer, struct member_config *member)
{
    return true;
}

static void on_dead(void *owner, struct consumer *consumer, const struct dead_info *info)
{
    struct told *told = owner;
    assert_true(told->count < 4);
    told->infos[told->count++] = *info;
}

static struct consumer *find(struct fake_host *h, const char *stream)
{
    return engine_consumer_find(h->engine, engine_stream_find(h->engine, 1, bytes_from_string(stream)), BYTES("c"));
}

// Of nine delivered messages: 2 and 5 are dead, 3 waits for an hour, 4 is given back, 6 is acknowledged, the rest is with its member.
static void build(struct fake_host *h, struct buffer *ret_image)
{
    struct stream *s = fake_stream(h, "s", 0);
    for (uint64_t i = 1; i <= 12; i++)
        fake_publish(h, s, "x", i);
    struct consumer *c = fake_consumer(h, s, "c", true, true, CONSUMER_START_FIRST, 0);
    struct member *member = fake_member(h, c, 9, 60000);
    fake_host_settle(h);
    assert_int_equal(engine_terminate(h->engine, c, 2, BYTES("no such customer"), h->now), 0);
    assert_int_equal(engine_terminate(h->engine, c, 5, BYTES(""), h->now), 0);
    assert_int_equal(engine_ack(h->engine, c, 6, h->now), 0);
    engine_member_set_state(h->engine, member, MEMBER_CONGESTED, h->now);
    assert_int_equal(engine_nak(h->engine, c, member, 3, HOUR_NS, true, h->now), 0);
    assert_int_equal(engine_nak(h->engine, c, member, 4, 0, true, h->now), 0);
    fake_host_settle(h);
    buffer_init(ret_image, 65536);
    assert_true(engine_image_consumer(c, ret_image));
}

static struct record record_of(const struct buffer *image)
{
    struct record record;
    size_t used;
    assert_int_equal(record_get(buffer_bytes(image), true, &record, &used), 0);
    return record;
}

static int bring(struct fake_host *h, const struct record *image, struct told *told)
{
    struct stream *t = fake_stream(h, "t", 0);
    for (uint64_t i = 1; i <= 12; i++) {
        const struct publish publish = {.payload = BYTES("x")};
        uint64_t index;
        assert_int_equal(engine_import_message(h->engine, t, &publish, i, i, h->now, &index), 0);
    }
    fake_host_settle(h);
    struct import_image out = {.translate = translate, .on_dead = on_dead, .owner = told};
    int error = engine_import_consumer(h->engine, t, image, h->now, &out);
    for (size_t i = 0; i < told->count && !error; i++) {
        told->infos[i].stream = 7;
        error = engine_import_dead(h->engine, out.consumer, &told->infos[i], h->now);
    }
    fake_host_settle(h);
    return error;
}

static void expect(struct fake_host *h, size_t out_with_member)
{
    struct consumer *c = find(h, "t");
    struct dead_info dead[4];
    struct pending_info pending[9];
    assert_int_equal(fake_consumer_state(c).next_sequence, 10);
    assert_int_equal(fake_consumer_state(c).dead, 2);
    assert_int_equal(fake_consumer_state(c).dead_ever, 2);
    assert_int_equal(consumer_dead_list(c, 0, dead, 4), 2);
    assert_int_equal(dead[0].sequence, 2);
    assert_true(bytes_equal(dead[0].text, BYTES("no such customer")));
    assert_int_equal(dead[0].reason, DEAD_TERMINATED);
    assert_int_equal(dead[0].stream, 7);
    assert_int_equal(dead[1].sequence, 5);
    assert_int_equal(consumer_pending_list(c, 0, pending, 9), 6);
    const uint64_t sequences[] = {1, 3, 4, 7, 8, 9};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(pending[i].sequence, sequences[i]);
    assert_int_equal(pending[1].place, PENDING_HELD_BACK);
    uint64_t left_ns = pending[1].deadline_ns - h->now.wall_ns;
    assert_true(left_ns <= HOUR_NS && left_ns > HOUR_NS / 2);
    assert_int_equal(pending[2].member, 0);
    assert_int_equal(pending[2].attempts, 1);
    assert_int_equal(member_in_flight(consumer_member_next(c, NULL)), out_with_member);
    engine_check(h->engine);
}

static void test_all_of_it(void **state)
{
    struct fake_host *h = *state;
    struct buffer image;
    struct told told = {0};
    build(h, &image);
    const struct record record = record_of(&image);
    assert_int_equal(record.kind, RECORD_IMAGE_CONSUMER_MORE);
    assert_int_equal(bring(h, &record, &told), 0);
    assert_int_equal(told.infos[0].member, member_id(consumer_member_next(find(h, "t"), NULL)));
    expect(h, 4);
    fake_host_crash(h, false);
    expect(h, 4);
    fake_host_checkpoint(h, true, 100, 0);
    fake_host_crash(h, true);
    expect(h, 4);
    buffer_deinit(&image);
}

static void test_dead_that_cannot_be(void **state)
{
    struct fake_host *h = *state;
    struct buffer image;
    struct told told = {0};
    build(h, &image);
    const struct record record = record_of(&image);
    assert_int_equal(bring(h, &record, &told), 0);
    struct consumer *c = find(h, "t");
    const uint64_t bad[] = {0, 1, 3, 10, UINT64_MAX}; // none, pending, delayed, never delivered
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dead_info info = {.sequence = bad[i], .attempts = 1, .reason = DEAD_TERMINATED};
        assert_int_equal(engine_import_dead(h->engine, c, &info, h->now), ERR_INVALID);
    }
    struct dead_info info = {.sequence = 6, .attempts = 1, .reason = DEAD_TERMINATED};
    h->reserved_error = ERR_NO_SPACE;
    assert_int_equal(engine_import_dead(h->engine, c, &info, h->now), ERR_NO_SPACE);
    h->reserved_error = 0;
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(c).dead, 2);
    buffer_deinit(&image);
}

// Cut anywhere, it is no image; and nothing is made of it.
static void test_cut_off(void **state)
{
    struct fake_host *h = *state;
    struct buffer image;
    build(h, &image);
    struct record record = record_of(&image);
    struct stream *t = fake_stream(h, "t", 0);
    struct told told = {0};
    struct import_image out = {.translate = translate, .on_dead = on_dead, .owner = &told};
    size_t len = record.body.len;
    for (record.body.len = 0; record.body.len < len; record.body.len++)
        assert_int_equal(engine_import_consumer(h->engine, t, &record, h->now, &out), ERR_CORRUPT);
    assert_int_equal(told.count, 0);
    assert_null(find(h, "t"));
    buffer_deinit(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_of_it, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_dead_that_cannot_be, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_cut_off, fake_host_set_up, fake_host_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
