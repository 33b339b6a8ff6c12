// SPDX-License-Identifier: Apache-2.0
// A full disk, over many seeds: what can be deleted gives its space back whatever it is (log files, segments, segments of which only
// dedupe ids are wanted), starts do not wear out the reserve for acknowledgements, and there is always a next start. PR-06.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"
#include "cold_model.h"

enum { SEEDS = 8, PATIENCE = 8000, REFUSALS = 1500 };

struct world {
    struct sim_disk disk;
    struct cold_model model;
    struct prng prng;
    bool slow; // the disk: so that others come in between
};

static void print_log(void *owner, enum log_level level, const char *format, va_list arguments)
{
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

static const struct logger verbose = {.write = print_log};

static uint64_t first_seed(void)
{
    return getenv("SEED") ? strtoull(getenv("SEED"), NULL, 10) : 1;
}

static uint64_t last_seed(void)
{
    const char *more = getenv("SEEDS");
    return getenv("SEED") ? first_seed() : more ? strtoull(more, NULL, 10) : SEEDS;
}

static struct world *world_new(uint64_t seed)
{
    struct world *world = mem_alloc_zero(sizeof(*world));
    sim_disk_init(&world->disk, seed);
    cold_model_init(&world->model, &world->disk);
    world->model.options.encryption = sim_crypto_for_seed(seed);
    prng_seed(&world->prng, seed + 4711);
    world->slow = seed % 2;
    // The log's budget is four files; that, the spares and the ballast take up to half of the disk.
    struct store_options *options = &world->model.options;
    options->first_file_bytes = 128 * 1024;
    options->file_bytes = options->first_file_bytes << prng_below(&world->prng, 2);
    options->log_bytes = 4 * options->file_bytes;
    world->disk.capacity = 16 * options->file_bytes + prng_below(&world->prng, 4 * options->file_bytes);
    if (getenv("SEED")) {
        world->model.options.logger = &verbose;
    }
    assert_int_equal(cold_model_open(&world->model), 0);
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

static void turn(struct world *world)
{
    cold_model_turn(&world->model);
    for (uint64_t n = prng_below(&world->prng, world->slow ? 3 : 12); n > 0 && sim_disk_step(&world->disk); n--) {
    }
}

static bool append(struct world *world)
{
    uint32_t stream = (uint32_t)prng_below(&world->prng, COLD_STREAMS);
    return cold_model_append(&world->model, stream, prng_below(&world->prng, 1800));
}

// Until nothing more is taken, not even after a while.
static void fill(struct world *world)
{
    for (int refused = 0; refused < REFUSALS && !world->model.complaint[0];) {
        for (int n = 0; n < 4; n++) {
            refused = append(world) ? 0 : refused + 1;
        }
        turn(world);
    }
}

// The oldest go, all but `kept` of each stream; if there are too many deletes for the reserve, a little later.
static void trim(struct world *world, uint64_t kept)
{
    struct cold_model *model = &world->model;
    for (uint32_t i = 0; i < COLD_STREAMS; i++) {
        const struct cold_stream *own = &model->streams[i];
        uint64_t first = own->last > kept ? own->last + 1 - kept : 1;
        if (first > own->asked_first) {
            cold_model_trim(model, i, first);
        }
    }
}

static void stop(struct world *world, bool orderly)
{
    struct cold_model *model = &world->model;
    if (!orderly) {
        sim_disk_crash(&world->disk, prng_chance(&world->prng, 1, 2) ? SIM_LOSS_NONE : SIM_LOSS_RANDOM);
    }
    cold_model_stop(model);
}

static void open(struct world *world)
{
    struct cold_model *model = &world->model;
    int error = cold_model_open(model);
    if (error) {
        fail_msg("does not start: %s (%s)", error_text(error), model->complaint);
    }
    struct store_stats stats;
    store_stats_get(model->store, &stats);
    if (stats.damaged_areas > 0) {
        cold_model_complain(model, "damage is reported where there is none");
    }
}

// Three times as much as the disk holds goes through a store that keeps little of it.
static void flow(struct world *world)
{
    struct cold_model *model = &world->model;
    uint64_t bytes = 3 * world->disk.capacity, sent = 0;
    trim(world, 4);
    for (uint32_t i = 0; i < COLD_STREAMS; i++) {
        if (model->streams[i].asked_first + 4 <= model->streams[i].last) {
            cold_model_complain(model, "a delete is refused");
        }
    }
    for (int waited = 0; sent < bytes && !model->complaint[0]; waited++) {
        trim(world, 4);
        while (append(world)) {
            sent += 900;
            waited = 0;
        }
        turn(world);
        if (waited > PATIENCE) {
            cold_model_complain(model, "no space after %llu of %llu bytes", (unsigned long long)sent,
                                (unsigned long long)bytes);
        }
    }
}

static void what_limits_drop_gives_its_space_back(void **state)
{
    for (uint64_t seed = first_seed(); seed <= last_seed(); seed++) {
        struct world *world = world_new(seed);
        // A second, or longer than the test: then whatever is deleted has ids that are still wanted.
        world->model.window_ns = seed % 3 ? UINT64_C(3600000000000) : UINT64_C(1000000000);
        fill(world);
        for (int start = (int)(seed % 3); start > 0; start--) {
            stop(world, seed % 2);
            open(world);
        }
        cold_model_read_all(&world->model);
        flow(world);
        cold_model_read_all(&world->model);
        stop(world, true);
        open(world);
        cold_model_settle(&world->model, 100); // the ids come back
        cold_model_read_all(&world->model);
        stop(world, true);
        world_free(world, seed);
    }
}

static void starts_do_not_wear_out_the_reserve(void **state)
{
    for (uint64_t seed = first_seed(); seed <= last_seed(); seed++) {
        struct world *world = world_new(seed);
        struct cold_model *model = &world->model;
        fill(world);
        for (uint64_t start = 1; start <= 12 && !model->complaint[0]; start++) {
            stop(world, prng_chance(&world->prng, 1, 3));
            open(world);
            for (int i = 0; i < 3 && !model->complaint[0]; i++) {
                cold_model_trim(model, i % COLD_STREAMS, start);
                if (model->streams[i % COLD_STREAMS].asked_first < start) {
                    cold_model_complain(model, "after start %llu nothing can be deleted", (unsigned long long)start);
                }
                turn(world);
            }
        }
        cold_model_read_all(model);
        flow(world);
        stop(world, true);
        world_free(world, seed);
    }
}

// Acknowledgements may use all of the reserve, and yet there is a next start.
static void there_is_always_a_next_start(void **state)
{
    for (uint64_t seed = first_seed(); seed <= last_seed(); seed++) {
        struct world *world = world_new(seed);
        struct cold_model *model = &world->model;
        fill(world);
        for (uint64_t start = 1; start <= 12 && !model->complaint[0]; start++) {
            // One in each batch, which is what needs most of the log. Nothing is deleted by it.
            for (int n = 0; n < 300; n++) {
                cold_model_trim(model, 0, 1);
                cold_model_turn(model);
                sim_disk_drain(&world->disk);
            }
            stop(world, prng_chance(&world->prng, 1, 3));
            open(world);
        }
        cold_model_read_all(model);
        stop(world, true);
        world_free(world, seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_limits_drop_gives_its_space_back),
        cmocka_unit_test(starts_do_not_wear_out_the_reserve),
        cmocka_unit_test(there_is_always_a_next_start),
    };
    return cmocka_run_group_tests_name("sim/store_full", tests, NULL, NULL);
}
