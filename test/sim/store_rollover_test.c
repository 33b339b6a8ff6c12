// SPDX-License-Identifier: Apache-2.0
// Cold data over a disk that crashes: with a log budget of four small files nearly everything lies in segments, and crashes fall
// into roll-over and checkpoints. Whatever the seed, every wanted message is readable with the right bytes. JP-2, JP-3, PR-04,
// PR-05, PR-06.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "cold_model.h"

enum { SEEDS = 60, DAMAGE_SEEDS = 24 };

struct world {
    struct sim_disk disk;
    struct cold_model model;
    struct prng prng;
};

static void print_log(void *owner, enum log_level level, const char *format, va_list arguments)
{
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

static const struct logger verbose = {.write = print_log};

static struct world *world_new(uint64_t seed)
{
    struct world *world = mem_alloc_zero(sizeof(*world));
    sim_disk_init(&world->disk, seed);
    cold_model_init(&world->model, &world->disk);
    world->model.options.encryption = sim_crypto_for_seed(seed);
    prng_seed(&world->prng, seed + 77);
    if (getenv("SEED")) {
        world->model.options.logger = &verbose;
    }
    return world;
}

static void world_free(struct world *world)
{
    sim_disk_deinit(&world->disk);
    mem_free(world);
}

static void expect_no_complaint(const struct world *world, uint64_t seed)
{
    if (world->model.complaint[0]) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, world->model.complaint);
    }
}

static void read_some(struct world *world, uint64_t count)
{
    for (; count > 0; count--) {
        uint32_t stream = (uint32_t)prng_below(&world->prng, COLD_STREAMS);
        const struct cold_stream *own = &world->model.streams[stream];
        if (own->last >= own->first) {
            cold_model_read(&world->model, stream, own->first + prng_below(&world->prng, own->last - own->first + 1));
        }
    }
}

// Streams of very different activity; some are consumed, some only grow.
static void live(struct world *world, uint64_t turns, bool faults)
{
    struct cold_model *model = &world->model;
    for (uint64_t turn = 0; turn < turns && !model->complaint[0]; turn++) {
        for (uint64_t n = prng_below(&world->prng, 16); n > 0; n--) {
            uint32_t stream = (uint32_t)prng_below(&world->prng, 1 + prng_below(&world->prng, COLD_STREAMS));
            size_t size = (size_t)prng_below(&world->prng, prng_chance(&world->prng, 1, 50) ? 8000 : 400);
            cold_model_append(model, stream, size);
        }
        if (prng_chance(&world->prng, 1, 10)) {
            uint32_t stream = (uint32_t)prng_below(&world->prng, COLD_STREAMS);
            const struct cold_stream *own = &model->streams[stream];
            uint64_t span = own->last + 1 - own->first;
            cold_model_trim(model, stream, own->first + (stream % 3 ? span : prng_below(&world->prng, span + 1)));
        }
        if (faults && prng_chance(&world->prng, 1, 100)) {
            sim_disk_fail(&world->disk, 1 + prng_below(&world->prng, 30), ERR_IO);
        }
        cold_model_turn(model);
        for (uint64_t n = prng_below(&world->prng, 12); n > 0 && sim_disk_step(&world->disk); n--) {
        }
        if (prng_chance(&world->prng, 1, 3)) {
            read_some(world, 3);
        }
    }
}

static void crashes_in_rollover_and_checkpoint_lose_nothing(void **state)
{
    const char *only = getenv("SEED");
    uint64_t first = only ? strtoull(only, NULL, 10) : 1, segments = 0, checkpoints = 0, ids = 0;
    for (uint64_t seed = first; seed <= (only ? first : SEEDS); seed++) {
        struct world *world = world_new(seed);
        struct cold_model *model = &world->model;
        for (int lifetime = 0; lifetime < 6 && !model->complaint[0]; lifetime++) {
            int result = cold_model_open(model);
            if (result != 0) {
                cold_model_complain(model, "does not open: %s", error_text(result));
                break;
            }
            if (prng_chance(&world->prng, 1, 3)) {
                cold_model_read_all(model);
            }
            live(world, prng_below(&world->prng, 300), seed % 4 == 0);
            world->disk.fail_error = 0;
            struct store_stats stats;
            store_stats_get(model->store, &stats);
            segments += stats.segments;
            checkpoints += stats.checkpoints;
            if (stats.damaged_areas > 0 && seed % 4 != 0) {
                cold_model_complain(model, "damage is reported where there is none");
            }
            if (prng_chance(&world->prng, 1, 5)) {
                cold_model_stop(model);
            } else {
                sim_disk_crash(&world->disk, (enum sim_loss)prng_below(&world->prng, 3));
                cold_model_stop(model);
            }
        }
        if (!model->complaint[0] && cold_model_open(model) == 0) {
            cold_model_read_all(model);
            cold_model_stop(model);
        }
        ids += model->ids_restored;
        expect_no_complaint(world, seed);
        world_free(world);
    }
    // The test would prove nothing if none of this had happened.
    if (!only) {
        assert_true(segments > SEEDS && checkpoints > SEEDS && ids > 0);
    }
}

