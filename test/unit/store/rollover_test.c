// SPDX-License-Identifier: Apache-2.0
// Roll-over: what goes into a segment, when a log file is released, what is left after a crash at any step.
#include "store/rollover.h"

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

// A file of 4 streams with 50 messages each.
static void file(struct cold_fixture *cold)
{
    for (int i = 0; i < 200; i++) {
        cold_fixture_put(cold, 1 + (uint32_t)i % 4, 20 + (size_t)i);
    }
    cold_fixture_close_file(cold);
}

static void read_all(struct cold_fixture *cold)
{
    for (uint32_t stream = 1; stream <= 4; stream++) {
        for (uint64_t sequence = cold->first[stream]; sequence <= cold->last[stream]; sequence++) {
            assert_int_equal(cold_fixture_fetch(cold, stream, sequence), 0);
        }
    }
}

static uint64_t released(const struct cold_fixture *cold)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < cold->file_count; i++) {
        count += cold->files[i].released;
    }
    return count;
}

static void nothing_happens_within_the_budget(void **state)
{
    struct cold_fixture *cold = *state;
    file(cold);
    file(cold);
    cold->context.options.log_bytes = 2 * cold->files[0].info.bytes;
    cold_fixture_settle(cold);
    assert_int_equal(cold->segments.count, 0);
    assert_int_equal(cold->checkpoint.begun, 0);
}

static void the_oldest_file_goes_grouped_by_stream_and_is_released_later(void **state)
{
    struct cold_fixture *cold = *state;
    cold->first[2] = 31; // of the first file's 50
    cold->unwanted = 40;
    for (int i = 0; i < 3; i++) {
        file(cold);
    }
    cold->context.options.log_bytes = 2 * cold->files[0].info.bytes;
    cold_fixture_settle(cold);
    assert_int_equal(cold->segments.count, 1);
    const struct segment *segment = container_of(cold->segments.all.next, struct segment, link);
    assert_int_equal(segment->info.extent_count, 4);
    assert_int_equal(segment->info.first_index, 1);
    assert_int_equal(segment->info.last_index, 200);
    assert_int_equal(segment->extents[0].count, 49);
    assert_int_equal(segment->extents[1].first, 31);
    assert_int_equal(segment->extents[1].count, 19);
    assert_int_equal(cold->index.count, 400); // the file's messages left the index
    assert_int_equal(cold->files[0].holds, 0);
    // One generation of checkpoints knows the segment, the other does not.
    assert_int_equal(cold->checkpoint.written, 1);
    assert_int_equal(released(cold), 0);
    checkpoint_request(&cold->checkpoint, true);
    cold_fixture_settle(cold);
    assert_int_equal(released(cold), 1);
    cold->unwanted = 0;
    cold->first[1] = cold->first[3] = cold->first[4] = 41;
    cold->first[2] = 41;
    read_all(cold);
}

static void a_file_of_which_nothing_is_wanted_needs_no_segment(void **state)
{
    struct cold_fixture *cold = *state;
    file(cold);
    file(cold);
    for (uint32_t stream = 1; stream <= 4; stream++) {
        cold->first[stream] = 51;
        index_trim(&cold->index, stream, 51);
    }
    cold->context.options.log_bytes = cold->files[1].info.bytes;
    cold_fixture_settle(cold);
    assert_int_equal(cold->segments.count, 0);
    assert_int_equal(cold->rollover.rolled_count, 1);
    read_all(cold);
}

static void saved_ids_come_back_while_their_window_is_open(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_loaded loaded;
    cold->ids = BYTES("some ids");
    cold->ids_until_ns = cold->context.now.wall_ns + UINT64_C(3600) * 1000000000;
    file(cold);
    for (uint32_t stream = 1; stream <= 4; stream++) {
        cold->first[stream] = 51;
        index_trim(&cold->index, stream, 51);
    }
    cold->context.options.log_bytes = 0;
    cold_fixture_settle(cold);
    assert_int_equal(cold->segments.count, 1); // of ids only
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(cold->ids_restored, 1);
    cold->context.now.wall_ns = cold->ids_until_ns;
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(cold->ids_restored, 0);
    // Then it is dead and goes, when both generations say so.
    cold->context.options.log_bytes = UINT64_MAX; // not in a hurry
    cold_fixture_settle(cold);
    checkpoint_request(&cold->checkpoint, true);
    cold_fixture_settle(cold);
    assert_true(sim_disk_has(&cold->disk, "shards/1/0000000000000001.seg"));
    for (int i = 0; i < 2; i++) {
        checkpoint_request(&cold->checkpoint, true);
        cold_fixture_settle(cold);
    }
    assert_int_equal(cold->segments.count, 0);
    assert_false(sim_disk_has(&cold->disk, "shards/1/0000000000000001.seg"));
}

