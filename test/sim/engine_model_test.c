// SPDX-License-Identifier: Apache-2.0
// The engine under random use, refused batches and crashes, against the model. A run of a seed: a phase in which everything
// happens, then one in which workers are well and everything owed must be delivered and acknowledged. Shows ST-B01, ST-B02, ST-B03,
// ST-B07, ST-B09, ST-B10, ST-B11, ST-B12, ST-B20 and ST-B29 for the engine.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/must.h"
#include "base/prng.h"
#include "engine_model.h"

enum { SEEDS = 60, STEPS = 1500, STREAMS = 4, CONSUMERS = 4, MAX_MEMBERS = 40, TOTALS = 12 };

struct run {
    struct fake_host host;
    struct engine_model model;
    struct prng prng;
    bool calm; // the second phase: nothing is refused
    uint64_t crashes, refusals, duplicates, given_back, full, dead, pauses, seeks, purges, redrives;
    struct run_purge {
        struct stream_purge purge; // first
        struct run *run;
        uint32_t stream;
        uint64_t before;
        bool busy;
    } purge;
    uint64_t purged_to[FAKE_STREAMS]; // by stream: somebody wanted what is before it to be gone
};

// What is special about one stream each: nothing; deliveries that run out; a limit; a limit beyond which publishes are refused.
static const char *const STREAM_NAMES[STREAMS] = {"jobs", "events", "small", "tight"};
static const char *const CONSUMER_NAMES[CONSUMERS] = {"group", "durable", "plain", "dgroup"};

static bool chance(struct run *run, uint64_t percent)
{
    return prng_chance(&run->prng, percent, 100);
}

static bool on_deliver(struct fake_host *host, const struct delivery *delivery)
{
    struct run *run = host->owner;
    if (!run->calm && chance(run, 3)) {
        engine_model_member_state(&run->model, member_id(delivery->member), MEMBER_CONGESTED);
        return false;
    }
    engine_model_delivered(&run->model, delivery);
    return true;
}

static void on_member(struct fake_host *host, struct member *member, bool recovered)
{
    struct run *run = host->owner;
    member_set_context(member, run);
    if (recovered)
        engine_model_member(&run->model, member_id(member));
}

static struct stream *random_stream(struct run *run)
{
    return engine_stream_find(run->host.engine, 1, bytes_from_string(STREAM_NAMES[prng_below(&run->prng, STREAMS)]));
}

static struct consumer *random_consumer(struct run *run)
{
    struct stream *stream = random_stream(run);
    const char *name = CONSUMER_NAMES[prng_below(&run->prng, CONSUMERS)];
    return stream ? engine_consumer_find(run->host.engine, stream, bytes_from_string(name)) : NULL;
}

static struct member *random_member(struct run *run)
{
    struct consumer *consumer = random_consumer(run);
    if (!consumer)
        return NULL;
    struct consumer_state state;
    consumer_state_get(consumer, &state);
    struct member *member = NULL;
    for (uint64_t n = prng_below(&run->prng, state.members + 1); n; n--)
        member = consumer_member_next(consumer, member);
    return member;
}

static void create_stream(struct run *run, size_t n)
{
    struct stream_config config = {
        .account = 1,
        .name = bytes_from_string(STREAM_NAMES[n]),
        .max_msgs = n >= 2 ? 40 : 0,
        .duplicate_window_ns = 120000000000ull,
        .disconnect_grace_ns = 5000000000ull,
        .discard_new = n == 3,
    };
    if (n == 1) {
        config.max_deliver = 4;
        config.backoff_count = 2;
        config.backoff_ns[0] = 2000000000ull;
        config.backoff_ns[1] = 3500000000ull;
        config.dead_letter = BYTES("letters");
    }
    struct stream *stream;
    uint64_t index;
    must(engine_stream_create(run->host.engine, &config, run->host.now, &stream, &index) == 0);
}