// Appends until so many bytes of messages are stored, at the speed of the store.
static void fill(struct world *world, uint64_t bytes)
{
    struct cold_model *model = &world->model;
    for (uint64_t sum = 0; sum < bytes && !model->complaint[0];) {
        for (int n = 0; n < 20; n++) {
            size_t size = (size_t)prng_below(&world->prng, 1000);
            if (cold_model_append(model, (uint32_t)prng_below(&world->prng, COLD_STREAMS), size)) {
                sum += size;
            }
        }
        cold_model_turn(model);
        for (int n = 0; n < 40 && sim_disk_step(&world->disk); n++) {
        }
    }
    cold_model_settle(model, 200);
}

static void memory_and_log_stay_within_the_budget_whatever_the_backlog(void **state)
{
    struct world *world = world_new(1);
    struct cold_model *model = &world->model;
    assert_int_equal(cold_model_open(model), 0);
    struct store_stats stats;
    for (int round = 0; round < 20; round++) {
        fill(world, model->options.log_bytes);
        store_stats_get(model->store, &stats);
        assert_true(stats.log_bytes <= model->options.log_bytes + 6 * model->options.file_bytes);
        assert_true(stats.cache_bytes <= model->options.cache_bytes * 2);
        assert_true(stats.index_bytes < 200 * 1024); // most of it: 64 bytes for each stream of each tiny segment
    }
    assert_true(stats.segments > 10 && stats.segment_bytes > 10 * model->options.log_bytes);
    cold_model_read_all(model);
    store_stats_get(model->store, &stats);
    assert_true(stats.cache_bytes <= model->options.cache_bytes * 2);
    cold_model_stop(model);
    cold_model_promise_all(model);
    // Recovery reads the log only: entries are replayed by the budget, not by what is stored.
    assert_int_equal(cold_model_open(model), 0);
    assert_true(model->replayed * 20 * 300 < 20 * model->options.log_bytes * 10);
    cold_model_read_all(model);
    cold_model_stop(model);
    expect_no_complaint(world, 1);
    world_free(world);
}

static const struct disk_ops *ops_below;   // tidy: allow mutable (the one disk whose requests are counted)
static unsigned files_made, files_removed; // tidy: allow mutable (same)

static void count_submit(struct disk *disk, enum disk_lane lane, struct disk_request *request)
{
    size_t len = request->op == DISK_UNLINK ? strlen(request->path) : 0;
    files_made += request->op == DISK_ALLOCATE;
    files_removed += len > 4 && strcmp(request->path + len - 4, ".wal") == 0;
    ops_below->submit(disk, lane, request);
}

static void count_run(struct disk *disk, struct disk_request *request)
{
    ops_below->run(disk, request);
}

// Zeroing a new file and giving an old one back to the file system cost the disk as much as the log itself.
static void a_steady_flow_uses_the_same_log_files_again(void **state)
{
    static const struct disk_ops counting = {.submit = count_submit, .run = count_run};
    struct world *world = world_new(3);
    struct cold_model *model = &world->model;
    assert_int_equal(cold_model_open(model), 0);
    fill(world, 4 * model->options.log_bytes);
    ops_below = world->disk.disk.ops;
    world->disk.disk.ops = &counting;
    files_made = files_removed = 0;
    fill(world, 20 * model->options.log_bytes); // 80 files and more
    assert_true(files_made <= 8 && files_removed <= 8);
    cold_model_stop(model);
    expect_no_complaint(world, 3);
    world_free(world);
}

