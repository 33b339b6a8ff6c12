// SPDX-License-Identifier: Apache-2.0
// Disks that are full, and disks that forget: what is refused, what goes on, what is reported. JP-2, JP-3, PR-03, PR-04, PR-13.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store_world.h"

enum { PATIENCE = 1000 }; // turns of a millisecond: longer than any pause between two tries on a full disk

static void expect_no_complaint(struct world *world, uint64_t seed)
{
    if (world->model.complaint[0])
        fail_msg("seed %llu: %s", (unsigned long long)seed, world->model.complaint);
}

static void run_turns(struct world *world, int turns, int messages)
{
    for (int turn = 0; turn < turns; turn++) {
        for (int n = 0; n < messages; n++)
            model_append(&world->model, 4000);
        model_turn(&world->model);
        sim_disk_drain(&world->disk);
    }
}

// Some files, three lives, orderly ended; everything is proven synced.
static struct world *make_history(uint64_t seed)
{
    struct world *world = world_new(seed);
    for (int life = 0; life < 3; life++) {
        assert_int_equal(model_open(&world->model), 0);
        run_turns(world, 40, 12);
        model_stop(&world->model);
        expect_no_complaint(world, seed);
        world->model.promised = world->model.appended;
    }
    return world;
}

static bool is_log_file(const char *path)
{
    return path[0] == 'w' && strstr(path, ".wal") != NULL;
}

// Bytes of the file before its last one that is not zero.
static size_t used_bytes(struct bytes content)
{
    size_t used = content.len;
    while (used && content.ptr[used - 1] == 0)
        used--;
    return used;
}

// One flipped bit anywhere in what was synced: at most the message it hit is missing (or the few that share an entry header
// or a batch header with it), it is reported, and no file of data is removed.
static void try_flip(struct world *world, uint64_t seed, const char *path, uint64_t offset)
{
    struct sim_disk fork;
    sim_disk_fork(&world->disk, seed, SIM_LOSS_NONE, &fork);
    sim_disk_flip(&fork, path, offset, (unsigned)seed);
    struct model *model = malloc(sizeof(*model));
    *model = world->model;
    model->disk = &fork;
    model->holes_allowed = true;
    assert_int_equal(model_open(model), 0);
    struct store_stats stats;
    store_stats_get(model->store, &stats);
    bool padding = model->holes == 0 && stats.damaged_areas == 0;
    uint64_t most = world->model.state_last / 20;
    if (model->holes > most)
        fail_msg("%s at %llu: %llu messages are missing", path, (unsigned long long)offset,
                 (unsigned long long)model->holes);
    if (model->holes && stats.damaged_areas == 0)
        fail_msg("%s at %llu: not reported", path, (unsigned long long)offset);
    assert_true(sim_disk_has(&fork, path));
    for (int i = 0; i < 5 && !padding; i++)
        model_append(model, 500);
    model_turn(model);
    sim_disk_drain(&fork);
    model_stop(model);
    assert_string_equal(model->complaint, "");
    free(model);
    sim_disk_deinit(&fork);
}

static void test_a_flipped_bit_is_found_and_the_rest_serves(void **state)
{
    struct world *world = make_history(1);
    unsigned tried = 0;
    for (size_t i = 0; sim_disk_path(&world->disk, i); i++) {
        const char *path = sim_disk_path(&world->disk, i);
        size_t used = is_log_file(path) ? used_bytes(sim_disk_content(&world->disk, path)) : 0;
        for (int n = 0; used > 8192 && n < 60; n++, tried++) {
            uint64_t offset = n < 8    ? (uint64_t)n * 9
                              : n < 16 ? 4096 + (uint64_t)n * 9
                                       : prng_below(&world->prng, used - 4096);
            try_flip(world, prng_next(&world->prng), path, offset);
        }
    }
    assert_true(tried > 150);
    world_free(world);
}

// Whole blocks and whole files gone.
static void test_a_lost_file_is_reported_and_the_rest_serves(void **state)
{
    struct world *world = make_history(2);
    unsigned removed = 0;
    for (size_t i = 0; i < 5; i++) {
        struct sim_disk fork;
        sim_disk_fork(&world->disk, i, SIM_LOSS_NONE, &fork);
        const char *path = NULL;
        for (size_t at = 0, n = 0; (path = sim_disk_path(&fork, at)); at++) {
            if (is_log_file(path) && used_bytes(sim_disk_content(&fork, path)) > 20000 && n++ == i)
                break;
        }
        if (path) {
            removed++;
            sim_disk_remove(&fork, path);
            struct model *model = malloc(sizeof(*model));
            *model = world->model;
            model->disk = &fork;
            model->holes_allowed = true;
            int error = model_open(model);
            // Without the first file there is no state to build on: the start is refused, and nothing is changed.
            if (error == 0) {
                struct store_stats stats;
                store_stats_get(model->store, &stats);
                assert_true(stats.damaged_areas > 0);
                assert_true(model->state_last > world->model.state_last / 3 || i > 2);
                model_stop(model);
            } else {
                assert_int_equal(error, ERR_CORRUPT);
                assert_int_equal(i, 0);
            }
            assert_string_equal(model->complaint, "");
            free(model);
        }
        sim_disk_deinit(&fork);
    }
    assert_true(removed >= 3);
    world_free(world);
}