static void do_create(struct run *run)
{
    size_t n = prng_below(&run->prng, STREAMS);
    if (!engine_stream_find(run->host.engine, 1, bytes_from_string(STREAM_NAMES[n]))) {
        create_stream(run, n);
        return;
    }
    struct stream *stream = random_stream(run);
    size_t c = prng_below(&run->prng, CONSUMERS);
    if (!stream)
        return;
    struct consumer *consumer = engine_consumer_find(run->host.engine, stream, bytes_from_string(CONSUMER_NAMES[c]));
    if (!consumer) {
        enum consumer_start start = chance(run, 70) ? CONSUMER_START_FIRST : CONSUMER_START_NEW;
        consumer = fake_consumer(&run->host, stream, CONSUMER_NAMES[c], c % 2 == 1, c % 3 == 0, start, 0);
    }
    struct consumer_state state;
    struct engine_stats stats;
    consumer_state_get(consumer, &state);
    engine_stats_get(run->host.engine, &stats);
    if (stats.members < MAX_MEMBERS && (state.config.group || state.members == 0)) {
        struct member *member = fake_member(&run->host, consumer, 1 + (uint32_t)prng_below(&run->prng, 20),
                                            1000 + prng_below(&run->prng, 3000));
        engine_model_member_state(&run->model, member_id(member), MEMBER_READY);
    }
}

static void do_publish(struct run *run)
{
    struct stream *stream = random_stream(run);
    struct stream_state state;
    if (!stream)
        return;
    stream_state_get(stream, &state);
    for (uint64_t n = prng_below(&run->prng, 10); n && state.last_sequence < MODEL_SEQUENCES - 1500; n--) {
        uint64_t number = ++run->model.next_number, id = number;
        if (chance(run, 15)) {
            uint64_t at = 1 + prng_below(&run->prng, state.last_sequence + 1);
            struct model_message *old = &run->model.messages[state.id][at];
            if (old->number && run->host.now.mono_ns / 1000000 - old->time_ms < 60000)
                id = old->id;
        }
        struct publish publish = {.payload = bytes_make(&number, 8), .dedupe = {id, state.id}};
        struct publish_result result;
        int error = engine_publish(run->host.engine, stream, &publish, run->host.now, &result);
        if (error == ERR_FULL && state.config.discard_new) {
            run->full++;
            return;
        }
        must(error == 0);
        must(result.duplicate == (id != number));
        engine_model_published(&run->model, state.id, &result, number, id);
        run->duplicates += result.duplicate;
    }
}

static void ack_some(struct run *run, struct consumer *consumer, uint64_t percent)
{
    struct model_consumer *c = engine_model_consumer(&run->model, consumer);
    for (uint64_t s = 1; s < c->end; s++) {
        if (c->at[s].deliveries == 0 || c->at[s].ack_index || !chance(run, percent))
            continue;
        if (engine_ack(run->host.engine, consumer, s, run->host.now) == 0)
            engine_model_acked(&run->model, consumer, s);
    }
}

static void do_ack(struct run *run)
{
    struct consumer *consumer = random_consumer(run);
    if (consumer)
        ack_some(run, consumer, 30);
}

// Somebody says something about a message that is pending.
static void do_verdict(struct run *run)
{
    struct pending_info info[8];
    struct consumer *consumer = random_consumer(run);
    size_t count = consumer ? consumer_pending_list(consumer, 0, info, 8) : 0;
    if (count == 0)
        return;
    uint64_t sequence = info[prng_below(&run->prng, count)].sequence;
    struct engine *engine = run->host.engine;
    if (chance(run, 20)) {
        if (engine_extend(engine, consumer, NULL, sequence, run->host.now) == 0)
            engine_model_extended(&run->model, consumer, sequence);
    } else if (chance(run, 15)) {
        if (engine_terminate(engine, consumer, sequence, BYTES("why"), run->host.now) == 0)
            engine_model_terminated(&run->model, consumer, sequence);
    } else {
        uint64_t delay_ns = chance(run, 50) ? 0 : prng_below(&run->prng, 4000) * 1000000;
        bool counts = chance(run, 60);
        if (engine_nak(engine, consumer, NULL, sequence, delay_ns, counts, run->host.now) == 0) {
            engine_model_given_back(&run->model, consumer, sequence, delay_ns, counts);
            run->given_back++;
        }
    }
}

static void do_pause(struct run *run)
{
    struct consumer *consumer = chance(run, 50) ? random_consumer(run) : NULL;
    struct stream *stream = consumer ? consumer_stream(consumer) : random_stream(run);
    if (!stream || !engine_model_can_pause(&run->model, stream_id(stream), consumer))
        return;
    bool on = chance(run, 40);
    uint64_t index,
        until_ns = on && chance(run, 50) ? run->host.now.wall_ns + prng_below(&run->prng, 5000) * 1000000 : 0;
    struct engine *engine = run->host.engine;
    must((consumer ? engine_consumer_pause(engine, consumer, on, until_ns, run->host.now, &index)
                   : engine_stream_pause(engine, stream, on, until_ns, run->host.now, &index)) == 0);
    engine_model_paused(&run->model, stream_id(stream), consumer, on, until_ns / 1000000 * 1000000, index);
    run->pauses += on;
}