static void segments_of_what_was_consumed_are_removed(void **state)
{
    struct world *world = world_new(2);
    struct cold_model *model = &world->model;
    assert_int_equal(cold_model_open(model), 0);
    fill(world, 10 * model->options.log_bytes);
    struct store_stats stats;
    store_stats_get(model->store, &stats);
    assert_true(stats.segments > 10);
    for (uint32_t i = 0; i < COLD_STREAMS; i++) {
        cold_model_trim(model, i, model->streams[i].last + 1);
    }
    cold_model_settle(model, 2000);
    store_stats_get(model->store, &stats);
    assert_true(stats.segments <= 2);
    assert_true(sim_disk_used(&world->disk) < 3 * model->options.log_bytes);
    cold_model_stop(model);
    assert_int_equal(cold_model_open(model), 0);
    cold_model_stop(model);
    expect_no_complaint(world, 2);
    world_free(world);
}

// Appends until the disk is full, then deletes everything: service resumes by itself.
static void a_full_disk_of_consumed_messages_serves_again(void **state)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world *world = world_new(seed);
        struct cold_model *model = &world->model;
        world->disk.capacity = 1500 * 1024 + seed * 40000;
        assert_int_equal(cold_model_open(model), 0);
        uint64_t turns = 0;
        for (int refused = 0; refused < 500 && turns < 20000; turns++) {
            bool taken = cold_model_append(model, (uint32_t)prng_below(&world->prng, COLD_STREAMS), 900);
            refused = taken ? 0 : refused + 1;
            cold_model_turn(model);
            sim_disk_drain(&world->disk);
        }
        if (turns == 20000) {
            cold_model_complain(model, "the disk was never full");
        }
        cold_model_read_all(model);
        for (uint32_t i = 0; i < COLD_STREAMS; i++) {
            cold_model_trim(model, i, model->streams[i].last + 1);
        }
        cold_model_settle(model, 8000);
        for (uint32_t i = 0; i < COLD_STREAMS; i++) {
            if (model->streams[i].first != model->streams[i].last + 1) {
                cold_model_complain(model, "the full disk took no deletion");
            }
        }
        if (!cold_model_append(model, 1, 900)) {
            cold_model_complain(model, "service does not resume");
        }
        cold_model_settle(model, 10);
        cold_model_stop(model);
        assert_int_equal(cold_model_open(model), 0);
        cold_model_read_all(model);
        cold_model_stop(model);
        expect_no_complaint(world, seed);
        world_free(world);
    }
}

static const char *random_file(struct world *world, const char *folder)
{
    const char *chosen = NULL, *path;
    for (size_t i = 0, seen = 0; (path = sim_disk_path(&world->disk, i)); i++) {
        if (strncmp(path, folder, strlen(folder)) == 0 && prng_below(&world->prng, ++seen) == 0) {
            chosen = path;
        }
    }
    assert_non_null(chosen);
    return chosen;
}

static void ignore_line(void *owner, const char *line)
{
    if (getenv("SEED")) {
        fprintf(stderr, "%s\n", line);
    }
}

static void note_refusal(void *owner, const char *line)
{
    bool *refused = owner;
    *refused |= strstr(line, "would refuse to start") != NULL;
}

static struct world *filled_world(uint64_t seed)
{
    struct world *world = world_new(seed);
    assert_int_equal(cold_model_open(&world->model), 0);
    fill(world, (3 + prng_below(&world->prng, 4)) * world->model.options.log_bytes);
    cold_model_stop(&world->model);
    cold_model_promise_all(&world->model);
    assert_int_equal(store_check(&world->disk.disk, &world->model.options.encryption, ignore_line, NULL), 0);
    return world;
}

