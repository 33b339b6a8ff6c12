// SPDX-License-Identifier: Apache-2.0
// The facade: the memory store, the life of a store with a directory, group commit, admission.
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "store_model.h"

struct fixture {
    struct sim_disk disk;
    struct model model;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    sim_disk_init(&fixture.disk, 1);
    model_init(&fixture.model, &fixture.disk, 1);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->model.store)
        model_stop(&fixture->model);
    assert_string_equal(fixture->model.complaint, "");
    assert_int_equal(fixture->disk.open_handles, 0);
    sim_disk_deinit(&fixture->disk);
    return 0;
}

static void append(struct model *model, int messages)
{
    for (int i = 0; i < messages; i++)
        assert_true(model_append(model, 500));
}

static void a_memory_store_commits_at_the_end_of_the_turn(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = &fixture->model;
    model->options.memory = true;
    assert_int_equal(model_open(model), 0);
    append(model, 10);
    assert_int_equal(model->state_last, 0);
    assert_false(model_turn(model));
    assert_int_equal(model->promised, 10);
    for (uint64_t s = 1; s <= 10; s++)
        model_fetch(model, s);
    assert_int_equal(model_trim(model, 4), 0);
    model_turn(model);
    struct store_fetch fetch = {.stream = MODEL_STREAM, .sequence = 4};
    assert_int_equal(store_fetch(model->store, &fetch), ERR_NOT_FOUND);
    model_fetch(model, 5);
    assert_int_equal(fixture->disk.operations, 0);
}

static void a_memory_store_is_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = &fixture->model;
    model->options.memory = true;
    model->options.memory_bytes = 500000;
    assert_int_equal(model_open(model), 0);
    while (model_append(model, 500)) {
        model_turn(model);
        assert_true(model->appended < 5000);
    }
    assert_true(model->appended > 1000);
    assert_int_equal(store_admit(model->store, 500), ERR_LIMIT);
    assert_int_equal(model_trim(model, model->state_last), 0);
    model_turn(model);
    assert_int_equal(store_admit(model->store, 500), 0);
}

// While one batch is under way the next gathers; nothing is committed before its write and sync came back.
static void batches_gather_while_one_is_under_way(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = &fixture->model;
    struct store_stats stats;
    assert_int_equal(model_open(model), 0);
    for (int turn = 0; turn < 20; turn++) {
        append(model, 3);
        model_turn(model);
    }
    assert_int_equal(fixture->disk.submitted_count[DISK_LOG], 1);
    assert_int_equal(model->promised, 0);
    store_stats_get(model->store, &stats);
    assert_int_equal(stats.batches, 1);
    assert_int_equal(stats.appended_index, 20);
    uint64_t syncs = fixture->disk.syncs;
    while (model->promised == 0)
        assert_true(sim_disk_step(&fixture->disk));
    assert_int_equal(fixture->disk.syncs, syncs + 1);
    assert_int_equal(model->promised, 3);
    while (model->promised == 3)
        assert_true(sim_disk_step(&fixture->disk));
    assert_int_equal(model->promised, 60);
    store_stats_get(model->store, &stats);
    assert_int_equal(stats.batches, 2);
    assert_int_equal(stats.committed_index, 20);
    assert_int_equal(stats.synced_index, 20);
    assert_int_equal(stats.inflight_bytes, 0);
    const struct histogram *sizes = store_batch_sizes(model->store);
    assert_int_equal(histogram_count(store_sync_times(model->store)), 2);
    assert_int_equal(histogram_count(sizes), 2);
    assert_int_equal(sizes->sum, stats.appended_bytes);
    assert_true(stats.free_bytes > 0);
}

static void too_much_in_flight_is_told_and_so_is_its_end(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = &fixture->model;
    model->options.inflight_bytes = 20000;
    assert_int_equal(model_open(model), 0);
    while (model_append(model, 500))
        assert_true(model->appended < 200);
    assert_int_equal(store_admit(model->store, 5000), ERR_AGAIN);
    assert_int_equal(store_admit_reserved(model->store, 100), 0);
    assert_int_equal(model->admitted, 0);
    model_turn(model);
    sim_disk_drain(&fixture->disk);
    assert_int_equal(model->admitted, 1);
    assert_int_equal(store_admit(model->store, 5000), 0);
}

static void what_is_appended_is_there_after_a_stop(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = &fixture->model;
    for (int life = 0; life < 4; life++) {
        assert_int_equal(model_open(model), 0);
        append(model, 30); // without the end of the turn
        uint64_t appended = model->appended;
        model_stop(model);
        model->promised = appended;
    }
    assert_int_equal(model_open(model), 0);
    assert_int_equal(model->state_last, 120);
    for (uint64_t s = 1; s <= 120; s++)
        model_fetch(model, s);
}

// Starts without work leave nothing behind.
static void empty_lives_leave_no_files(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = &fixture->model;
    for (int life = 0; life < 20; life++) {
        assert_int_equal(model_open(model), 0);
        model_turn(model);
        sim_disk_drain(&fixture->disk);
        model_stop(model);
    }
    size_t files = 0;
    while (sim_disk_path(&fixture->disk, files))
        files++;
    assert_true(files < 6);
}

static void options_that_cannot_work_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct model *model = &fixture->model;
    model->options.max_payload = (uint32_t)model->options.first_file_bytes / 3;
    assert_int_equal(model_open(model), ERR_INVALID);
    model->options.max_payload = 1000;
    model->options.identity = bytes_make("", 0);
    assert_int_equal(model_open(model), ERR_INVALID);
    assert_int_equal(fixture->disk.operations, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_memory_store_commits_at_the_end_of_the_turn, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_memory_store_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(batches_gather_while_one_is_under_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_much_in_flight_is_told_and_so_is_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_appended_is_there_after_a_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(empty_lives_leave_no_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(options_that_cannot_work_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("store/store", tests, NULL, NULL);
}