static void on_sought(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    struct run *run = owner;
    if (error)
        return;
    engine_model_sought(&run->model, consumer, index);
    run->seeks++;
}

static void do_seek(struct run *run)
{
    static const enum consumer_start starts[] = {CONSUMER_START_NEW, CONSUMER_START_LAST, CONSUMER_START_FIRST,
                                                 CONSUMER_START_SEQUENCE, CONSUMER_START_TIME};
    struct consumer *consumer = random_consumer(run);
    struct stream_state state;
    if (!consumer)
        return;
    stream_state_get(consumer_stream(consumer), &state);
    uint64_t back_ns = prng_below(&run->prng, 20000) * 1000000;
    engine_consumer_seek(run->host.engine, consumer, starts[prng_below(&run->prng, 5)],
                         prng_below(&run->prng, state.last_sequence + 10), run->host.now.wall_ns - back_ns,
                         run->host.now, on_sought, run);
}

static void on_purged(struct stream_purge *purge, int error)
{
    struct run_purge *own = (struct run_purge *)purge;
    struct stream *stream = error ? NULL : engine_stream_by_id(own->run->host.engine, own->stream);
    struct stream_state state;
    own->busy = false;
    if (!stream)
        return;
    stream_state_get(stream, &state);
    own->run->purges += purge->messages > 0;
    // What it proposed may still be refused; then nothing is asked of it.
    must(purge->messages == 0 || purge->index <= fake_host_last_index(&own->run->host));
}

static void do_purge(struct run *run)
{
    struct stream *stream = random_stream(run);
    struct stream_state state;
    if (!stream || run->purge.busy)
        return;
    stream_state_get(stream, &state);
    if (state.messages == 0)
        return;
    uint64_t before = state.first_sequence + prng_below(&run->prng, state.messages);
    run->purge = (struct run_purge){
        .purge = {.before_sequence = before, .before_time_ns = UINT64_MAX, .done = on_purged},
        .run = run,
        .stream = state.id,
        .busy = true,
    };
    must(engine_stream_purge(run->host.engine, stream, &run->purge.purge, run->host.now) == 0);
    if (run->purged_to[state.id] < before)
        run->purged_to[state.id] = before;
}

static void do_redrive(struct run *run)
{
    struct consumer *consumer = NULL;
    struct dead_info dead;
    size_t count = 0;
    uint64_t index;
    for (int i = 0; i < 20 && count == 0; i++) {
        consumer = random_consumer(run);
        uint64_t from = chance(run, 50) ? prng_below(&run->prng, 100) : 0;
        count = consumer ? consumer_dead_list(consumer, from, &dead, 1) : 0;
    }
    if (count == 0)
        return;
    uint64_t sequence = dead.sequence;
    if (engine_redrive(run->host.engine, consumer, &sequence, 1, run->host.now, &count, &index) || count == 0)
        return;
    engine_model_redriven(&run->model, consumer, sequence, index);
    run->redrives++;
}

static void do_control(struct run *run)
{
    uint64_t what = prng_below(&run->prng, 100);
    if (what < 40)
        do_pause(run);
    else if (what < 52)
        do_seek(run);
    else if (what < 64)
        do_purge(run);
    else
        do_redrive(run);
}

static void do_member(struct run *run)
{
    struct member *member = random_member(run);
    uint64_t index;
    if (!member || !member_context(member))
        return;
    if (chance(run, 15)) {
        engine_model_member_removed(&run->model, member_id(member));
        must(engine_member_remove(run->host.engine, member, chance(run, 20), run->host.now, &index) == 0);
        return;
    }
    enum member_state state = chance(run, 50) ? MEMBER_READY : chance(run, 50) ? MEMBER_GONE : MEMBER_CONGESTED;
    engine_model_member_state(&run->model, member_id(member), state);
    engine_member_set_state(run->host.engine, member, state, run->host.now);
}

