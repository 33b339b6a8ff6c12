// SPDX-License-Identifier: Apache-2.0
// A shard over a disk that crashes, with log files so small that roll-over and checkpoints happen all the time: what was answered
// is there afterwards, with its content; what was acknowledged durably does not come again; an id of before is still known.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/must.h"
#include "shard/hold.h"
#include "shard/shard.h"
#include "sim_disk.h"

enum { SEEDS = 60, LIVES = 6, STEPS = 300, MAX_SEQUENCES = 20000, PAYLOAD = 200 };

struct message {
    bool answered;                        // to its publisher: durable
    bool delivered, acked, acked_durably; // to the group, ever
};

struct run {
    struct sim_disk disk;
    struct prng prng;
    struct shard *shard;
    struct hold hold;
    struct moment now;
    struct consumer *consumer;
    struct message messages[MAX_SEQUENCES];
    uint64_t highest; // sequence ever published
    uint64_t deliveries, checkpoints, segments;
    uint64_t waited; // publishes that could not be told from repetitions yet
};

static void discard_log(void *owner, enum log_level level, const char *format, va_list arguments)
{
}

static const struct logger LOGGER = {.level = LOG_ERROR, .write = discard_log};

static struct engine_time time_of(const struct run *run)
{
    return (struct engine_time){run->now.mono_ns, run->now.wall_ns};
}

static uint64_t content_of(uint64_t sequence)
{
    return sequence * 0x9e3779b97f4a7c15ull;
}

static bool on_deliver(void *owner, const struct delivery *delivery)
{
    struct run *run = owner;
    uint64_t sequence = delivery->message->sequence, content;
    assert_true(sequence <= run->highest && delivery->message->payload.len >= 8);
    memcpy(&content, delivery->message->payload.ptr, 8);
    assert_int_equal(content, content_of(sequence));
    assert_false(run->messages[sequence].acked_durably);
    run->messages[sequence].delivered = true;
    run->deliveries++;
    return true;
}

static void on_member(void *owner, struct member *member, bool recovered)
{
    struct run *run = owner;
    engine_member_set_state(shard_engine(run->shard), member, MEMBER_READY, time_of(run));
}

static void on_release(void *owner, struct bytes subject, struct bytes frame)
{
    struct run *run = owner;
    uint64_t sequence;
    memcpy(&sequence, frame.ptr, 8);
    run->messages[sequence].answered = true;
}

static void on_refuse(void *owner, struct bytes subject, struct bytes frame, int error)
{
}

static void on_consumer(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    must(error == 0);
    ((struct run *)owner)->consumer = consumer;
}

static void turn(struct run *run)
{
    run->now.mono_ns += 1000000;
    run->now.wall_ns += 1000000;
    shard_turn_end(run->shard, run->now);
}

static void settle(struct run *run)
{
    for (int i = 0; i < 2000; i++) {
        turn(run);
        sim_disk_drain(&run->disk);
    }
    assert_int_equal(shard_committed_index(run->shard), shard_last_index(run->shard));
}

static struct stream *stream_of(struct run *run)
{
    return engine_stream_find(shard_engine(run->shard), 1, BYTES("jobs"));
}

static void open_shard(struct run *run)
{
    struct shard_options options = {.id = 1, .logger = &LOGGER, .engine = {.max_ids = 100000}};
    store_options_default(&options.store);
    options.store.identity = BYTES("cluster");
    options.store.max_payload = 4096;
    options.store.file_bytes = options.store.first_file_bytes = 32768;
    options.store.log_bytes = 65536;
    options.store.checkpoint_bytes = 32768;
    options.store.cache_bytes = 16384;
    options.store.logger = &LOGGER;
    run->shard = shard_new(&options);
    struct engine_adapter adapter = {.owner = run, .deliver = on_deliver, .member_added = on_member};
    engine_adapter_set(shard_engine(run->shard), ENGINE_PROTOCOL_STAN, &adapter);
    assert_int_equal(shard_open(run->shard, &run->disk.disk, run->now), 0);
    run->hold = (struct hold){.owner = run, .release = on_release, .refuse = on_refuse};
    hold_init(&run->hold, run->shard);
}

