// SPDX-License-Identifier: Apache-2.0
// Sidecars: a start that uses them knows what a start that scans the log knows; and whatever happened to them, nothing is
// lost, forgotten or reported. PR-04, PR-06.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "cold_model.h"
#include "store/parts_internal.h"
#include "store/store_internal.h"

enum { SEEDS = 40, PATHS = 64 };

struct world {
    struct sim_disk disk;
    struct cold_model model;
    struct prng prng;
};

// A directory with messages in segments, in files with sidecars, and in the newest file.
static struct world *world_new(uint64_t seed)
{
    struct world *world = mem_alloc_zero(sizeof(*world));
    struct cold_model *model = &world->model;
    sim_disk_init(&world->disk, seed);
    cold_model_init(model, &world->disk);
    model->options.encryption = sim_crypto_for_seed(seed);
    model->now.wall_ns += seed; // no two directories began in the same nanosecond
    prng_seed(&world->prng, seed + 99);
    model->now.wall_ns +=
        seed; // no two directories are of the same nanosecond; their files' headers tell them apart by it
    assert_int_equal(cold_model_open(model), 0);
    uint64_t budget = (1 + prng_below(&world->prng, 3)) * model->options.log_bytes;
    for (uint64_t sum = 0; sum < budget && !model->complaint[0];) {
        for (int n = 0; n < 20; n++) {
            size_t size = (size_t)prng_below(&world->prng, 1000);
            uint32_t stream = (uint32_t)prng_below(&world->prng, 1 + prng_below(&world->prng, COLD_STREAMS));
            sum += cold_model_append(model, stream, size) ? size : 0;
        }
        if (prng_chance(&world->prng, 1, 5)) {
            uint32_t stream = (uint32_t)prng_below(&world->prng, COLD_STREAMS);
            const struct cold_stream *own = &model->streams[stream];
            cold_model_trim(model, stream, own->first + prng_below(&world->prng, own->last + 2 - own->first));
        }
        cold_model_turn(model);
        for (int n = 0; n < 40 && sim_disk_step(&world->disk); n++) {
        }
    }
    cold_model_settle(model, 100);
    cold_model_stop(model);
    cold_model_promise_all(model);
    return world;
}

static void world_free(struct world *world, uint64_t seed)
{
    if (world->model.complaint[0]) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, world->model.complaint);
    }
    sim_disk_deinit(&world->disk);
    mem_free(world);
}

static void open_and_look(struct world *world)
{
    struct cold_model *model = &world->model;
    struct store_stats stats;
    assert_int_equal(cold_model_open(model), 0);
    cold_model_read_all(model);
    for (int n = 0; n < 50 && (n == 0 || model->ids_awaited); n++) {
        cold_model_settle(model, 100);
    }
    store_stats_get(model->store, &stats);
    if (stats.damaged_areas > 0 || model->ids_awaited) {
        cold_model_complain(model, "%llu damaged areas are reported; ids are %s",
                            (unsigned long long)stats.damaged_areas, model->ids_awaited ? "missing" : "there");
    }
}

static size_t sidecar_paths(const struct world *world, char (*ret_paths)[STORE_PATH_BYTES])
{
    const char *path;
    size_t count = 0;
    for (size_t i = 0; (path = sim_disk_path(&world->disk, i)) && count < PATHS; i++) {
        if (strstr(path, ".idx")) {
            snprintf(ret_paths[count++], STORE_PATH_BYTES, "%s", path);
        }
    }
    return count;
}

static void each_place(struct index *index, struct index_place *places, size_t *ret_count)
{
    size_t count = 0;
    for (uint32_t stream = 1; stream <= COLD_STREAMS; stream++) {
        for (uint64_t s = 0; index_next(index, stream, s, &places[count]); s = places[count++].sequence + 1) {
        }
    }
    *ret_count = count;
}

static void sidecars_say_what_a_scan_says(void **state)
{
    static struct index_place with[COLD_STREAMS * COLD_MESSAGES], without[COLD_STREAMS * COLD_MESSAGES];
    uint64_t shorter = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = world_new(seed);
        struct cold_model *model = &world->model;
        char paths[PATHS][STORE_PATH_BYTES];
        size_t count = sidecar_paths(world, paths), with_count, without_count;
        assert_true(count > 0);
        struct sim_disk other;
        sim_disk_fork(&world->disk, seed, SIM_LOSS_NONE, &other);
        assert_int_equal(cold_model_open(model), 0);
        index_check(&model->store->parts->index);
        each_place(&model->store->parts->index, with, &with_count);
        uint64_t replayed = model->replayed;
        cold_model_stop(model);
        for (size_t i = 0; i < count; i++) {
            sim_disk_remove(&other, paths[i]);
        }
        model->disk = &other;
        assert_int_equal(cold_model_open(model), 0);
        each_place(&model->store->parts->index, without, &without_count);
        assert_true(model->replayed >= replayed);
        shorter += model->replayed > replayed;
        assert_int_equal(with_count, without_count);
        for (size_t i = 0; i < with_count; i++) {
            uint64_t a = with[i].time_ns >> INDEX_TIME_SHIFT, b = without[i].time_ns >> INDEX_TIME_SHIFT;
            assert_true(with[i].sequence == without[i].sequence && with[i].file == without[i].file &&
                        with[i].offset == without[i].offset && with[i].size == without[i].size);
            assert_true(a <= b + 1 && b <= a + 1);
        }
        cold_model_read_all(model);
        cold_model_stop(model);
        sim_disk_deinit(&other);
        world_free(world, seed);
    }
    assert_true(shorter > SEEDS / 2);
}