static void do_turn(struct run *run)
{
    bool more = fake_host_turn(&run->host);
    engine_model_turned(&run->model);
    // Places reserved for reads under way count in the engine's choice and cannot be seen from outside.
    run->model.synchronous = !more && !run->host.asynchronous && run->host.read_count == 0;
}

static void do_damage(struct run *run)
{
    if (chance(run, 40)) {
        fake_host_refuse(&run->host);
        engine_model_refused(&run->model);
        run->refusals++;
    } else if (chance(run, 30)) {
        bool image = chance(run, 60);
        fake_host_crash(&run->host, image && run->host.image.len);
        engine_model_crashed(&run->model);
        run->crashes++;
    } else if (chance(run, 50)) {
        fake_host_checkpoint(&run->host, run->host.image.len == 0 || chance(run, 30), 1 + prng_below(&run->prng, 2000),
                             1);
    } else if (chance(run, 5)) {
        struct stream *stream = random_stream(run);
        uint64_t index;
        struct engine_stats stats;
        engine_stats_get(run->host.engine, &stats);
        if (stream && fake_host_last_index(&run->host) < 800)
            must(engine_stream_delete(run->host.engine, stream, run->host.now, &index) == 0);
    }
}

static void step(struct run *run)
{
    uint64_t what = prng_below(&run->prng, 100);
    if (what < 5)
        do_create(run);
    else if (what < 25)
        do_publish(run);
    else if (what < 38)
        do_ack(run);
    else if (what < 45)
        do_verdict(run);
    else if (what < 52)
        do_member(run);
    else if (what < 57)
        do_control(run);
    else if (what < 70)
        do_turn(run);
    else if (what < 85)
        fake_host_commit(&run->host, prng_below(&run->prng, 4));
    else if (what < 90)
        fake_host_advance(&run->host, prng_below(&run->prng, 1500));
    else if (what < 96)
        fake_host_answer(&run->host, prng_below(&run->prng, 8));
    else if (what < 97)
        run->host.asynchronous = !run->host.asynchronous;
    else if (what < 99)
        do_damage(run);
    else
        engine_check(run->host.engine);
    run->model.synchronous &= !run->host.asynchronous;
}

static bool owed(struct run *run)
{
    for (struct stream *s = engine_stream_next(run->host.engine, NULL); s;
         s = engine_stream_next(run->host.engine, s)) {
        for (struct consumer *c = stream_consumer_next(s, NULL); c; c = stream_consumer_next(s, c)) {
            struct consumer_state state;
            consumer_state_get(c, &state);
            if (state.members && (state.pending || state.waiting))
                return true;
        }
    }
    return false;
}

static void resume_all(struct run *run)
{
    struct engine *engine = run->host.engine;
    uint64_t index;
    while (fake_host_answer(&run->host, 0))
        continue;
    fake_host_commit(&run->host, SIZE_MAX);
    for (struct stream *s = engine_stream_next(engine, NULL); s; s = engine_stream_next(engine, s)) {
        must(engine_stream_pause(engine, s, false, 0, run->host.now, &index) == 0);
        engine_model_can_pause(&run->model, stream_id(s), NULL);
        engine_model_paused(&run->model, stream_id(s), NULL, false, 0, index);
        for (struct consumer *c = stream_consumer_next(s, NULL); c; c = stream_consumer_next(s, c)) {
            must(engine_consumer_pause(engine, c, false, 0, run->host.now, &index) == 0);
            engine_model_can_pause(&run->model, 0, c);
            engine_model_paused(&run->model, 0, c, false, 0, index);
        }
    }
}

// Every consumer with members gets workers that are well; they acknowledge until nothing is owed.
static void calm_down(struct run *run)
{
    run->calm = true;
    run->host.asynchronous = false;
    run->model.synchronous = false;
    resume_all(run);
    for (int round = 0; round < 1500 && (round < 40 || owed(run)); round++) {
        for (int turns = 0; turns < 50; turns++) {
            while (fake_host_answer(&run->host, 0))
                continue;
            bool more = fake_host_turn(&run->host);
            engine_model_turned(&run->model);
            fake_host_commit(&run->host, SIZE_MAX);
            if (!more && run->host.read_count == 0)
                break;
        }
        for (struct stream *s = engine_stream_next(run->host.engine, NULL); s;
             s = engine_stream_next(run->host.engine, s)) {
            for (struct consumer *c = stream_consumer_next(s, NULL); c; c = stream_consumer_next(s, c)) {
                for (struct member *m = consumer_member_next(c, NULL); m; m = consumer_member_next(c, m)) {
                    engine_model_member_state(&run->model, member_id(m), MEMBER_READY);
                    engine_member_set_state(run->host.engine, m, MEMBER_READY, run->host.now);
                }
                ack_some(run, c, 100);
            }
        }
        fake_host_advance(&run->host, 500);
    }
    fake_host_settle(&run->host);
    engine_check(run->host.engine);
}