static void damaged_segments_cost_only_what_is_damaged(void **state)
{
    for (uint64_t seed = 1; seed <= DAMAGE_SEEDS; seed++) {
        struct world *world = filled_world(seed);
        struct cold_model *model = &world->model;
        const char *path = random_file(world, "shards/1/");
        bool removed = seed % 8 == 0;
        if (removed) {
            sim_disk_remove(&world->disk, path);
        } else {
            uint64_t at = prng_below(&world->prng, sim_disk_content(&world->disk, path).len);
            sim_disk_flip(&world->disk, path, at, (unsigned)prng_below(&world->prng, 8));
            assert_true(store_check(&world->disk.disk, &world->model.options.encryption, ignore_line, NULL) > 0);
        }
        int problems = store_check(&world->disk.disk, &world->model.options.encryption, ignore_line, NULL);
        model->damaged = true;
        assert_int_equal(cold_model_open(model), 0);
        cold_model_read_all(model);
        struct store_stats stats;
        store_stats_get(model->store, &stats);
        if (model->quarantined > 0 && stats.damaged_areas == 0) {
            cold_model_complain(model, "%llu messages are unreadable and nothing was reported",
                                (unsigned long long)model->quarantined);
        }
        if (model->quarantined > 0 && problems == 0) {
            cold_model_complain(model, "weir check saw nothing of what a start quarantined");
        }
        // One bit costs a message, or the messages of one extent when it hits a summary.
        if (!removed && model->quarantined > 60) {
            cold_model_complain(model, "one bit made %llu messages unreadable", (unsigned long long)model->quarantined);
        }
        cold_model_stop(model);
        expect_no_complaint(world, seed);
        world_free(world);
    }
}

static void a_damaged_checkpoint_falls_back_to_the_one_before(void **state)
{
    for (uint64_t seed = 1; seed <= DAMAGE_SEEDS; seed++) {
        struct world *world = filled_world(seed);
        struct cold_model *model = &world->model;
        const char *path = random_file(world, "checkpoint/");
        if (seed % 8 == 0) {
            sim_disk_remove(&world->disk, path);
        } else {
            uint64_t at = prng_below(&world->prng, sim_disk_content(&world->disk, path).len);
            sim_disk_flip(&world->disk, path, at, (unsigned)prng_below(&world->prng, 8));
            assert_true(store_check(&world->disk.disk, &world->model.options.encryption, ignore_line, NULL) > 0);
        }
        int result = cold_model_open(model);
        if (result != 0) {
            fail_msg("seed %llu: does not open: %s", (unsigned long long)seed, error_text(result));
        }
        cold_model_read_all(model);
        fill(world, model->options.log_bytes);
        cold_model_stop(model);
        cold_model_promise_all(model);
        assert_int_equal(cold_model_open(model), 0);
        cold_model_read_all(model);
        cold_model_stop(model);
        expect_no_complaint(world, seed);
        world_free(world);
    }
}

static void without_any_checkpoint_it_refuses_and_changes_nothing(void **state)
{
    struct world *world = filled_world(3);
    const char *path;
    uint64_t files = 0;
    for (size_t i = 0; (path = sim_disk_path(&world->disk, i)); i++) {
        files++;
        if (strncmp(path, "checkpoint/", 11) == 0) {
            sim_disk_flip(&world->disk, path, sim_disk_content(&world->disk, path).len - 40, 1);
        }
    }
    uint64_t used = sim_disk_used(&world->disk);
    bool refused = false;
    assert_true(store_check(&world->disk.disk, &world->model.options.encryption, note_refusal, &refused) > 0);
    assert_true(refused);
    assert_int_equal(cold_model_open(&world->model), ERR_CORRUPT);
    assert_true(sim_disk_used(&world->disk) == used);
    for (size_t i = 0; sim_disk_path(&world->disk, i); i++) {
        files--;
    }
    assert_int_equal(files, 0);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crashes_in_rollover_and_checkpoint_lose_nothing),
        cmocka_unit_test(memory_and_log_stay_within_the_budget_whatever_the_backlog),
        cmocka_unit_test(a_steady_flow_uses_the_same_log_files_again),
        cmocka_unit_test(segments_of_what_was_consumed_are_removed),
        cmocka_unit_test(a_full_disk_of_consumed_messages_serves_again),
        cmocka_unit_test(damaged_segments_cost_only_what_is_damaged),
        cmocka_unit_test(a_damaged_checkpoint_falls_back_to_the_one_before),
        cmocka_unit_test(without_any_checkpoint_it_refuses_and_changes_nothing),
    };
    return cmocka_run_group_tests_name("sim/store_rollover", tests, NULL, NULL);
}
