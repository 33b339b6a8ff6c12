// SPDX-License-Identifier: Apache-2.0
// Checkpoints: chains of base and deltas, two generations, what a load chooses when some of it is damaged, and failures.
#include "store/checkpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cold_fixture.h"

static int setup(void **state)
{
    static struct cold_fixture cold;
    cold_fixture_init(&cold);
    cold.context.options.log_bytes = UINT64_MAX;
    *state = &cold;
    return 0;
}

static int teardown(void **state)
{
    cold_fixture_deinit(*state);
    return 0;
}

// One more message in the log, then a checkpoint.
static void checkpoint(struct cold_fixture *cold, bool base)
{
    cold_fixture_put(cold, 1, 10);
    checkpoint_request(&cold->checkpoint, base);
    cold_fixture_settle(cold);
}

static bool has(struct cold_fixture *cold, uint64_t generation, uint32_t step)
{
    char path[STORE_PATH_BYTES];
    checkpoint_name(generation, step, path);
    return sim_disk_has(&cold->disk, path);
}

static void flip(struct cold_fixture *cold, uint64_t generation, uint32_t step, size_t at)
{
    char path[STORE_PATH_BYTES];
    checkpoint_name(generation, step, path);
    sim_disk_flip(&cold->disk, path, at, 2);
}

static void a_new_directory_needs_none(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_loaded loaded;
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(loaded.begin_index + loaded.end_index + loaded.rolled_index, 0);
    assert_int_equal(cold->restored, 0);
}

static void images_come_back_base_first_then_deltas(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_loaded loaded;
    cold->images = 5;
    cold->image_bytes = 300 * 1000; // so that it takes several slices
    checkpoint(cold, false);
    assert_true(cold->base);
    cold->images = 2;
    checkpoint(cold, false);
    assert_false(cold->base);
    assert_true(has(cold, 1, 0) && has(cold, 1, 1));
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(cold->restored, 7);
    assert_int_equal(cold->restored_sum, 1 + 2 + 3 + 4 + 5 + 1 + 2);
    assert_int_equal(loaded.begin_index, 2);
    assert_int_equal(loaded.end_index, 2);
}

static void a_chain_is_short_and_two_generations_are_kept(void **state)
{
    struct cold_fixture *cold = *state;
    for (int i = 0; i < 12; i++) {
        checkpoint(cold, false);
    }
    assert_int_equal(cold->checkpoint.generation, 4); // base, two deltas, base, …
    assert_true(has(cold, 4, 0) && has(cold, 4, 2) && has(cold, 3, 0) && has(cold, 3, 2));
    assert_false(has(cold, 2, 0) || has(cold, 2, 1) || has(cold, 2, 2) || has(cold, 4, 3));
    assert_int_equal(checkpoint_safe(&cold->checkpoint), 9);
}

static void deltas_that_outweigh_the_base_end_the_chain(void **state)
{
    struct cold_fixture *cold = *state;
    cold->images = 1;
    checkpoint(cold, false);
    cold->images = 200;
    cold->image_bytes = 1000;
    checkpoint(cold, false);
    assert_false(cold->base);
    checkpoint(cold, false);
    assert_true(cold->base);
}

static void a_damaged_file_costs_only_what_is_behind_it(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_loaded loaded;
    for (int i = 0; i < 6; i++) {
        checkpoint(cold, false);
    }
    flip(cold, 2, 2, STORE_BLOCK + 50);
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(loaded.begin_index, 5); // 2.0 and 2.1 are good
    assert_int_equal(cold->context.damaged_areas, 1);
    flip(cold, 2, 0, 100);
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(loaded.begin_index, 3); // the whole chain of generation 1
    assert_int_equal(cold->restored, 9);
    // It goes on with a base of a new number, and nothing damaged is in its way.
    checkpoint(cold, false);
    assert_true(cold->base && has(cold, 3, 0));
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(loaded.begin_index, 7);
}

static void a_delta_of_another_base_does_not_fit(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_loaded loaded;
    checkpoint(cold, false);
    checkpoint(cold, false);
    // A base of the same generation number, made from other data: its end has another check.
    struct buffer out;
    uint64_t check;
    buffer_init(&out, 1 << 20);
    struct checkpoint_header header = {.generation = 1, .begin_index = 1, .created_ns = 77};
    checkpoint_header_encode(&header, BYTES("cold"), &out, &check);
    struct checkpoint_end end = {.end_index = 1};
    checkpoint_end_encode(&end, &out, &check);
    sim_disk_put(&cold->disk, "checkpoint/0000000000000001.0000", buffer_bytes(&out));
    buffer_deinit(&out);
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(loaded.begin_index, 1);
    assert_int_equal(cold->restored, 0);
}