// Bits flip, ends are cut off, one has the content of another, some are gone.
static void tamper(struct world *world, const char *path, const char *other)
{
    struct bytes content = sim_disk_content(&world->disk, path), others = sim_disk_content(&world->disk, other);
    switch (prng_below(&world->prng, 4)) {
    case 0:
        sim_disk_flip(&world->disk, path, prng_below(&world->prng, content.len), (unsigned)prng_below(&world->prng, 8));
        break;
    case 1: {
        char *copy = mem_alloc(content.len);
        memcpy(copy, content.ptr, content.len);
        sim_disk_put(&world->disk, path, bytes_make(copy, prng_below(&world->prng, content.len)));
        mem_free(copy);
        break;
    }
    case 2: {
        char *copy = mem_alloc(others.len);
        memcpy(copy, others.ptr, others.len);
        sim_disk_put(&world->disk, path, bytes_make(copy, others.len));
        mem_free(copy);
        break;
    }
    default: sim_disk_remove(&world->disk, path); break;
    }
}

static void a_bad_sidecar_costs_nothing_but_time(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = world_new(seed);
        char paths[PATHS][STORE_PATH_BYTES];
        size_t count = sidecar_paths(world, paths);
        for (size_t i = 0; i < count; i++) {
            if (prng_chance(&world->prng, 1, 2)) {
                tamper(world, paths[i], paths[i + 1 < count ? i + 1 : i]);
            }
        }
        open_and_look(world);
        // They were made again meanwhile.
        size_t again = sidecar_paths(world, paths);
        assert_true(again >= count / 2);
        cold_model_stop(&world->model);
        open_and_look(world);
        cold_model_stop(&world->model);
        world_free(world, seed);
    }
}

// One of another time of the same directory: its log file has another header, or another end.
static void a_sidecar_of_another_life_is_ignored(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = world_new(seed), *stranger = world_new(seed + 1000);
        char paths[PATHS][STORE_PATH_BYTES], others[PATHS][STORE_PATH_BYTES];
        size_t count = sidecar_paths(world, paths), other_count = sidecar_paths(stranger, others);
        for (size_t i = 0; i < other_count; i++) {
            struct bytes content = sim_disk_content(&stranger->disk, others[i]);
            sim_disk_put(&world->disk, others[i], content);
        }
        sim_disk_put(&world->disk, "wal/00000000000000ff.idx", BYTES("nonsense"));
        sim_disk_put(&world->disk, "wal/0000000000000001.idx.tmp", BYTES("the beginning of one"));
        open_and_look(world);
        assert_false(sim_disk_has(&world->disk, "wal/00000000000000ff.idx"));
        assert_false(sim_disk_has(&world->disk, "wal/0000000000000001.idx.tmp"));
        assert_true(count > 0);
        cold_model_stop(&world->model);
        world_free(stranger, seed);
        world_free(world, seed);
    }
}

static void sidecars_of_released_files_are_removed(void **state)
{
    struct world *world = world_new(3);
    struct cold_model *model = &world->model;
    char paths[PATHS][STORE_PATH_BYTES];
    assert_int_equal(cold_model_open(model), 0);
    for (int round = 0; round < 300; round++) {
        for (uint32_t i = 0; i < COLD_STREAMS; i++) {
            cold_model_append(model, i, 900);
            cold_model_trim(model, i, model->streams[i].last + 1);
        }
        cold_model_settle(model, 20);
        size_t count = sidecar_paths(world, paths);
        struct store_stats stats;
        store_stats_get(model->store, &stats);
        assert_true(count <= stats.log_files + 2);
    }
    cold_model_stop(model);
    world_free(world, 3);
}

// Written at any moment, cut by a crash at any moment: a start every few operations.
static void crashes_around_sidecars(void **state)
{
    uint64_t checked = 0, used = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *world = world_new(seed);
        struct cold_model *model = &world->model;
        for (int life = 0; life < 8 && !model->complaint[0]; life++) {
            int error = cold_model_open(model);
            if (error) {
                cold_model_complain(model, "does not open: %s", error_text(error));
                break;
            }
            struct log_file_info info = {0};
            const struct log_view *log = &model->store->context.log;
            while (log->next_closed(log->owner, info.id, &info)) {
                used += info.indexed;
            }
            for (uint64_t turn = prng_below(&world->prng, 60); turn > 0; turn--) {
                for (int n = 0; n < 30; n++) {
                    cold_model_append(model, (uint32_t)prng_below(&world->prng, COLD_STREAMS),
                                      (size_t)prng_below(&world->prng, 600));
                }
                cold_model_turn(model);
                for (uint64_t n = prng_below(&world->prng, 20); n > 0 && sim_disk_step(&world->disk); n--) {
                }
            }
            sim_disk_crash(&world->disk, (enum sim_loss)prng_below(&world->prng, 3));
            cold_model_stop(model);
        }
        if (!model->complaint[0]) {
            open_and_look(world);
            cold_model_stop(model);
        }
        checked += model->ids_checked;
        world_free(world, seed);
    }
    assert_true(checked > 0 && used > SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sidecars_say_what_a_scan_says),
        cmocka_unit_test(a_bad_sidecar_costs_nothing_but_time),
        cmocka_unit_test(a_sidecar_of_another_life_is_ignored),
        cmocka_unit_test(sidecars_of_released_files_are_removed),
        cmocka_unit_test(crashes_around_sidecars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