// Until nothing is taken for a while: what moves to segments on a full disk may take less room there, and then more is taken.
static void fill_disk(struct world *world)
{
    for (int refused = 0, turn = 0; refused < PATIENCE && turn < 20 * PATIENCE; turn++) {
        uint64_t before = world->model.appended;
        run_turns(world, 1, 10);
        refused = world->model.appended > before ? 0 : refused + 1;
    }
}

// PR-13: publishes are refused before the last space is used; deleting everything works with zero bytes free; then, and when
// somebody else frees space, service resumes by itself.
static void test_a_full_disk(void **state)
{
    for (uint64_t seed = world_first_seed(); seed <= world_last_seed(20); seed++) {
        struct world *world = world_new(seed);
        struct model *model = &world->model;
        world->disk.capacity = 400 * 1024 + seed * 10000;
        assert_int_equal(model_open(model), 0);
        fill_disk(world);
        assert_int_equal(store_admit(model->store, 100), ERR_NO_SPACE);
        assert_false(model->refused);
        world->disk.capacity = 0;
        for (int i = 1; i <= 5; i++) {
            assert_int_equal(model_trim(model, model->state_last * (uint64_t)i / 5), 0);
            model_turn(model);
            sim_disk_drain(&world->disk);
        }
        assert_int_equal(model->state_first, model->state_last + 1);
        world->disk.capacity = 2000 * 1024;
        for (int i = 0; i < 3; i++) {
            model->now.mono_ns += 1000000000;
            model_turn(model);
            sim_disk_drain(&world->disk);
        }
        assert_int_equal(store_admit(model->store, 100), 0);
        uint64_t before = model->state_last;
        run_turns(world, 3, 10);
        assert_true(model->state_last > before);
        model_stop(model);
        assert_int_equal(model_open(model), 0);
        model_stop(model);
        expect_no_complaint(world, seed);
        world_free(world);
    }
}

// PR-05, PR-13: a directory on a full disk starts, serves and takes acknowledgements, and does so again after each crash.
static void test_starts_on_a_full_disk(void **state)
{
    for (uint64_t seed = world_first_seed(); seed <= world_last_seed(60); seed++) {
        struct world *world = world_new(seed);
        struct model *model = &world->model;
        world->disk.capacity = 400 * 1024 + seed * 10000;
        if (model->options.encryption.key.len) { // a start may turn it on or off, and what is made then is not as large
            model->options.first_file_bytes = 128 * 1024;
            world->disk.capacity *= 2;
        }
        assert_int_equal(model_open(model), 0);
        run_turns(world, 100, 10);
        for (int life = 0; life < 4; life++) {
            sim_disk_crash(&world->disk, life % 2 ? SIM_LOSS_ALL : SIM_LOSS_RANDOM);
            model_abandon(model);
            world->disk.capacity = sim_disk_used(&world->disk); // not a byte free
            int error = model_open(model);
            if (error)
                fail_msg("seed %llu: start %d: %s", (unsigned long long)seed, life, error_text(error));
            world_read_all(world);
            if (model->state_first <= model->state_last)
                assert_int_equal(model_trim(model, model->state_first), 0);
            model_turn(model);
            sim_disk_drain(&world->disk);
            expect_no_complaint(world, seed);
        }
        model_stop(model);
        expect_no_complaint(world, seed);
        world_free(world);
    }
}

// A batch that finds no space in a preallocated file (a copy-on-write volume) is refused; the log goes on.
static void test_no_space_in_a_preallocated_file(void **state)
{
    struct world *world = world_new(1);
    struct model *model = &world->model;
    assert_int_equal(model_open(model), 0);
    run_turns(world, 3, 10);
    uint64_t good = model->promised;
    model_append(model, 500);
    sim_disk_fail(&world->disk, 1, ERR_NO_SPACE);
    model_turn(model);
    sim_disk_drain(&world->disk);
    assert_true(model->refused);
    assert_int_equal(model->refused_error, ERR_NO_SPACE);
    assert_int_equal(model->promised, good);
    model->now.mono_ns += 1000000000;
    model_turn(model);
    sim_disk_drain(&world->disk);
    run_turns(world, 3, 10);
    assert_true(model->promised > good);
    sim_disk_crash(&world->disk, SIM_LOSS_ALL);
    model_abandon(model);
    assert_int_equal(model_open(model), 0);
    model_stop(model);
    expect_no_complaint(world, 1);
    world_free(world);
}