// A segment whose messages are all unwanted, not so its dedupe ids.
static void make_husk(struct cold_fixture *cold)
{
    cold->ids = BYTES("some ids");
    cold->ids_until_ns = cold->context.now.wall_ns + UINT64_C(3600) * 1000000000;
    file(cold);
    cold->context.options.log_bytes = 0;
    cold_fixture_settle(cold);
    cold->context.options.log_bytes = UINT64_MAX;
    for (uint32_t stream = 1; stream <= 4; stream++) {
        cold->first[stream] = 51;
        segment_set_trim(&cold->segments, stream, UINT64_MAX);
    }
}

static void a_full_disk_gets_what_only_ids_are_wanted_of(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_loaded loaded;
    make_husk(cold);
    cold_fixture_settle(cold);
    uint64_t before = cold->segments.file_bytes;
    assert_int_equal(cold->segments.count, 1); // there is no hurry
    cold->context.starved = true;
    cold_fixture_settle(cold);
    assert_false(sim_disk_has(&cold->disk, "shards/1/0000000000000001.seg"));
    assert_true(sim_disk_has(&cold->disk, "shards/1/0000000000000002.seg"));
    assert_int_equal(cold->segments.count, 1);
    assert_true(cold->segments.file_bytes < before / 2);
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_int_equal(cold->ids_restored, 1);
}

static void ids_that_cannot_be_read_stay_where_they_are(void **state)
{
    struct cold_fixture *cold = *state;
    make_husk(cold);
    const struct segment *husk = segment_set_get(&cold->segments, 1);
    sim_disk_flip(&cold->disk, "shards/1/0000000000000001.seg", husk->info.ids_offset, 0);
    cold->context.starved = true;
    cold_fixture_settle(cold);
    assert_int_equal(cold->rollover.failures, 1); // and not tried again
    assert_true(sim_disk_has(&cold->disk, "shards/1/0000000000000001.seg"));
    assert_int_equal(husk->state, SEGMENT_LIVE);
}

// With a full disk there is a look ten times a second for what can be given back. It waits for the disk while that writes a checkpoint
// or removes a segment, and then nobody must call it again and again.
static void nobody_spins_while_a_full_disk_works(void **state)
{
    struct cold_fixture *cold = *state;
    struct rollover *rollover = &cold->rollover;
    file(cold);
    file(cold);
    cold_fixture_settle(cold);
    cold->context.starved = true;
    checkpoint_request(&cold->checkpoint, true);
    int waited = 0;
    for (int turn = 0; turn < 100; turn++) {
        cold->context.now.mono_ns += 200000000;
        uint64_t operations = cold->disk.operations;
        bool again = rollover_step(rollover);
        again |= checkpoint_step(&cold->checkpoint);
        uint64_t now_ms = cold->context.now.mono_ns / 1000000;
        bool due =
            rollover_next_deadline_ms(rollover) <= now_ms || checkpoint_next_deadline_ms(&cold->checkpoint) <= now_ms;
        bool idle = !again && cold->disk.operations == operations;
        if (idle && checkpoint_is_writing(&cold->checkpoint) && !sim_disk_is_idle(&cold->disk)) {
            assert_false(due);
            waited++;
        }
        if (idle)
            sim_disk_step(&cold->disk);
    }
    assert_true(waited > 3);
    // What was claimed by somebody who writes is nothing for a checkpoint, however long it has been wanted.
    cold->context.claims = 1;
    for (int turn = 0; turn < 100; turn++) {
        checkpoint_step(&cold->checkpoint);
        sim_disk_step(&cold->disk);
    }
    checkpoint_request(&cold->checkpoint, true);
    assert_int_equal(cold->checkpoint.state, CHECKPOINT_IDLE);
    assert_true(checkpoint_next_deadline_ms(&cold->checkpoint) > cold->context.now.mono_ns / 1000000);
    cold->context.claims = 0;
    assert_true(checkpoint_next_deadline_ms(&cold->checkpoint) <= cold->context.now.mono_ns / 1000000);
    cold->checkpoint.wanted = false;
    cold->context.starved = false;
}

