// SPDX-License-Identifier: Apache-2.0
// What is done by hand: pauses, positions, purges, dead messages that live again, configurations; each also after a crash, from the log and
// from an image, and when the log refuses it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake_host.h"

#define SECONDS 1000000000ull

// A durable group "c" of stream "s" with a member of so many places, and ten messages.
struct scene {
    struct fake_host *h;
    struct stream *s;
    struct consumer *c;
};

static struct scene scene_begin(struct fake_host *h, uint32_t places)
{
    struct scene scene = {h, fake_stream(h, "s", 0), NULL};
    scene.c = fake_consumer(h, scene.s, "c", true, true, CONSUMER_START_FIRST, 0);
    fake_member(h, scene.c, places, 60000);
    fake_host_settle(h);
    for (int i = 0; i < 10; i++)
        fake_publish(h, scene.s, "m", 0);
    fake_host_settle(h);
    return scene;
}

// The server ends and comes back; its member, too.
static void restart(struct scene *scene, bool with_image)
{
    struct fake_host *h = scene->h;
    if (with_image)
        fake_host_checkpoint(h, true, 1000, 0);
    fake_host_crash(h, with_image);
    h->delivery_count = 0;
    scene->s = engine_stream_find(h->engine, 1, BYTES("s"));
    assert_non_null(scene->s);
    scene->c = engine_consumer_find(h->engine, scene->s, BYTES("c"));
    for (struct member *m = scene->c ? consumer_member_next(scene->c, NULL) : NULL; m;
         m = consumer_member_next(scene->c, m))
        engine_member_set_state(h->engine, m, MEMBER_READY, h->now);
    fake_host_settle(h);
    engine_check(h->engine);
}

static struct stream_state stream_of(const struct scene *scene)
{
    struct stream_state state;
    stream_state_get(scene->s, &state);
    return state;
}

static void ack(struct scene *scene, uint64_t first, uint64_t last)
{
    for (uint64_t sequence = first; sequence <= last; sequence++)
        assert_int_equal(engine_ack(scene->h->engine, scene->c, sequence, scene->h->now), 0);
    fake_host_settle(scene->h);
}

static void pause_stream(struct scene *scene, bool paused, uint64_t until_ns)
{
    uint64_t index;
    assert_int_equal(engine_stream_pause(scene->h->engine, scene->s, paused, until_ns, scene->h->now, &index), 0);
}

static void pause_consumer(struct scene *scene, bool paused, uint64_t until_ns)
{
    uint64_t index;
    assert_int_equal(engine_consumer_pause(scene->h->engine, scene->c, paused, until_ns, scene->h->now, &index), 0);
}

static void kill_some(struct scene *scene, uint64_t first, uint64_t last)
{
    for (uint64_t sequence = first; sequence <= last; sequence++)
        assert_int_equal(engine_terminate(scene->h->engine, scene->c, sequence, BYTES("why"), scene->h->now), 0);
    fake_host_settle(scene->h);
}

static size_t redrive(struct scene *scene, uint64_t first, uint64_t last)
{
    uint64_t sequences[16], index;
    size_t count = 0, taken;
    for (uint64_t sequence = first; sequence <= last; sequence++)
        sequences[count++] = sequence;
    assert_int_equal(engine_redrive(scene->h->engine, scene->c, sequences, count, scene->h->now, &taken, &index), 0);
    return taken;
}

static void test_nothing_is_delivered_while_paused(void **state)
{
    for (int whole = 0; whole < 2; whole++) {
        struct fake_host *h = *state;
        struct scene scene = {h, NULL, NULL};
        if (whole == 0)
            scene = scene_begin(h, 4);
        else
            scene = (struct scene){h, engine_stream_find(h->engine, 1, BYTES("s")), NULL};
        if (whole)
            scene.c = engine_consumer_find(h->engine, scene.s, BYTES("c"));
        size_t before = h->delivery_count;
        uint64_t floor = fake_consumer_state(scene.c).ack_floor;
        whole ? pause_stream(&scene, true, 0) : pause_consumer(&scene, true, 0);
        fake_host_settle(h);
        assert_int_equal(stream_of(&scene).paused, whole);
        assert_int_equal(fake_consumer_state(scene.c).paused, !whole);
        // Acknowledgements are taken, messages come in, ack waits run.
        ack(&scene, floor + 1, floor + 2);
        fake_publish(h, scene.s, "m", 0);
        fake_host_settle(h);
        fake_host_advance(h, 61000);
        fake_host_settle(h);
        assert_int_equal(h->delivery_count, before);
        restart(&scene, whole);
        assert_int_equal(h->delivery_count, 0);
        assert_int_equal(stream_of(&scene).paused, whole);
        whole ? pause_stream(&scene, false, 0) : pause_consumer(&scene, false, 0);
        fake_host_settle(h);
        assert_true(h->delivery_count > 0);
        assert_int_equal(member_in_flight(consumer_member_next(scene.c, NULL)), 4);
        restart(&scene, !whole);
        assert_false(stream_of(&scene).paused);
        assert_false(fake_consumer_state(scene.c).paused);
    }
}