static void any_flipped_bit_and_any_cut_is_noticed(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_found found;
    checkpoint(cold, false);
    const char *path = "checkpoint/0000000000000001.0000";
    size_t len = sim_disk_content(&cold->disk, path).len;
    assert_int_equal(checkpoint_file_read(&cold->disk.disk, 1, 0, BYTES("cold"), NULL, &found), 0);
    assert_int_equal(checkpoint_file_read(&cold->disk.disk, 1, 0, BYTES("other"), NULL, &found), ERR_OTHER_CLUSTER);
    for (size_t at = 0; at < len; at += at < 4000 ? 101 : 1) {
        sim_disk_flip(&cold->disk, path, at, (unsigned)(at % 8));
        assert_int_equal(checkpoint_file_read(&cold->disk.disk, 1, 0, BYTES("cold"), NULL, &found), ERR_CORRUPT);
        sim_disk_flip(&cold->disk, path, at, (unsigned)(at % 8));
    }
    char copy[64 * 1024];
    memcpy(copy, sim_disk_content(&cold->disk, path).ptr, len);
    for (size_t cut = 0; cut < len; cut += 37) {
        sim_disk_put(&cold->disk, path, bytes_make(copy, cut));
        assert_int_equal(checkpoint_file_read(&cold->disk.disk, 1, 0, BYTES("cold"), NULL, &found), ERR_CORRUPT);
    }
}

static void without_a_way_to_the_log_it_refuses(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_loaded loaded;
    cold_fixture_put(cold, 1, 10);
    cold_fixture_close_file(cold);
    checkpoint(cold, false);
    checkpoint(cold, true);
    cold_fixture_close_file(cold);
    checkpoint(cold, true);
    flip(cold, 3, 0, 10);
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0); // generation 2 reaches up to 3
    cold->files[0].released = true;                           // the log begins at 2 now
    flip(cold, 2, 0, 10);
    assert_int_equal(cold_fixture_restart(cold, &loaded), ERR_CORRUPT);
    flip(cold, 2, 0, 10);
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
}

static void a_failed_one_is_repeated_as_a_base_and_leaves_no_litter(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_loaded loaded;
    checkpoint(cold, false);
    for (uint64_t n = 1; n <= 12; n++) {
        sim_disk_fail(&cold->disk, n, n % 2 ? ERR_IO : ERR_NO_SPACE);
        checkpoint(cold, false);
        cold->disk.fail_error = 0;
        cold_fixture_settle(cold);
        assert_int_equal(cold->checkpoint.covered_index, cold->next_index - 1);
    }
    cold_fixture_settle(cold);
    assert_int_equal(cold->checkpoint.failures, 0);
    for (size_t i = 0; sim_disk_path(&cold->disk, i); i++) {
        assert_null(strstr(sim_disk_path(&cold->disk, i), ".tmp"));
    }
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(loaded.begin_index, cold->next_index - 1);
}

static void a_full_disk_is_given_the_reserve(void **state)
{
    struct cold_fixture *cold = *state;
    cold->spaces = 1;
    sim_disk_fail(&cold->disk, 2, ERR_NO_SPACE); // the first write
    checkpoint(cold, false);
    assert_int_equal(cold->asked_vital, 1);
    assert_int_equal(cold->checkpoint.written, 1);
    assert_int_equal(cold->begun, 1);
}

static void it_is_never_ahead_of_the_synced_log(void **state)
{
    struct cold_fixture *cold = *state;
    cold->synced_index = 0;
    checkpoint(cold, false);
    assert_int_equal(cold->checkpoint.state, CHECKPOINT_WAITING);
    assert_true(cold->syncs_wanted > 0);
    assert_false(has(cold, 1, 0));
    cold->synced_index = cold->next_index - 1;
    cold_fixture_settle(cold);
    assert_true(has(cold, 1, 0));
}

static void a_crash_at_any_operation_leaves_one_that_loads(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct cold_fixture *cold = *state;
        for (int i = 0; i < 3; i++) {
            checkpoint(cold, seed % 2);
        }
        uint64_t covered = cold->checkpoint.covered_index;
        cold_fixture_put(cold, 1, 10);
        checkpoint_request(&cold->checkpoint, seed % 3 == 0);
        checkpoint_step(&cold->checkpoint);
        for (uint64_t n = seed % 20; n > 0 && sim_disk_step(&cold->disk); n--) {
            checkpoint_step(&cold->checkpoint);
        }
        sim_disk_crash(&cold->disk, (enum sim_loss)(seed % 3));
        struct checkpoint_loaded loaded;
        assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
        assert_true(loaded.begin_index == covered || loaded.begin_index == cold->next_index - 1);
        assert_int_equal(cold->context.damaged_areas, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_directory_needs_none, setup, teardown),
        cmocka_unit_test_setup_teardown(images_come_back_base_first_then_deltas, setup, teardown),
        cmocka_unit_test_setup_teardown(a_chain_is_short_and_two_generations_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(deltas_that_outweigh_the_base_end_the_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_costs_only_what_is_behind_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delta_of_another_base_does_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(any_flipped_bit_and_any_cut_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_way_to_the_log_it_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_one_is_repeated_as_a_base_and_leaves_no_litter, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_is_given_the_reserve, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_never_ahead_of_the_synced_log, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_at_any_operation_leaves_one_that_loads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