// After a sync failed nothing is acknowledged, even if the page cache pretends that all is well; the next start copies.
static void test_a_failed_sync_ends_the_log(void **state)
{
    struct world *world = world_new(3);
    struct model *model = &world->model;
    assert_int_equal(model_open(model), 0);
    run_turns(world, 3, 10);
    uint64_t good = model->promised;
    model_append(model, 500);
    sim_disk_fail(&world->disk, 1, ERR_IO);
    model_turn(model);
    sim_disk_drain(&world->disk);
    assert_true(model->refused);
    assert_int_equal(store_admit(model->store, 10), ERR_FAILED);
    assert_int_equal(store_admit_reserved(model->store, 10), ERR_FAILED);
    model_turn(model);
    sim_disk_drain(&world->disk);
    assert_int_equal(model->promised, good);
    model_fetch(model, good);
    model_stop(model);
    sim_disk_crash(&world->disk, SIM_LOSS_NONE);
    assert_int_equal(model_open(model), 0);
    uint64_t served = model->promised;
    sim_disk_crash(&world->disk, SIM_LOSS_ALL);
    model_abandon(model);
    model->promised = served;
    assert_int_equal(model_open(model), 0);
    model_stop(model);
    expect_no_complaint(world, 3);
    world_free(world);
}

static int open_with(struct world *world, struct bytes identity)
{
    world->model.options.identity = identity;
    int error = model_open(&world->model);
    if (!error)
        model_stop(&world->model);
    return error;
}

static void test_directories_that_are_not_ours(void **state)
{
    struct world *world = world_new(4);
    sim_disk_put(&world->disk, "server.dat", BYTES("somebody else's"));
    uint64_t operations = world->disk.operations;
    assert_int_equal(open_with(world, BYTES("model")), ERR_NOT_OURS);
    assert_true(world->disk.operations <= operations + 2);
    sim_disk_remove(&world->disk, "server.dat");
    sim_disk_put(&world->disk, "LOCK", BYTES(""));
    sim_disk_put(&world->disk, "lost+found", BYTES(""));
    assert_int_equal(open_with(world, BYTES("model")), 0);
    assert_int_equal(open_with(world, BYTES("other")), ERR_OTHER_CLUSTER);
    assert_int_equal(open_with(world, BYTES("model")), 0);
    world_free(world);
}

static int open_with_kind(uint16_t kind)
{
    struct world *world = world_new(5);
    struct model *model = &world->model;
    assert_int_equal(model_open(model), 0);
    uint64_t index;
    char *at = store_reserve(model->store, 1, 24, &index);
    record_begin(at, 24, kind, 0, 1);
    put_u64(at + 16, 0);
    record_seal(at);
    model_stop(model);
    int error = model_open(model);
    if (!error)
        model_stop(model);
    world_free(world);
    return error;
}

// A directory of a newer version is refused, unless what is unknown may be skipped.
static void test_kinds_that_must_be_understood(void **state)
{
    assert_int_equal(open_with_kind(0x8fff), ERR_NEWER);
    assert_int_equal(open_with_kind(0x0fff), 0);
}

// An orderly end writes what no file was there for.
static void test_a_stop_under_load(void **state)
{
    struct world *world = world_new(6);
    struct model *model = &world->model;
    model->options.inflight_bytes = 10 << 20;
    assert_int_equal(model_open(model), 0);
    while (model_append(model, 8000))
        model_turn(model);
    uint64_t appended = model->appended;
    assert_true(appended > 100);
    model_stop(model);
    model->promised = appended;
    assert_int_equal(model_open(model), 0);
    assert_int_equal(model->state_last, appended);
    world_read_all(world);
    model_stop(model);
    expect_no_complaint(world, 6);
    world_free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flipped_bit_is_found_and_the_rest_serves),
        cmocka_unit_test(test_a_lost_file_is_reported_and_the_rest_serves),
        cmocka_unit_test(test_a_full_disk),
        cmocka_unit_test(test_starts_on_a_full_disk),
        cmocka_unit_test(test_no_space_in_a_preallocated_file),
        cmocka_unit_test(test_a_failed_sync_ends_the_log),
        cmocka_unit_test(test_directories_that_are_not_ours),
        cmocka_unit_test(test_kinds_that_must_be_understood),
        cmocka_unit_test(test_a_stop_under_load),
    };
    cmocka_set_test_filter(getenv("TEST"));
    return cmocka_run_group_tests_name("sim/store_damage", tests, NULL, NULL);
}