static void test_a_pause_ends_by_itself(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    ack(&scene, 1, 4);
    size_t before = h->delivery_count;
    pause_stream(&scene, true, h->now.wall_ns + 200 * SECONDS);
    pause_consumer(&scene, true, h->now.wall_ns + 100 * SECONDS);
    fake_host_settle(h);
    assert_int_equal(stream_of(&scene).paused_until_ns / SECONDS, h->now.wall_ns / SECONDS + 200);
    for (int i = 0; i < 99; i++) {
        fake_host_advance(h, 1000);
        fake_host_settle(h);
    }
    assert_true(fake_consumer_state(scene.c).paused);
    fake_host_advance(h, 2000);
    fake_host_settle(h);
    assert_false(fake_consumer_state(scene.c).paused);
    assert_int_equal(h->delivery_count, before);
    // Its time passes while the server is away.
    h->now.wall_ns += 200 * SECONDS;
    restart(&scene, true);
    fake_host_advance(h, 1);
    fake_host_settle(h);
    assert_false(stream_of(&scene).paused);
    assert_true(h->delivery_count > 0);
}

// The end of a pause, proposed behind another pause, is not the end of that.
static void test_the_end_of_one_pause_is_not_that_of_the_next(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    pause_consumer(&scene, true, h->now.wall_ns + 10 * SECONDS);
    fake_host_settle(h);
    h->now.mono_ns += 11 * SECONDS;
    h->now.wall_ns += 11 * SECONDS;
    pause_consumer(&scene, true, 0);
    fake_host_settle(h);
    assert_int_equal(fake_host_records(h, RECORD_CONSUMER_PAUSE), 3);
    assert_true(fake_consumer_state(scene.c).paused);
    assert_int_equal(fake_consumer_state(scene.c).paused_until_ns, 0);
}

// What is read when the pause is committed does not go out.
static void test_what_is_being_read_stays(void **state)
{
    struct fake_host *h = *state;
    h->asynchronous = true;
    struct scene scene = scene_begin(h, 4);
    assert_true(h->read_count > 0);
    pause_stream(&scene, true, 0);
    fake_host_settle(h);
    assert_int_equal(h->read_count, 0);
    assert_int_equal(h->delivery_count, 0);
    h->asynchronous = false;
    pause_stream(&scene, false, 0);
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 4);
    assert_int_equal(h->deliveries[0].sequence, 1);
}

static void sought(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    (void)consumer;
    (void)index;
    *(int *)owner = error;
}

static int seek(struct scene *scene, enum consumer_start start, uint64_t sequence, uint64_t time_ns)
{
    int error = ERR_AGAIN;
    engine_consumer_seek(scene->h->engine, scene->c, start, sequence, time_ns, scene->h->now, sought, &error);
    return error;
}

