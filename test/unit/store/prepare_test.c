// SPDX-License-Identifier: Apache-2.0
// Who gets the space of a disk: what is made in which order, what is given back, and when it comes again. PR-06.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "cold_model.h"
#include "store/log.h"

enum { FILE_BYTES = 64 * 1024 };

struct fixture {
    struct sim_disk disk;
    struct cold_model model;
    struct prepare *prepare;
};

static void turns(struct fixture *fixture, int count)
{
    for (; count > 0; count--) {
        cold_model_turn(&fixture->model);
        sim_disk_drain(&fixture->disk);
    }
}

// A log with something in it, two spares and a ballast.
static int setup(void **state)
{
    struct fixture *fixture = mem_alloc_zero(sizeof(*fixture));
    *state = fixture;
    sim_disk_init(&fixture->disk, 1);
    cold_model_init(&fixture->model, &fixture->disk);
    assert_int_equal(cold_model_open(&fixture->model), 0);
    fixture->prepare = &fixture->model.store->log->prepare;
    while (cold_model_append(&fixture->model, 0, 1000)) {
    }
    turns(fixture, 20);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    cold_model_stop(&fixture->model);
    assert_string_equal(fixture->model.complaint, "");
    sim_disk_deinit(&fixture->disk);
    mem_free(fixture);
    return 0;
}

static size_t ballast_bytes(const struct fixture *fixture)
{
    return sim_disk_has(&fixture->disk, PREPARE_BALLAST) ? sim_disk_content(&fixture->disk, PREPARE_BALLAST).len : 0;
}

static void with_room_there_are_spares_and_a_ballast(void **state)
{
    struct fixture *fixture = *state;
    assert_false(fixture->model.store->context.starved);
    assert_int_equal(fixture->prepare->spare_count, PREPARE_SPARES);
    assert_int_equal(ballast_bytes(fixture), FILE_BYTES);
    assert_int_equal(prepare_reserve(fixture->prepare), FILE_BYTES);
}

static void a_rollover_gets_most_of_the_ballast_and_nobody_takes_it_back(void **state)
{
    struct fixture *fixture = *state;
    struct store_context *context = &fixture->model.store->context;
    context->claims = 1;
    assert_true(prepare_give(fixture->prepare, false));
    turns(fixture, 2000);
    assert_true(context->starved);
    assert_int_equal(ballast_bytes(fixture), FILE_BYTES / 4);
    assert_false(prepare_give(fixture->prepare, false)); // the rest is for checkpoints
    assert_int_equal(fixture->prepare->spare_count, PREPARE_SPARES);
    assert_int_equal(prepare_reserve(fixture->prepare), 2 * FILE_BYTES);
    context->claims = 0;
    turns(fixture, 2000);
    assert_int_equal(ballast_bytes(fixture), FILE_BYTES);
    assert_false(context->starved);
}

static void a_checkpoint_gets_the_ballast_and_a_spare(void **state)
{
    struct fixture *fixture = *state;
    struct store_context *context = &fixture->model.store->context;
    context->claims = 1;
    assert_true(prepare_give(fixture->prepare, true));
    turns(fixture, 2000);
    assert_int_equal(ballast_bytes(fixture), 0);
    assert_true(prepare_give(fixture->prepare, true));
    turns(fixture, 2000);
    assert_int_equal(fixture->prepare->spare_count, PREPARE_SPARES - 1);
    context->claims = 0;
    // What comes back first is the ballast: there is a spare for acknowledgements.
    fixture->disk.capacity = sim_disk_used(&fixture->disk) + FILE_BYTES;
    turns(fixture, 2000);
    assert_int_equal(ballast_bytes(fixture), FILE_BYTES);
    assert_int_equal(fixture->prepare->spare_count, PREPARE_SPARES - 1);
    assert_true(context->starved);
    fixture->disk.capacity = UINT64_MAX;
    turns(fixture, 2000);
    assert_int_equal(fixture->prepare->spare_count, PREPARE_SPARES);
    assert_false(context->starved);
}

static void publishes_leave_the_reserve_and_come_back(void **state)
{
    struct fixture *fixture = *state;
    const struct store *store = fixture->model.store;
    fixture->disk.capacity = sim_disk_used(&fixture->disk);
    for (int n = 0; n < 2000; n++) {
        cold_model_append(&fixture->model, 0, 1000);
        turns(fixture, 1);
    }
    assert_true(store->context.starved);
    assert_int_equal(store_admit(store, 100), ERR_NO_SPACE);
    assert_int_equal(store_admit_reserved(store, 100), 0);
    assert_true(log_free_bytes(store->log) >= FILE_BYTES); // however late it showed that the disk is full
    fixture->disk.capacity = UINT64_MAX;
    turns(fixture, 2000);
    assert_int_equal(store_admit(store, 100), 0);
    assert_false(store->context.starved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(with_room_there_are_spares_and_a_ballast, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rollover_gets_most_of_the_ballast_and_nobody_takes_it_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_checkpoint_gets_the_ballast_and_a_spare, setup, teardown),
        cmocka_unit_test_setup_teardown(publishes_leave_the_reserve_and_come_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