static void a_crash_while_ids_are_copied_forgets_none(void **state)
{
    uint64_t copied = 0;
    for (uint64_t stop = 1; stop <= 60; stop++) {
        static struct cold_fixture cold;
        struct checkpoint_loaded loaded;
        cold_fixture_init(&cold);
        make_husk(&cold);
        cold.context.starved = true;
        for (uint64_t n = 0; n < stop; n++) {
            cold.context.now.mono_ns += 10000000;
            rollover_step(&cold.rollover);
            checkpoint_step(&cold.checkpoint);
            sim_disk_step(&cold.disk);
        }
        copied += sim_disk_has(&cold.disk, "shards/1/0000000000000002.seg");
        sim_disk_crash(&cold.disk, stop % 2 ? SIM_LOSS_ALL : SIM_LOSS_RANDOM);
        sim_disk_drain(&cold.disk);
        cold.context.starved = false;
        cold.file_count = 0; // the log has gone on
        assert_int_equal(cold_fixture_restart(&cold, &loaded), 0);
        assert_int_equal(cold.ids_restored, 1);
        assert_int_equal(cold.context.damaged_areas, 0);
        cold.file_count = 1; // its handle is still to be closed
        cold_fixture_deinit(&cold);
    }
    assert_true(copied > 0);
}

static void a_damaged_message_is_reported_and_left_out(void **state)
{
    struct cold_fixture *cold = *state;
    struct index_place place;
    file(cold);
    assert_true(index_find(&cold->index, 3, 20, &place));
    sim_disk_flip(&cold->disk, "wal/1", place.offset + 30, 0);
    cold->context.options.log_bytes = 0;
    cold_fixture_settle(cold);
    assert_int_equal(cold->context.damaged_areas, 1);
    assert_int_equal(cold_fixture_fetch(cold, 3, 20), ERR_CORRUPT);
    assert_int_equal(cold_fixture_fetch(cold, 3, 19), 0);
    assert_int_equal(cold_fixture_fetch(cold, 3, 21), 0);
}

static void large_messages_and_many_of_them(void **state)
{
    struct cold_fixture *cold = *state;
    for (int i = 0; i < 40; i++) {
        cold_fixture_put(cold, 1 + (uint32_t)i % 2, 100 * 1000);
    }
    for (int i = 0; i < 5000; i++) {
        cold_fixture_put(cold, 3, (size_t)i % 300);
    }
    cold_fixture_close_file(cold);
    cold->context.options.log_bytes = 0;
    cold_fixture_settle(cold);
    assert_int_equal(cold->segments.count, 1);
    assert_int_equal(cold->index.count, 0);
    read_all(cold);
    assert_int_equal(cold->context.damaged_areas, 0);
}

// Spread over the file as with many streams: read in its order, in gathers that are larger than a slice, and nothing is lost
// where one ends, because it has so many messages or so many bytes.
static void what_is_spread_over_a_file_is_read_in_its_order(void **state)
{
    static const struct {
        int messages;
        size_t payload;
    } cases[] = {{34000, 60}, {24000, 400}};
    struct cold_fixture *cold = *state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        uint32_t most = 0;
        for (int i = 0; i < cases[n].messages; i++) {
            cold_fixture_put(cold, 1 + (uint32_t)i % 50, cases[n].payload);
        }
        cold_fixture_close_file(cold);
        cold->context.options.log_bytes = 0;
        for (int turn = 0; cold->index.count > 0; turn++) {
            cold_fixture_turn(cold);
            const struct rollover *rollover = &cold->rollover;
            assert_in_range(turn, 0, 2000);
            if (rollover->state != ROLLOVER_TAKING) {
                continue;
            }
            most = rollover->item_count > most ? rollover->item_count : most;
            for (uint32_t i = 0; i + 1 < rollover->span_count; i++) {
                assert_true(rollover->spans[i].offset + rollover->spans[i].len <= rollover->spans[i + 1].offset);
            }
        }
        assert_in_range(most, 10000, cases[n].messages - 1);
        cold_fixture_settle(cold);
        cold->context.options.log_bytes = UINT64_MAX;
    }
    assert_int_equal(cold->segments.count, 2);
    assert_int_equal(cold->context.damaged_areas, 0);
    for (uint32_t stream = 1; stream <= 50; stream++) {
        assert_int_equal(cold->last[stream], 58000 / 50);
        for (uint64_t sequence = 1; sequence <= cold->last[stream]; sequence += 7) {
            assert_int_equal(cold_fixture_fetch(cold, stream, sequence), 0);
        }
    }
}

