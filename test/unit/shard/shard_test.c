// SPDX-License-Identifier: Apache-2.0
// A shard over the memory store: what is published comes back, is acknowledged, redelivered, answered.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "shard/hold.h"
#include "shard/shard.h"

enum { MAX_SEEN = 64 };

struct seen {
    uint64_t sequence;
    uint32_t member, count;
    char payload[32];
};

struct fixture {
    struct shard *shard;
    struct moment now;
    struct seen seen[MAX_SEEN];
    size_t seen_count;
    struct hold hold;
    size_t released, refused;
    struct consumer *consumer;
    struct member *last_member;
};

static bool on_deliver(void *owner, const struct delivery *delivery)
{
    struct fixture *f = owner;
    assert_true(f->seen_count < MAX_SEEN);
    struct seen *seen = &f->seen[f->seen_count++];
    seen->sequence = delivery->message->sequence;
    seen->member = member_id(delivery->member);
    seen->count = delivery->redelivery_count;
    assert_true(delivery->message->payload.len < sizeof(seen->payload));
    memset(seen->payload, 0, sizeof(seen->payload));
    memcpy(seen->payload, delivery->message->payload.ptr, delivery->message->payload.len);
    return true;
}

static void on_member_added(void *owner, struct member *member, bool recovered)
{
    struct fixture *f = owner;
    assert_false(recovered);
    f->last_member = member;
}

static void on_release(void *owner, struct bytes subject, struct bytes frame)
{
    struct fixture *f = owner;
    assert_true(bytes_equal(subject, BYTES("inbox")));
    assert_true(frame.len > 0);
    f->released++;
}

static void on_refuse(void *owner, struct bytes subject, struct bytes frame, int error)
{
    struct fixture *f = owner;
    assert_int_not_equal(error, 0);
    f->refused++;
}

static struct engine_time time_of(const struct fixture *f)
{
    return (struct engine_time){f->now.mono_ns, f->now.wall_ns};
}

static void turns(struct fixture *f)
{
    for (int i = 0; i < 100 && shard_turn_end(f->shard, f->now); i++)
        assert_true(i < 99);
}

static void on_consumer(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    struct fixture *f = owner;
    assert_int_equal(error, 0);
    f->consumer = consumer;
}

static struct stream *make_stream(struct fixture *f)
{
    struct stream_config config = {.account = 1,
                                   .name = BYTES("jobs"),
                                   .duplicate_window_ns = 120000000000ull,
                                   .disconnect_grace_ns = 5000000000ull};
    struct stream *stream;
    uint64_t index;
    assert_int_equal(engine_stream_create(shard_engine(f->shard), &config, time_of(f), &stream, &index), 0);
    return stream;
}

static struct member *make_member(struct fixture *f, struct stream *stream)
{
    struct engine *engine = shard_engine(f->shard);
    struct consumer_config config = {.name = BYTES("workers"),
                                     .protocol = ENGINE_PROTOCOL_STAN,
                                     .durable = true,
                                     .group = true,
                                     .start = CONSUMER_START_FIRST};
    struct member_config member_config = {.max_in_flight = 2, .ack_wait_ns = 1000000000ull};
    struct member *member;
    uint64_t index;
    engine_consumer_create(engine, stream, &config, time_of(f), on_consumer, f);
    assert_int_equal(engine_member_add(engine, f->consumer, &member_config, time_of(f), &member, &index), 0);
    turns(f);
    engine_member_set_state(engine, member, MEMBER_READY, time_of(f));
    return member;
}

static void publish(struct fixture *f, struct stream *stream, const char *text, uint64_t id)
{
    struct publish publish = {.payload = bytes_from_string(text), .dedupe = {id, id}};
    struct publish_result result;
    assert_int_equal(engine_publish(shard_engine(f->shard), stream, &publish, time_of(f), &result), 0);
    hold_push(&f->hold, result.index, BYTES("inbox"), bytes_from_string(text));
}