// What the consumer is not known to have acknowledged is dead.
static void check_finished(struct run *run, struct consumer *c, uint64_t first, uint64_t last)
{
    struct dead_info info;
    const struct model_delivery *at = engine_model_consumer(&run->model, c)->at;
    for (uint64_t n = first; n <= last; n++) {
        bool dead = consumer_dead_list(c, n, &info, 1) == 1 && info.sequence == n;
        must(at[n].ack_index || at[n].maybe || at[n].terminated || dead);
    }
}

// Nothing is lost: whoever has members has seen and acknowledged everything that is there.
static void check_nothing_owed(struct run *run)
{
    for (struct stream *s = engine_stream_next(run->host.engine, NULL); s;
         s = engine_stream_next(run->host.engine, s)) {
        struct stream_state stream;
        stream_state_get(s, &stream);
        if (bytes_equal(stream.config.name, BYTES("letters"))) {
            engine_model_check_letters(&run->model, stream.id);
            continue;
        }
        for (uint64_t n = 1; n <= stream.last_sequence; n++)
            must(run->model.messages[stream.id][n].number);
        for (struct consumer *c = stream_consumer_next(s, NULL); c; c = stream_consumer_next(s, c)) {
            struct consumer_state state;
            consumer_state_get(c, &state);
            uint64_t start = state.config.start_sequence;
            uint64_t kept = start > run->purged_to[stream.id] ? start : run->purged_to[stream.id];
            if (stream.config.discard_new)
                check_finished(run, c, kept, stream.first_sequence - 1); // M9
            run->dead += state.dead_ever;
            if (state.members == 0)
                continue;
            must(state.pending == 0 && state.waiting == 0 && state.ack_floor == stream.last_sequence);
            check_finished(run, c, start > stream.first_sequence ? start : stream.first_sequence, stream.last_sequence);
        }
    }
}

static uint64_t run_seed(uint64_t seed, uint64_t totals[TOTALS])
{
    struct run *run = mem_alloc_zero(sizeof(*run));
    prng_seed(&run->prng, seed);
    fake_host_init(&run->host, 1000000);
    run->host.entry_bytes = 1024;
    run->host.owner = run;
    run->host.on_deliver = on_deliver;
    run->host.on_member = on_member;
    engine_model_init(&run->model, &run->host);
    for (int i = 0; i < STEPS; i++)
        step(run);
    calm_down(run);
    check_nothing_owed(run);
    uint64_t trace = run->model.trace;
    uint64_t seen[TOTALS] = {run->model.first, run->model.again, run->crashes, run->refusals,
                             run->duplicates,  run->given_back,  run->full,    run->dead,
                             run->pauses,      run->seeks,       run->purges,  run->redrives};
    for (int i = 0; i < TOTALS; i++)
        totals[i] += seen[i];
    fake_host_deinit(&run->host);
    mem_free(run);
    return trace;
}

static void test_random_runs(void **state)
{
    uint64_t totals[TOTALS] = {0};
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run_seed(seed, totals);
    for (int i = 0; i < TOTALS; i++)
        assert_true(totals[i] > SEEDS / 2);
}

static void test_same_seed_same_run(void **state)
{
    uint64_t totals[TOTALS] = {0};
    for (uint64_t seed = 1000; seed < 1005; seed++)
        assert_int_equal(run_seed(seed, totals), run_seed(seed, totals));
}

// With two numbers: runs those seeds, for long searches.
int main(int argc, char **argv)
{
    if (argc == 3) {
        uint64_t totals[TOTALS] = {0};
        for (uint64_t seed = strtoull(argv[1], NULL, 10); seed <= strtoull(argv[2], NULL, 10); seed++) {
            print_message("seed %llu\n", (unsigned long long)seed);
            run_seed(seed, totals);
        }
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_runs),
        cmocka_unit_test(test_same_seed_same_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