static void test_a_consumer_begins_elsewhere(void **state)
{
    for (int with_image = 0; with_image < 2; with_image++) {
        struct fake_host *h = *state;
        struct scene scene = {h, engine_stream_find(h->engine, 1, BYTES("s")), NULL};
        if (!scene.s)
            scene = scene_begin(h, 4);
        else
            scene.c = engine_consumer_find(h->engine, scene.s, BYTES("c"));
        h->delivery_count = 0;
        assert_int_equal(seek(&scene, CONSUMER_START_SEQUENCE, 6, 0), 0);
        // Until that is durable nothing counts, and then what was out is nobody's.
        assert_int_equal(engine_ack(h->engine, scene.c, 2, h->now), ERR_NOT_FOUND);
        assert_int_equal(engine_nak(h->engine, scene.c, NULL, 2, 0, true, h->now), ERR_NOT_FOUND);
        assert_int_equal(engine_terminate(h->engine, scene.c, 2, BYTES(""), h->now), ERR_NOT_FOUND);
        assert_int_equal(seek(&scene, CONSUMER_START_FIRST, 0, 0), ERR_AGAIN);
        fake_host_settle(h);
        assert_int_equal(engine_ack(h->engine, scene.c, 2, h->now), ERR_NOT_FOUND);
        assert_int_equal(h->delivery_count, 4);
        assert_int_equal(h->deliveries[0].sequence, 6);
        assert_int_equal(h->deliveries[0].count, 0);
        assert_int_equal(fake_consumer_state(scene.c).ack_floor, 5);
        assert_int_equal(fake_consumer_state(scene.c).pending, 4);
        ack(&scene, 6, 7);
        restart(&scene, with_image);
        assert_int_equal(fake_consumer_state(scene.c).ack_floor, 7);
        assert_int_equal(fake_consumer_state(scene.c).config.start_sequence, 6);
        // Back to the beginning, from which everything comes again, also what was acknowledged.
        assert_int_equal(seek(&scene, CONSUMER_START_FIRST, 0, 0), 0);
        fake_host_settle(h);
        for (uint64_t sequence = 1; sequence <= 10; sequence++)
            ack(&scene, sequence, sequence);
        restart(&scene, with_image);
        assert_int_equal(fake_consumer_state(scene.c).ack_floor, 10);
        assert_int_equal(h->delivery_count, 0);
        // Beyond both ends.
        assert_int_equal(seek(&scene, CONSUMER_START_SEQUENCE, 1000, 0), 0);
        fake_host_settle(h);
        assert_int_equal(fake_consumer_state(scene.c).next_sequence, 11);
        assert_int_equal(seek(&scene, CONSUMER_START_LAST, 0, 0), 0);
        fake_host_settle(h);
        assert_int_equal(h->delivery_count, 1);
        assert_int_equal(h->deliveries[0].sequence, 10);
        assert_int_equal(seek(&scene, CONSUMER_START_SEQUENCE, 0, 0), 0);
        fake_host_settle(h);
        assert_int_equal(fake_consumer_state(scene.c).ack_floor, 0);
    }
}

// Between its proposal and its commit nothing goes that it will want.
static void test_what_a_seek_goes_back_to_is_kept(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 10);
    struct stream_config config = stream_of(&scene).config;
    struct publish publish = {.payload = BYTES("m")};
    struct publish_result result;
    uint64_t index;
    config.discard_new = true;
    config.max_msgs = 10;
    assert_int_equal(engine_stream_update(h->engine, scene.s, &config, h->now, &index), 0);
    ack(&scene, 1, 10);
    assert_int_equal(seek(&scene, CONSUMER_START_SEQUENCE, 3, 0), 0);
    assert_int_equal(engine_publish(h->engine, scene.s, &publish, h->now, &result), 0); // for 1
    assert_int_equal(engine_publish(h->engine, scene.s, &publish, h->now, &result), 0); // for 2
    assert_int_equal(engine_publish(h->engine, scene.s, &publish, h->now, &result), ERR_FULL);
    fake_host_settle(h);
    assert_int_equal(engine_publish(h->engine, scene.s, &publish, h->now, &result), ERR_FULL);
    assert_int_equal(stream_of(&scene).first_sequence, 3);
    kill_some(&scene, 3, 3);
    ack(&scene, 4, 12);
    assert_int_equal(redrive(&scene, 3, 3), 1);
    assert_int_equal(engine_publish(h->engine, scene.s, &publish, h->now, &result), ERR_FULL);
    // Refused, it wants nothing.
    fake_host_refuse(h);
    assert_int_equal(engine_publish(h->engine, scene.s, &publish, h->now, &result), 0);
}

// What was said before it is in the log before it.
static void test_a_seek_comes_behind_what_was_said(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    assert_int_equal(engine_ack(h->engine, scene.c, 1, h->now), 0);
    assert_int_equal(engine_nak(h->engine, scene.c, NULL, 2, 0, true, h->now), 0);
    assert_int_equal(seek(&scene, CONSUMER_START_FIRST, 0, 0), 0);
    h->delivery_count = 0;
    fake_host_settle(h);
    assert_int_equal(h->delivery_count, 4);
    assert_int_equal(h->deliveries[0].sequence, 1);
    restart(&scene, false);
    assert_int_equal(fake_consumer_state(scene.c).ack_floor, 0);
    assert_int_equal(fake_consumer_state(scene.c).next_sequence, 5);
    // The log refuses it: it goes on as if it had not been asked.
    ack(&scene, 1, 2);
    assert_int_equal(seek(&scene, CONSUMER_START_FIRST, 0, 0), 0);
    fake_host_refuse(h);
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(scene.c).ack_floor, 2);
    ack(&scene, 3, 4);
}

