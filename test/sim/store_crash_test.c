// SPDX-License-Identifier: Apache-2.0
// The store over a disk that crashes: whatever the seed, what was reported committed is there afterwards, in order and
// intact, and nothing else is. JP-1, JP-4, PR-01, PR-03, PR-04, PR-05.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store_world.h"

enum { SEEDS = 600 }; // SEEDS=n in the environment: more

static enum sim_loss some_loss(struct world *world)
{
    uint64_t fate = prng_below(&world->prng, 10);
    return fate < 2 ? SIM_LOSS_ALL : fate < 4 ? SIM_LOSS_NONE : SIM_LOSS_RANDOM;
}

static void run_lives(struct world *world, uint64_t lives, uint64_t turns)
{
    struct model *model = &world->model;
    enum sim_loss loss = some_loss(world);
    for (uint64_t life = 0; life < lives && !model->complaint[0]; life++) {
        if (model->options.sync != STORE_SYNC_ALWAYS)
            model->promised = loss == SIM_LOSS_NONE ? model->promised : 0, model->trimmed = 0;
        world_open_somehow(world, loss);
        if (!model->store)
            return;
        if (prng_chance(&world->prng, 1, 4))
            world_read_all(world);
        world_live(world, prng_below(&world->prng, turns) + 1);
        loss = some_loss(world);
        if (prng_chance(&world->prng, 1, 4)) {
            model_stop(model);
            model->promised = model->appended; // an orderly end writes everything
            model->trimmed = model->asked_trim;
        } else {
            sim_disk_crash(&world->disk, loss);
            model_abandon(model);
        }
    }
}

static void expect_no_complaint(struct world *world, uint64_t seed)
{
    if (world->model.complaint[0])
        fail_msg("seed %llu: %s", (unsigned long long)seed, world->model.complaint);
}

static void test_crashes(void **state)
{
    for (uint64_t seed = world_first_seed(); seed <= world_last_seed(SEEDS); seed++) {
        struct world *world = world_new(seed);
        run_lives(world, 5, 40);
        expect_no_complaint(world, seed);
        world_free(world);
    }
}

// An acknowledgement that leaves before its sync is seen at once: each third commit is tried on a copy of the disk without
// anything that was not synced.
static void test_nothing_is_committed_before_its_sync(void **state)
{
    for (uint64_t seed = world_first_seed(); seed <= world_last_seed(60); seed++) {
        struct world *world = world_new(seed);
        world->model.check_commits = 3;
        run_lives(world, 2, 30);
        assert_true(world->model.commits_checked > 0 || world->model.promised == 0);
        expect_no_complaint(world, seed);
        world_free(world);
    }
}

static void test_a_disk_that_does_not_sync_is_noticed(void **state)
{
    unsigned noticed = 0;
    for (uint64_t seed = world_first_seed(); seed <= world_last_seed(40); seed++) {
        struct world *world = world_new(seed);
        world->disk.lying = true;
        run_lives(world, 4, 30);
        noticed += world->model.complaint[0] != 0;
        if (world->model.store)
            model_abandon(&world->model);
        world_free(world);
    }
    assert_true(noticed > 10);
}

static void test_modes_without_sync(void **state)
{
    for (uint64_t seed = world_first_seed(); seed <= world_last_seed(300); seed++) {
        struct world *world = world_new(seed);
        world->model.options.sync = seed % 2 ? STORE_SYNC_INTERVAL : STORE_SYNC_NEVER;
        world->model.options.sync_interval_ns = 5000000;
        run_lives(world, 5, 40);
        expect_no_complaint(world, seed);
        world_free(world);
    }
}

// A short life in which everything happens once; whatever fails, the next start must be right.
static void scenario(struct world *world)
{
    struct model *model = &world->model;
    for (int life = 0; life < 2; life++) {
        if (model_open(model) != 0)
            return;
        for (int turn = 0; turn < 25 && !model->complaint[0]; turn++) {
            for (int n = 0; n < 9; n++)
                model_append(model, 8000);
            if (turn == 20)
                (void)model_trim(model, model->state_last / 2);
            model_turn(model);
            world_steps(world, 8);
        }
        model_stop(model);
    }
}

static void fail_each_operation(int error, enum sim_loss loss)
{
    bool failed = true;
    for (uint64_t n = world_first_seed(); failed && n <= world_last_seed(UINT64_MAX); n++) {
        struct world *world = world_new(n);
        sim_disk_fail(&world->disk, n, error);
        scenario(world);
        failed = world->disk.failed;
        world->disk.fail_error = 0;
        expect_no_complaint(world, n);
        sim_disk_crash(&world->disk, loss);
        int opened = model_open(&world->model);
        if (opened)
            fail_msg("after operation %llu failed: does not open: %s", (unsigned long long)n, error_text(opened));
        world_read_all(world);
        for (int i = 0; i < 20; i++)
            model_append(&world->model, 8000);
        model_turn(&world->model);
        model_stop(&world->model);
        expect_no_complaint(world, n);
        world_free(world);
    }
}

static void test_each_operation_fails_once(void **state)
{
    fail_each_operation(ERR_IO, SIM_LOSS_ALL);
    fail_each_operation(ERR_IO, SIM_LOSS_NONE);
}

static void test_each_operation_finds_no_space_once(void **state)
{
    fail_each_operation(ERR_NO_SPACE, SIM_LOSS_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_nothing_is_committed_before_its_sync),
        cmocka_unit_test(test_a_disk_that_does_not_sync_is_noticed),
        cmocka_unit_test(test_modes_without_sync),
        cmocka_unit_test(test_each_operation_fails_once),
        cmocka_unit_test(test_each_operation_finds_no_space_once),
    };
    cmocka_set_test_filter(getenv("TEST"));
    return cmocka_run_group_tests_name("sim/store_crash", tests, NULL, NULL);
}