// Bad for ever: after some tries the message is given up like a damaged one, reported once, and the rest goes on.
static void a_bad_sector_costs_its_message_only(void **state)
{
    struct cold_fixture *cold = *state;
    file(cold);
    file(cold);
    sim_disk_spoil(&cold->disk, "wal/1", 5000);
    cold->context.options.log_bytes = 0;
    for (int i = 0; i < 10; i++) {
        cold_fixture_settle(cold);
        cold->context.now.mono_ns += UINT64_C(40000000000);
        if (i < 3)
            assert_int_equal(cold->segments.count, 0);
    }
    assert_int_equal(cold->segments.count, 2);
    assert_int_equal(cold->context.damaged_areas, 1);
    assert_int_equal(cold->index.count, 0);
    int lost = 0;
    for (uint32_t stream = 1; stream <= 4; stream++) {
        for (uint64_t sequence = 1; sequence <= 100; sequence++) {
            lost += cold_fixture_fetch(cold, stream, sequence) != 0;
        }
    }
    assert_int_equal(lost, 1);
}

static void every_failing_operation_only_delays_it(void **state)
{
    struct cold_fixture *cold = *state;
    for (uint64_t n = 1; n <= 16; n++) {
        file(cold);
        cold->context.options.log_bytes = 0;
        sim_disk_fail(&cold->disk, n, n % 2 ? ERR_IO : ERR_NO_SPACE);
        cold_fixture_settle(cold);
        cold->disk.fail_error = 0;
        for (int i = 0; i < 10; i++) { // past the time it waits before trying again
            cold->context.now.mono_ns += UINT64_C(10000000000);
            cold_fixture_settle(cold);
        }
        assert_int_equal(cold->rollover.failures, 0);
        assert_int_equal(cold->index.count, 0);
        cold->context.options.log_bytes = UINT64_MAX;
    }
    read_all(cold);
    for (uint32_t i = 0; i < cold->file_count; i++) {
        assert_int_equal(cold->files[i].holds, 0);
    }
}

static void pushes_back_when_it_cannot_keep_up(void **state)
{
    struct cold_fixture *cold = *state;
    file(cold);
    cold->context.options.log_bytes = cold->files[0].info.bytes;
    cold->context.options.file_bytes = cold->files[0].info.bytes;
    assert_false(rollover_is_behind(&cold->rollover));
    file(cold);
    file(cold);
    file(cold);
    assert_true(rollover_is_behind(&cold->rollover));
    cold_fixture_settle(cold);
    assert_false(rollover_is_behind(&cold->rollover));
}