static int setup(void **state)
{
    struct fixture *f = mem_alloc_zero(sizeof(*f));
    struct shard_options options = {.id = 1, .engine = {.max_ids = 1000, .turn_budget = 1024}};
    store_options_default(&options.store);
    options.store.memory = true;
    f->now = (struct moment){1000000000ull, 1700000000000000000ull};
    f->shard = shard_new(&options);
    struct engine_adapter adapter = {.owner = f, .deliver = on_deliver, .member_added = on_member_added};
    engine_adapter_set(shard_engine(f->shard), ENGINE_PROTOCOL_STAN, &adapter);
    assert_int_equal(shard_open(f->shard, NULL, f->now), 0);
    hold_init(&f->hold, f->shard);
    f->hold.owner = f;
    f->hold.release = on_release;
    f->hold.refuse = on_refuse;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    shard_quiesce(f->shard);
    assert_true(shard_is_idle(f->shard));
    shard_stop(f->shard);
    hold_deinit(&f->hold);
    shard_free(f->shard);
    mem_free(f);
    return 0;
}

static void test_publish_deliver_ack(void **state)
{
    struct fixture *f = *state;
    struct stream *stream = make_stream(f);
    struct member *member = make_member(f, stream);
    assert_ptr_equal(f->last_member, member);
    publish(f, stream, "one", 1);
    publish(f, stream, "two", 2);
    publish(f, stream, "three", 3);
    assert_int_equal(f->released, 0);
    turns(f);
    assert_int_equal(f->released, 3);
    assert_int_equal(f->seen_count, 2);
    assert_string_equal(f->seen[1].payload, "two");
    assert_int_equal(engine_ack(shard_engine(f->shard), f->consumer, 1, time_of(f)), 0);
    turns(f);
    assert_int_equal(f->seen_count, 3);
    assert_string_equal(f->seen[2].payload, "three");
    struct consumer_state consumer;
    consumer_state_get(f->consumer, &consumer);
    assert_int_equal(consumer.ack_floor, 1);
    assert_int_equal(consumer.pending, 2);
    engine_check(shard_engine(f->shard));
}

static void test_duplicate_is_answered_and_stored_once(void **state)
{
    struct fixture *f = *state;
    struct stream *stream = make_stream(f);
    publish(f, stream, "one", 7);
    turns(f);
    publish(f, stream, "one", 7);
    turns(f);
    assert_int_equal(f->released, 2);
    struct stream_state s;
    stream_state_get(stream, &s);
    assert_int_equal(s.messages, 1);
}

static void test_redelivery_after_ack_wait(void **state)
{
    struct fixture *f = *state;
    struct stream *stream = make_stream(f);
    make_member(f, stream);
    publish(f, stream, "one", 1);
    turns(f);
    assert_int_equal(f->seen_count, 1);
    f->now.mono_ns += 999000000ull;
    turns(f);
    assert_int_equal(f->seen_count, 1);
    f->now.mono_ns += 2000000ull;
    assert_true(shard_next_deadline_ms(f->shard) <= f->now.mono_ns / 1000000);
    turns(f);
    assert_int_equal(f->seen_count, 2);
    assert_int_equal(f->seen[1].count, 1);
    assert_int_equal(f->seen[1].sequence, 1);
}

static void test_stop_refuses_what_waits(void **state)
{
    struct fixture *f = *state;
    hold_push(&f->hold, 99, BYTES("inbox"), BYTES("never"));
    shard_quiesce(f->shard);
    shard_stop(f->shard);
    assert_int_equal(f->refused, 1);
    hold_deinit(&f->hold);
    shard_free(f->shard);
    mem_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_publish_deliver_ack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_duplicate_is_answered_and_stored_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_redelivery_after_ack_wait, setup, teardown),
        cmocka_unit_test_setup(test_stop_refuses_what_waits, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