static void test_a_seek_by_time_reads(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 100);
    fake_host_advance(h, 10000);
    uint64_t time_ns = h->now.wall_ns;
    fake_publish(h, scene.s, "m", 0);
    fake_host_settle(h);
    ack(&scene, 1, 11);
    h->delivery_count = 0;
    h->asynchronous = true;
    assert_int_equal(seek(&scene, CONSUMER_START_TIME, 0, time_ns), ERR_AGAIN); // not yet
    assert_true(fake_host_answer(h, 0));
    fake_host_settle(h);
    while (fake_host_answer(h, 0))
        fake_host_settle(h);
    assert_int_equal(h->delivery_count, 1);
    assert_int_equal(h->deliveries[0].sequence, 11);
    // One that goes meanwhile is not there to be moved.
    uint64_t index;
    int error = ERR_AGAIN;
    engine_consumer_seek(h->engine, scene.c, CONSUMER_START_TIME, 0, time_ns, h->now, sought, &error);
    assert_int_equal(engine_consumer_delete(h->engine, scene.c, h->now, &index), 0);
    assert_true(fake_host_answer(h, 0));
    assert_int_equal(error, ERR_NOT_FOUND);
    fake_host_settle(h);
}

static void purged(struct stream_purge *purge, int error)
{
    purge->keep = error ? (uint64_t)-error : 12345;
}

static struct stream_purge purge(struct scene *scene, uint64_t before, uint64_t before_ns, uint64_t keep)
{
    struct stream_purge purge = {.before_sequence = before, .before_time_ns = before_ns, .keep = keep, .done = purged};
    assert_int_equal(engine_stream_purge(scene->h->engine, scene->s, &purge, scene->h->now), 0);
    fake_host_settle(scene->h);
    assert_int_equal(purge.keep, 12345);
    return purge;
}

static void test_a_purge_takes_what_is_meant(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    struct stream_purge gone = purge(&scene, 3, UINT64_MAX, 0);
    assert_int_equal(gone.messages, 2);
    assert_true(gone.bytes > 0 && gone.index > 0);
    assert_int_equal(stream_of(&scene).first_sequence, 3);
    // What was out of it is finished.
    assert_int_equal(fake_consumer_state(scene.c).ack_floor, 2);
    assert_int_equal(engine_ack(h->engine, scene.c, 1, h->now), ERR_NOT_FOUND);
    gone = purge(&scene, UINT64_MAX, UINT64_MAX, 6);
    assert_int_equal(gone.messages, 2);
    assert_int_equal(stream_of(&scene).messages, 6);
    gone = purge(&scene, UINT64_MAX, UINT64_MAX, 7);
    assert_int_equal(gone.messages, 0);
    fake_host_advance(h, 10000);
    fake_publish(h, scene.s, "m", 0);
    fake_host_settle(h);
    gone = purge(&scene, UINT64_MAX, h->now.wall_ns - 5 * SECONDS, 0);
    assert_int_equal(gone.messages, 6);
    assert_int_equal(stream_of(&scene).first_sequence, 11);
    gone = purge(&scene, UINT64_MAX, UINT64_MAX, 0);
    assert_int_equal(gone.messages, 1);
    assert_int_equal(stream_of(&scene).messages, 0);
    gone = purge(&scene, UINT64_MAX, UINT64_MAX, 0);
    assert_int_equal(gone.messages, 0);
    restart(&scene, false);
    assert_int_equal(stream_of(&scene).messages, 0);
    assert_int_equal(stream_of(&scene).last_sequence, 11);
    assert_int_equal(fake_consumer_state(scene.c).pending, 0);
}

