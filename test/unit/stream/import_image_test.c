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
    struct import_image out = {
        .translate = translate, .on_dead = on_dead, .owner = told, .stream = get_u32(image->body.ptr + 40)};
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

static void sought(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    *(int *)owner = error;
}

// It was moved back to where it had come by before these died: those behind its position come over as messages that it has not had.
static void test_dead_before_a_seek(void **state)
{
    struct fake_host *h = *state;
    struct buffer image;
    struct told told = {0};
    int error = -1;
    build(h, &image);
    engine_consumer_seek(h->engine, find(h, "s"), CONSUMER_START_SEQUENCE, 4, 0, h->now, sought, &error);
    fake_host_settle(h);
    assert_int_equal(error, 0);
    assert_int_equal(fake_consumer_state(find(h, "s")).next_sequence, 4);
    buffer_clear(&image);
    assert_true(engine_image_consumer(find(h, "s"), &image));
    const struct record record = record_of(&image);
    assert_int_equal(bring(h, &record, &told), 0);
    assert_int_equal(told.count, 1);
    assert_int_equal(fake_consumer_state(find(h, "t")).next_sequence, 4);
    assert_int_equal(fake_consumer_state(find(h, "t")).dead, 1);
    engine_check(h->engine);
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

// The two frames of an image, its own and what somebody did.
static void frames_of(const struct buffer *image, struct record *ret_image, struct record *ret_control)
{
    size_t used, more;
    assert_int_equal(record_get(buffer_bytes(image), true, ret_image, &used), 0);
    assert_int_equal(record_get(bytes_skip(buffer_bytes(image), used), true, ret_control, &more), 0);
    assert_int_equal(used + more, image->len);
    assert_int_equal(ret_control->kind, RECORD_IMAGE_CONTROL);
}

static void expect_controlled(struct fake_host *h, uint64_t until_ns)
{
    struct stream_state stream;
    stream_state_get(engine_stream_find(h->engine, 1, BYTES("t")), &stream);
    assert_true(stream.paused && stream.edited);
    assert_int_equal(stream.paused_until_ns, until_ns);
    assert_int_equal(stream.inactivity_ns, HOUR_NS);
    assert_int_equal(stream.config.max_msgs, 11);
    assert_true(bytes_equal(stream.config.dead_letter, BYTES("dead")));
    assert_int_equal(stream.messages, 11);
    assert_true(fake_consumer_state(find(h, "t")).paused);
}

static void test_controls(void **state)
{
    struct fake_host *h = *state;
    struct buffer image, of_stream;
    struct told told = {0};
    build(h, &image);
    struct stream *s = engine_stream_find(h->engine, 1, BYTES("s"));
    struct stream_edit edit = {
        .config = {.account = 1, .name = BYTES("s"), .max_msgs = 11, .dead_letter = BYTES("dead")},
        .edited = true,
        .inactivity_ns = HOUR_NS};
    uint64_t until_ns = (h->now.wall_ns + HOUR_NS) / 1000000 * 1000000, index;
    assert_int_equal(engine_stream_edit(h->engine, s, &edit, h->now, &index), 0);
    assert_int_equal(engine_stream_pause(h->engine, s, true, until_ns, h->now, &index), 0);
    assert_int_equal(engine_consumer_pause(h->engine, find(h, "s"), true, 0, h->now, &index), 0);
    fake_host_settle(h);
    buffer_clear(&image);
    buffer_init(&of_stream, 65536);
    assert_true(engine_image_consumer(find(h, "s"), &image));
    assert_true(engine_image_stream(s, 12, &of_stream));
    struct record consumer, consumer_control, stream, stream_control;
    frames_of(&image, &consumer, &consumer_control);
    frames_of(&of_stream, &stream, &stream_control);
    assert_int_equal(bring(h, &consumer, &told), 0);
    struct stream *t = engine_stream_find(h->engine, 1, BYTES("t"));
    edit = (struct stream_edit){.edited = true};
    assert_int_equal(engine_import_control(h->engine, t, find(h, "t"), &consumer_control, &stream, h->now, &edit), 0);
    assert_false(edit.edited);
    assert_int_equal(engine_import_control(h->engine, t, NULL, &stream_control, &stream, h->now, &edit), 0);
    assert_true(edit.edited && bytes_equal(edit.config.name, BYTES("s")));
    edit.config.name = BYTES("t"); // in another engine it has its own
    assert_int_equal(engine_stream_edit(h->engine, t, &edit, h->now, &index), 0);
    fake_host_settle(h);
    expect_controlled(h, until_ns);
    fake_host_crash(h, false);
    expect_controlled(h, until_ns);
    stream_control.body.len--;
    t = engine_stream_find(h->engine, 1, BYTES("t"));
    assert_int_equal(engine_import_control(h->engine, t, NULL, &stream_control, &stream, h->now, &edit), ERR_CORRUPT);
    buffer_deinit(&image);
    buffer_deinit(&of_stream);
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
    struct import_image out = {
        .translate = translate, .on_dead = on_dead, .owner = &told, .stream = get_u32(record.body.ptr + 40) + 1};
    assert_int_equal(engine_import_consumer(h->engine, t, &record, h->now, &out), ERR_CORRUPT); // of another stream
    out.stream--;
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
        cmocka_unit_test_setup_teardown(test_dead_before_a_seek, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_dead_that_cannot_be, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_controls, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_cut_off, fake_host_set_up, fake_host_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