// At each step of roll-over and checkpoint the machine stops; either the log file or the segment is in force.
static void a_crash_at_any_step_loses_nothing(void **state)
{
    uint64_t covered_orphans = 0;
    for (uint64_t stop = 1; stop <= 45; stop++) {
        for (int loss = SIM_LOSS_ALL; loss <= SIM_LOSS_RANDOM; loss++) {
            static struct cold_fixture cold;
            struct checkpoint_loaded loaded;
            cold_fixture_init(&cold);
            for (int i = 0; i < 3; i++) {
                file(&cold);
            }
            cold.context.options.log_bytes = cold.files[0].info.bytes;
            for (uint64_t n = 0; n < stop; n++) {
                cold.context.now.mono_ns += 10000000;
                rollover_step(&cold.rollover);
                checkpoint_step(&cold.checkpoint);
                sim_disk_step(&cold.disk);
            }
            uint64_t orphans = sim_disk_has(&cold.disk, "shards/1/0000000000000001.seg");
            sim_disk_crash(&cold.disk, (enum sim_loss)loss);
            for (uint32_t i = 0; i < cold.file_count; i++) { // the handles of before are stale
                struct disk_request close = {.op = DISK_CLOSE, .file = cold.files[i].handle};
                char path[] = "wal/1";
                path[4] = (char)('1' + i);
                struct disk_request open = {.op = DISK_OPEN, .flags = DISK_FLAG_READ_ONLY, .path = path};
                disk_run(&cold.disk.disk, &close);
                assert_int_equal(disk_run(&cold.disk.disk, &open), 0);
                cold.files[i].handle = open.file;
            }
            cold.context.options.log_bytes = UINT64_MAX;
            sim_disk_drain(&cold.disk);
            assert_int_equal(cold_fixture_restart(&cold, &loaded), 0);
            covered_orphans += orphans && loaded.rolled_index == 0;
            assert_int_equal(cold.context.damaged_areas, 0);
            for (size_t i = 0; sim_disk_path(&cold.disk, i); i++) {
                assert_null(strstr(sim_disk_path(&cold.disk, i), ".orphan"));
                assert_true(!strstr(sim_disk_path(&cold.disk, i), ".tmp") ||
                            !strstr(sim_disk_path(&cold.disk, i), "seg"));
            }
            read_all(&cold);
            cold.context.options.log_bytes = 0; // and it goes on
            cold_fixture_settle(&cold);
            read_all(&cold);
            assert_int_equal(cold.context.damaged_areas, 0);
            cold_fixture_deinit(&cold);
        }
    }
    assert_true(covered_orphans > 0);
}

static void an_orphan_that_the_log_does_not_cover_is_kept(void **state)
{
    struct cold_fixture *cold = *state;
    struct checkpoint_loaded loaded;
    char block[STORE_BLOCK];
    file(cold);
    const struct segment_info inside = {.id = 8, .first_index = 1, .last_index = 200},
                              outside = {.id = 9, .first_index = 1, .last_index = 201};
    segment_header_encode(&inside, BYTES("cold"), block);
    sim_disk_put(&cold->disk, "shards/1/0000000000000008.seg", bytes_make(block, STORE_BLOCK));
    segment_header_encode(&outside, BYTES("cold"), block);
    sim_disk_put(&cold->disk, "shards/1/0000000000000009.seg", bytes_make(block, STORE_BLOCK));
    assert_int_equal(cold_fixture_restart(cold, &loaded), 0);
    assert_false(sim_disk_has(&cold->disk, "shards/1/0000000000000008.seg"));
    assert_false(sim_disk_has(&cold->disk, "shards/1/0000000000000009.seg"));
    assert_true(sim_disk_has(&cold->disk, "shards/1/0000000000000009.seg.orphan"));
    assert_int_equal(cold->context.damaged_areas, 1);
    assert_int_equal(cold->segments.next_id, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_happens_within_the_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_file_goes_grouped_by_stream_and_is_released_later, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_of_which_nothing_is_wanted_needs_no_segment, setup, teardown),
        cmocka_unit_test_setup_teardown(saved_ids_come_back_while_their_window_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_gets_what_only_ids_are_wanted_of, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_that_cannot_be_read_stay_where_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_spins_while_a_full_disk_works, setup, teardown),
        cmocka_unit_test(a_crash_while_ids_are_copied_forgets_none),
        cmocka_unit_test_setup_teardown(a_damaged_message_is_reported_and_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(large_messages_and_many_of_them, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_spread_over_a_file_is_read_in_its_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_sector_costs_its_message_only, setup, teardown),
        cmocka_unit_test_setup_teardown(every_failing_operation_only_delays_it, setup, teardown),
        cmocka_unit_test_setup_teardown(pushes_back_when_it_cannot_keep_up, setup, teardown),
        cmocka_unit_test(a_crash_at_any_step_loses_nothing),
        cmocka_unit_test_setup_teardown(an_orphan_that_the_log_does_not_cover_is_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