// A stream that refuses rather than forget what is not finished forgets it when it is told to.
static void test_a_purge_takes_what_is_protected(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    struct stream_config config = stream_of(&scene).config;
    uint64_t index;
    config.discard_new = true;
    config.max_msgs = 5;
    assert_int_equal(engine_stream_update(h->engine, scene.s, &config, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(stream_of(&scene).messages, 10);
    struct stream_purge gone = purge(&scene, 8, UINT64_MAX, 0);
    assert_int_equal(gone.messages, 7);
    assert_int_equal(stream_of(&scene).messages, 3);
}

static void test_a_purge_goes_step_by_step(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    for (int i = 0; i < 5000; i++) {
        fake_publish(h, scene.s, "m", 0);
        if (i % 100 == 0)
            fake_host_settle(h);
    }
    fake_host_settle(h);
    struct stream_purge gone = {.before_sequence = 5000, .before_time_ns = UINT64_MAX, .done = purged};
    assert_int_equal(engine_stream_purge(h->engine, scene.s, &gone, h->now), 0);
    assert_int_equal(engine_stream_purge(h->engine, scene.s, &gone, h->now), ERR_IN_USE);
    fake_host_turn(h);
    assert_true(gone.messages > 0 && gone.messages < 4999);
    assert_int_equal(gone.keep, 0);
    fake_host_settle(h);
    assert_int_equal(gone.keep, 12345);
    assert_int_equal(gone.messages, 4999);
    assert_int_equal(stream_of(&scene).first_sequence, 5000);
    // Nobody waits for it any more; the stream goes under it; the server stops.
    gone = (struct stream_purge){.before_sequence = 5005, .before_time_ns = UINT64_MAX, .done = purged};
    assert_int_equal(engine_stream_purge(h->engine, scene.s, &gone, h->now), 0);
    engine_purge_cancel(&gone);
    fake_host_settle(h);
    assert_int_equal(gone.keep, 0);
    assert_int_equal(stream_of(&scene).first_sequence, 5000);
    assert_int_equal(engine_stream_purge(h->engine, scene.s, &gone, h->now), 0);
    uint64_t index;
    assert_int_equal(engine_stream_delete(h->engine, scene.s, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(gone.keep, -ERR_NOT_FOUND);
}

static void test_a_purge_ends_with_the_server(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    struct stream_purge gone = {.before_sequence = 5, .before_time_ns = UINT64_MAX, .done = purged};
    assert_int_equal(engine_stream_purge(h->engine, scene.s, &gone, h->now), 0);
    engine_quiesce(h->engine);
    assert_int_equal(gone.keep, -ERR_CLOSED);
    assert_int_equal(engine_stream_purge(h->engine, scene.s, &gone, h->now), ERR_CLOSED);
}

static void test_dead_messages_live_again(void **state)
{
    for (int with_image = 0; with_image < 2; with_image++) {
        struct fake_host *h = *state;
        struct scene scene = {h, engine_stream_find(h->engine, 1, BYTES("s")), NULL};
        if (!scene.s)
            scene = scene_begin(h, 4);
        else
            scene.c = engine_consumer_find(h->engine, scene.s, BYTES("c"));
        if (with_image)
            assert_int_equal(seek(&scene, CONSUMER_START_FIRST, 0, 0), 0);
        fake_host_settle(h);
        kill_some(&scene, 1, 3);
        while (fake_consumer_state(scene.c).pending)
            ack(&scene, fake_consumer_state(scene.c).oldest_pending, fake_consumer_state(scene.c).oldest_pending);
        assert_int_equal(fake_consumer_state(scene.c).ack_floor, 10);
        assert_int_equal(fake_consumer_state(scene.c).dead, 3);
        restart(&scene, with_image);
        assert_int_equal(h->delivery_count, 0);
        assert_int_equal(redrive(&scene, 2, 5), 2);
        assert_int_equal(redrive(&scene, 2, 3), 0); // they are on their way
        fake_host_settle(h);
        assert_int_equal(h->delivery_count, 2);
        assert_int_equal(h->deliveries[0].sequence, 2);
        assert_int_equal(h->deliveries[0].count, 0);
        assert_int_equal(fake_consumer_state(scene.c).dead, 1);
        assert_int_equal(fake_consumer_state(scene.c).pending, 2);
        assert_int_equal(fake_consumer_state(scene.c).ack_floor, 1);
        restart(&scene, with_image);
        assert_int_equal(fake_consumer_state(scene.c).pending, 2);
        ack(&scene, 2, 2);
        kill_some(&scene, 3, 3);
        restart(&scene, with_image);
        assert_int_equal(fake_consumer_state(scene.c).dead, 2);
        assert_int_equal(fake_consumer_state(scene.c).ack_floor, 10);
        assert_int_equal(h->delivery_count, 0);
        assert_int_equal(redrive(&scene, 1, 3), 2);
        fake_host_settle(h);
        ack(&scene, 1, 1);
        ack(&scene, 3, 3);
        assert_int_equal(fake_consumer_state(scene.c).dead, 0);
    }
}

// As if for the first time: members have no more of them than places.
static void test_what_lives_again_waits_for_a_place(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    kill_some(&scene, 1, 4);
    kill_some(&scene, 5, 8);
    assert_int_equal(member_in_flight(consumer_member_next(scene.c, NULL)), 2);
    h->delivery_count = 0;
    assert_int_equal(redrive(&scene, 1, 8), 8);
    fake_host_settle(h);
    assert_int_equal(member_in_flight(consumer_member_next(scene.c, NULL)), 4);
    assert_int_equal(h->delivery_count, 2);
    assert_int_equal(h->deliveries[1].sequence, 2);
    ack(&scene, 1, 2);
    assert_int_equal(h->delivery_count, 4);
}

// What is dead and lies behind a seek does not come again, so it does not wait.
static void test_the_dead_do_not_wait_behind_a_seek(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    uint64_t messages = stream_of(&scene).messages;
    kill_some(&scene, 1, 1);
    kill_some(&scene, 3, 4);
    pause_consumer(&scene, true, 0);
    fake_host_settle(h);
    assert_int_equal(seek(&scene, CONSUMER_START_FIRST, 0, 0), 0);
    fake_host_settle(h);
    for (int with_image = 0; with_image < 2; with_image++) {
        assert_int_equal(fake_consumer_state(scene.c).waiting, messages - 3);
        assert_int_equal(fake_consumer_state(scene.c).oldest_waiting, 2);
        restart(&scene, with_image);
    }
    assert_int_equal(redrive(&scene, 3, 3), 1);
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(scene.c).waiting, messages - 2);
}

static void test_a_refused_redrive_is_none(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    kill_some(&scene, 1, 3);
    h->delivery_count = 0;
    assert_int_equal(redrive(&scene, 1, 3), 3);
    fake_host_refuse(h);
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(scene.c).dead, 3);
    assert_int_equal(h->delivery_count, 0);
    // What the stream drops is not redriven any more.
    purge(&scene, 3, UINT64_MAX, 0);
    assert_int_equal(redrive(&scene, 1, 3), 1);
    fake_host_settle(h);
    // Dead ones stay dead where a consumer begins anew, and live in their place when they are redriven there.
    kill_some(&scene, 3, 3);
    assert_int_equal(seek(&scene, CONSUMER_START_FIRST, 0, 0), 0);
    h->delivery_count = 0;
    fake_host_settle(h);
    assert_int_equal(h->deliveries[0].sequence, 4);
    assert_int_equal(redrive(&scene, 3, 3), 1);
    fake_host_settle(h);
    assert_int_equal(fake_consumer_state(scene.c).ack_floor, 2);
}

static void test_an_edited_stream_says_so(void **state)
{
    struct fake_host *h = *state;
    struct scene scene = scene_begin(h, 4);
    struct stream_edit edit = {.config = stream_of(&scene).config, .edited = true, .inactivity_ns = 7};
    uint64_t index;
    edit.config.max_msgs = 6;
    assert_int_equal(engine_stream_edit(h->engine, scene.s, &edit, h->now, &index), 0);
    fake_host_settle(h);
    assert_int_equal(stream_of(&scene).messages, 6);
    for (int with_image = 0; with_image < 2; with_image++) {
        restart(&scene, with_image);
        assert_true(stream_of(&scene).edited);
        assert_int_equal(stream_of(&scene).inactivity_ns, 7);
        assert_int_equal(stream_of(&scene).config.max_msgs, 6);
    }
    edit.config = stream_of(&scene).config;
    edit.edited = false;
    assert_int_equal(engine_stream_edit(h->engine, scene.s, &edit, h->now, &index), 0);
    fake_host_settle(h);
    restart(&scene, true);
    assert_false(stream_of(&scene).edited);
    assert_int_equal(stream_of(&scene).inactivity_ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_delivered_while_paused, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_pause_ends_by_itself, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_being_read_stays, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_the_end_of_one_pause_is_not_that_of_the_next, fake_host_set_up,
                                        fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_what_a_seek_goes_back_to_is_kept, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_consumer_begins_elsewhere, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_seek_comes_behind_what_was_said, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_seek_by_time_reads, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_purge_takes_what_is_meant, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_purge_takes_what_is_protected, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_purge_goes_step_by_step, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_purge_ends_with_the_server, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_dead_messages_live_again, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_what_lives_again_waits_for_a_place, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_the_dead_do_not_wait_behind_a_seek, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_a_refused_redrive_is_none, fake_host_set_up, fake_host_tear_down),
        cmocka_unit_test_setup_teardown(test_an_edited_stream_says_so, fake_host_set_up, fake_host_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