static void create(struct run *run)
{
    struct stream_config stream = {.account = 1,
                                   .name = BYTES("jobs"),
                                   .duplicate_window_ns = 600000000000ull,
                                   .disconnect_grace_ns = 5000000000ull};
    struct consumer_config consumer = {.name = BYTES("g"),
                                       .protocol = ENGINE_PROTOCOL_STAN,
                                       .durable = true,
                                       .group = true,
                                       .start = CONSUMER_START_FIRST};
    struct member_config member = {.max_in_flight = 20, .ack_wait_ns = 100000000};
    struct engine *engine = shard_engine(run->shard);
    struct stream *created;
    struct member *added;
    uint64_t index;
    must(engine_stream_create(engine, &stream, time_of(run), &created, &index) == 0);
    engine_consumer_create(engine, created, &consumer, time_of(run), on_consumer, run);
    for (int i = 0; i < 3; i++)
        must(engine_member_add(engine, run->consumer, &member, time_of(run), &added, &index) == 0);
    settle(run);
}

// Everything that was answered is there, and only the newest may be missing.
static void check_recovered(struct run *run)
{
    struct stream_state state;
    stream_state_get(stream_of(run), &state);
    assert_int_equal(state.messages, state.last_sequence);
    assert_true(state.last_sequence <= run->highest);
    for (uint64_t s = state.last_sequence + 1; s <= run->highest; s++)
        assert_false(run->messages[s].answered);
    run->highest = state.last_sequence;
    run->consumer = engine_consumer_find(shard_engine(run->shard), stream_of(run), BYTES("g"));
    assert_non_null(run->consumer);
    for (uint64_t s = 1; s < MAX_SEQUENCES; s++)
        run->messages[s].acked &= run->messages[s].acked_durably;
    engine_check(shard_engine(run->shard));
}

static void publish(struct run *run)
{
    static char payload[PAYLOAD];
    bool again = run->highest && prng_chance(&run->prng, 1, 10);
    uint64_t sequence = again ? 1 + prng_below(&run->prng, run->highest) : run->highest + 1,
             content = content_of(sequence);
    memcpy(payload, &content, 8);
    struct publish message = {.payload = {payload, 8 + prng_below(&run->prng, PAYLOAD - 8)},
                              .dedupe = {sequence, content}};
    struct publish_result result;
    if (sequence >= MAX_SEQUENCES ||
        engine_publish(shard_engine(run->shard), stream_of(run), &message, time_of(run), &result))
        return;
    assert_int_equal(result.duplicate, again);
    assert_int_equal(result.sequence, sequence);
    run->highest = sequence > run->highest ? sequence : run->highest;
    hold_push(&run->hold, result.index, BYTES("inbox"), bytes_make(&sequence, 8));
}

static void acknowledge(struct run *run, uint64_t percent)
{
    struct consumer_state state;
    consumer_state_get(run->consumer, &state);
    for (uint64_t s = state.ack_floor + 1; s < state.next_sequence; s++) {
        if (!run->messages[s].acked && prng_chance(&run->prng, percent, 100) &&
            engine_ack(shard_engine(run->shard), run->consumer, s, time_of(run)) == 0)
            run->messages[s].acked = true;
    }
}

static void note_durable_acks(struct run *run)
{
    if (shard_committed_index(run->shard) != shard_last_index(run->shard))
        return;
    for (uint64_t s = 1; s <= run->highest; s++)
        run->messages[s].acked_durably |= run->messages[s].acked;
}

static void live(struct run *run, uint64_t steps)
{
    for (; steps; steps--) {
        for (uint64_t n = prng_below(&run->prng, 6); n; n--)
            publish(run);
        for (uint64_t n = prng_below(&run->prng, 5); n; n--)
            sim_disk_step(&run->disk);
        turn(run);
        note_durable_acks(run);
        acknowledge(run, 40);
    }
}

static void end(struct run *run, bool crash)
{
    struct store_stats stats;
    store_stats_get(shard_store(run->shard), &stats);
    run->checkpoints += stats.checkpoints;
    run->segments += stats.segments;
    if (crash)
        sim_disk_crash(&run->disk, prng_chance(&run->prng, 1, 2) ? SIM_LOSS_RANDOM : SIM_LOSS_ALL);
    shard_quiesce(run->shard);
    turn(run);
    for (int i = 0; !shard_is_idle(run->shard); i++) {
        sim_disk_drain(&run->disk);
        turn(run);
        must(i < 100000);
    }
    shard_stop(run->shard);
    hold_deinit(&run->hold);
    shard_free(run->shard);
}

// Whatever is there is known to be, from the first moment on: published again it is stored once, or has to wait.
static void publish_all_again(struct run *run)
{
    size_t waiting = 1;
    for (int i = 0; waiting; i++) {
        assert_true(i < 1000);
        waiting = 0;
        for (uint64_t sequence = 1; sequence <= run->highest; sequence++) {
            struct publish again = {.payload = BYTES("again"), .dedupe = {sequence, content_of(sequence)}};
            struct publish_result result;
            int error = engine_publish(shard_engine(run->shard), stream_of(run), &again, time_of(run), &result);
            assert_true(error == ERR_AGAIN || (error == 0 && result.duplicate && result.sequence == sequence));
            waiting += error == ERR_AGAIN;
        }
        run->waited += waiting;
        turn(run);
        sim_disk_step(&run->disk);
    }
}

static void run_seed(uint64_t seed, uint64_t totals[4])
{
    struct run *run = mem_alloc_zero(sizeof(*run));
    sim_disk_init(&run->disk, seed);
    prng_seed(&run->prng, seed);
    run->now = (struct moment){1000000000, 1700000000000000000ull};
    open_shard(run);
    create(run);
    for (int i = 0; i < LIVES; i++) {
        live(run, 1 + prng_below(&run->prng, STEPS));
        end(run, prng_chance(&run->prng, 3, 4));
        run->now.wall_ns += prng_below(&run->prng, 10) * 1000000000;
        open_shard(run);
        check_recovered(run);
        publish_all_again(run);
    }
    for (int i = 0; i < 60; i++) {
        settle(run);
        acknowledge(run, 100);
    }
    struct consumer_state state;
    consumer_state_get(run->consumer, &state);
    assert_int_equal(state.ack_floor, run->highest);
    for (uint64_t s = 1; s <= run->highest; s++)
        assert_true(run->messages[s].delivered);
    end(run, false);
    totals[0] += run->checkpoints;
    totals[1] += run->segments;
    totals[2] += run->deliveries - run->highest;
    totals[3] += run->waited;
    sim_disk_deinit(&run->disk);
    mem_free(run);
}

// What the end of the log makes durable is answered as such: a client that is refused sends it again.
static void test_stop_answers_what_it_stores(void **state)
{
    struct run *run = mem_alloc_zero(sizeof(*run));
    sim_disk_init(&run->disk, 1);
    prng_seed(&run->prng, 1);
    run->now = (struct moment){1000000000, 1700000000000000000ull};
    open_shard(run);
    create(run);
    settle(run);
    for (int i = 0; i < 10; i++) // as many as are admitted
        publish(run);
    assert_true(run->highest > 0);
    assert_true(shard_committed_index(run->shard) < shard_last_index(run->shard));
    shard_quiesce(run->shard);
    assert_true(shard_is_idle(run->shard));
    shard_stop(run->shard);
    for (uint64_t s = 1; s <= run->highest; s++)
        assert_true(run->messages[s].answered);
    hold_deinit(&run->hold);
    shard_free(run->shard);
    open_shard(run);
    check_recovered(run);
    end(run, false);
    sim_disk_deinit(&run->disk);
    mem_free(run);
}

static void test_crashes(void **state)
{
    uint64_t totals[4] = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed, totals);
    for (int i = 0; i < 4; i++)
        assert_true(totals[i] > SEEDS);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        uint64_t totals[4] = {0};
        for (uint64_t seed = strtoull(argv[1], NULL, 10); seed <= strtoull(argv[2], NULL, 10); seed++) {
            print_message("seed %llu\n", (unsigned long long)seed);
            run_seed(seed, totals);
        }
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_answers_what_it_stores),
        cmocka_unit_test(test_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
