// SPDX-License-Identifier: Apache-2.0
// Reading: from memory, from log files, from segments; one read per block; damage; seeking by time; sizes.
#include "store/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cold_fixture.h"

static const uint64_t start_ns = UINT64_C(1600000000000000000);

static int setup(void **state)
{
    static struct cold_fixture cold;
    cold_fixture_init(&cold);
    *state = &cold;
    return 0;
}

static int teardown(void **state)
{
    cold_fixture_deinit(*state);
    return 0;
}

// `files` log files of `count` messages, spread over 3 streams.
static void fill(struct cold_fixture *cold, int files, int count)
{
    for (int f = 0; f < files; f++) {
        for (int i = 0; i < count; i++) {
            cold_fixture_put(cold, 1 + (uint32_t)i % 3, 100 + (size_t)i % 50);
        }
        cold_fixture_close_file(cold);
    }
}

// All files but what `log_bytes` keeps become segments.
static void roll(struct cold_fixture *cold, uint64_t log_bytes)
{
    cold->context.options.log_bytes = log_bytes;
    cold_fixture_settle(cold);
    assert_true(cold->segments.count > 0);
}

static void answers_from_memory_at_once(void **state)
{
    struct cold_fixture *cold = *state;
    cold->context.options.log_bytes = UINT64_MAX;
    fill(cold, 1, 30);
    struct bytes content = sim_disk_content(&cold->disk, "wal/1");
    struct chunk *chunk = chunk_new(content.len);
    memcpy(chunk->data, content.ptr, content.len);
    tail_add(&cold->tail, 1, 0, chunk->data, content.len, chunk);
    uint64_t operations = cold->disk.operations;
    struct store_fetch fetch = {.stream = 2, .sequence = 5};
    assert_int_equal(reader_fetch(&cold->reader, &fetch), 0);
    assert_ptr_equal(fetch.chunk, chunk);
    assert_int_equal(get_u64(fetch.record.whole.ptr + 16), 5);
    assert_int_equal(chunk->refs, 3);
    assert_true(cold->disk.operations == operations);
    chunk_unref(fetch.chunk);
    chunk_unref(chunk);
}

static void reads_log_files_and_segments(void **state)
{
    struct cold_fixture *cold = *state;
    fill(cold, 4, 3000);
    roll(cold, 2 * cold->files[0].info.bytes);
    assert_true(cold->segments.count >= 1 && cold->segments.count < 4);
    for (uint32_t stream = 1; stream <= 3; stream++) {
        for (uint64_t sequence = 1; sequence <= 4000; sequence += 7) {
            assert_int_equal(cold_fixture_fetch(cold, stream, sequence), 0);
        }
    }
    assert_int_equal(cold_fixture_fetch(cold, 1, 4001), ERR_NOT_FOUND);
    assert_int_equal(cold_fixture_fetch(cold, 9, 1), ERR_NOT_FOUND);
    assert_int_equal(cold->context.damaged_areas, 0);
    tail_check(&cold->tail);
}

static void a_gap_in_an_extent_is_gone_unless_it_is_wanted(void **state)
{
    struct cold_fixture *cold = *state;
    cold->unwanted = 10;
    fill(cold, 1, 300);
    roll(cold, 0);
    assert_int_equal(cold_fixture_fetch(cold, 1, 10), ERR_NOT_FOUND);
    cold->unwanted = 0;
    assert_int_equal(cold_fixture_fetch(cold, 1, 10), ERR_CORRUPT);
    assert_int_equal(cold_fixture_fetch(cold, 1, 11), 0);
}

static void keep_answer(struct store_fetch *fetch)
{
    (void)fetch;
}

static void expect_next(struct cold_fixture *cold, uint64_t sequence, uint64_t next)
{
    struct store_fetch fetch = {.stream = 1, .sequence = sequence, .done = keep_answer};
    if (reader_fetch(&cold->reader, &fetch) == ERR_AGAIN)
        sim_disk_drain(&cold->disk);
    assert_int_equal(fetch.result, ERR_CORRUPT);
    assert_true(fetch.is_absent);
    assert_true(fetch.next == next);
}

// However far apart the numbers are, who walks along them learns where the next message is: in the log, in a block, between two blocks,
// between two extents, behind the last.
static void what_is_not_there_says_where_the_next_one_is(void **state)
{
    struct cold_fixture *cold = *state;
    const uint64_t far = UINT64_C(1) << 50;
    uint64_t begins[6];
    for (int i = 0; i < 6; i++) {
        cold->last[1] = begins[i] = (uint64_t)i * far;
        for (int n = 0; n < (i == 1 ? 3000 : 10); n++)
            cold_fixture_put(cold, 1, 100);
        if (i >= 2)
            cold_fixture_close_file(cold);
    }
    cold->context.options.log_bytes = UINT64_MAX;
    for (int i = 0; i + 1 < 6; i++)
        expect_next(cold, begins[i] + (i == 1 ? 3001 : 11), begins[i + 1] + 1);
    roll(cold, 0);
    for (int i = 0; i + 1 < 6; i++) {
        expect_next(cold, begins[i] + (i == 1 ? 3001 : 11), begins[i + 1] + 1);
        expect_next(cold, begins[i + 1] - 1, begins[i + 1] + 1);
        assert_int_equal(cold_fixture_fetch(cold, 1, begins[i + 1] + 1), 0);
    }
    cold->last[1] = 6 * far; // as if there had been one
    expect_next(cold, begins[5] + 11, UINT64_MAX);
    assert_int_equal(cold->context.damaged_areas, 0);
}

static int answered;

static void count_answer(struct store_fetch *fetch)
{
    assert_int_equal(fetch->result, 0);
    chunk_unref(fetch->chunk);
    answered++;
}

static void many_waiters_share_one_read_and_a_cancelled_one_is_left_alone(void **state)
{
    struct cold_fixture *cold = *state;
    cold->context.options.log_bytes = UINT64_MAX;
    fill(cold, 1, 300);
    struct store_fetch fetches[50];
    uint64_t operations = cold->disk.operations;
    for (uint64_t i = 0; i < 50; i++) {
        fetches[i] = (struct store_fetch){.stream = 1, .sequence = 1 + i, .done = count_answer};
        assert_int_equal(reader_fetch(&cold->reader, &fetches[i]), ERR_AGAIN);
    }
    reader_cancel(&cold->reader, &fetches[7]);
    reader_cancel(&cold->reader, &fetches[7]);
    memset(&fetches[7], 0xee, sizeof(fetches[7]));
    answered = 0;
    sim_disk_drain(&cold->disk);
    assert_int_equal(answered, 49);
    assert_int_equal(cold->disk.operations - operations, 1);
    assert_int_equal(cold->files[0].holds, 0);
    assert_int_equal(pool_count(&cold->reader.waits), 0);
}

static struct store_fetch *others;
static struct cold_fixture *others_cold;

static void cancel_the_others(struct store_fetch *fetch)
{
    chunk_unref(fetch->chunk);
    answered++;
    for (int i = 0; i < 3; i++) {
        if (&others[i] != fetch && others[i].implementation) {
            reader_cancel(&others_cold->reader, &others[i]);
        }
    }
}

static void an_answer_may_cancel_those_answered_with_it(void **state)
{
    struct cold_fixture *cold = *state;
    cold->context.options.log_bytes = UINT64_MAX;
    fill(cold, 1, 30);
    struct store_fetch fetches[3];
    others = fetches;
    others_cold = cold;
    for (uint64_t i = 0; i < 3; i++) {
        fetches[i] = (struct store_fetch){.stream = 1, .sequence = 1 + i, .done = cancel_the_others};
        assert_int_equal(reader_fetch(&cold->reader, &fetches[i]), ERR_AGAIN);
    }
    answered = 0;
    sim_disk_drain(&cold->disk);
    assert_int_equal(answered, 1);
    assert_int_equal(pool_count(&cold->reader.waits), 0);
}

static void a_damaged_message_is_quarantined_and_the_rest_serves(void **state)
{
    struct cold_fixture *cold = *state;
    fill(cold, 2, 600);
    roll(cold, cold->files[0].info.bytes); // one in a segment, one in the log
    struct index_place place;
    assert_true(index_find(&cold->index, 1, 300, &place));
    sim_disk_flip(&cold->disk, "wal/2", place.offset + 60, 3);
    // The length of the 50th record of the segment: what is behind it must be found nevertheless.
    struct segment *segment = container_of(cold->segments.all.next, struct segment, link);
    char path[STORE_PATH_BYTES];
    segment_name(segment->info.id, path);
    size_t at = STORE_BLOCK;
    struct bytes content = sim_disk_content(&cold->disk, path);
    for (int i = 0; i < 49; i++) {
        at += record_padded(get_u32(content.ptr + at + 4));
    }
    sim_disk_flip(&cold->disk, path, at + 5, 1);
    for (uint64_t sequence = 1; sequence <= 400; sequence++) {
        bool bad = sequence == 50 || sequence == 300;
        assert_int_equal(cold_fixture_fetch(cold, 1, sequence), bad ? ERR_CORRUPT : 0);
    }
    assert_true(cold->context.damaged_areas >= 2);
}

static void too_many_open_files_are_no_damage(void **state)
{
    struct cold_fixture *cold = *state;
    for (int i = 0; i < 4; i++) {
        cold_fixture_put(cold, 1, 20);
    }
    cold_fixture_close_file(cold);
    sim_disk_fail(&cold->disk, 1, ERR_LIMIT);
    assert_int_equal(cold_fixture_fetch(cold, 1, 1), ERR_LIMIT);
    assert_int_equal(cold->context.damaged_areas, 0);
    assert_int_equal(cold_fixture_fetch(cold, 1, 1), 0);
}

static void a_failed_read_is_an_error_and_can_be_repeated(void **state)
{
    struct cold_fixture *cold = *state;
    cold->context.options.log_bytes = UINT64_MAX;
    fill(cold, 1, 30);
    sim_disk_fail(&cold->disk, 1, ERR_IO);
    assert_int_equal(cold_fixture_fetch(cold, 1, 1), ERR_IO);
    assert_int_equal(cold_fixture_fetch(cold, 1, 1), 0);
    assert_int_equal(cold->files[0].holds, 0);
}

static void works_with_hardly_any_cache(void **state)
{
    struct cold_fixture *cold = *state;
    cold->tail.budget = 1;
    fill(cold, 3, 2000);
    roll(cold, cold->files[0].info.bytes);
    struct store_fetch fetches[60];
    answered = 0;
    for (uint64_t i = 0; i < 60; i++) {
        fetches[i] = (struct store_fetch){.stream = 1 + (uint32_t)i % 3, .sequence = 1 + i * 33, .done = count_answer};
        assert_int_equal(reader_fetch(&cold->reader, &fetches[i]), ERR_AGAIN);
    }
    sim_disk_drain(&cold->disk);
    assert_int_equal(answered, 60);
    assert_true(tail_bytes(&cold->tail) < 2 * READER_BLOCK);
}

static void seek_done(struct store_fetch *fetch)
{
    fetch->stream = UINT32_MAX;
}

static uint64_t seek(struct cold_fixture *cold, uint32_t stream, uint64_t sequence, uint64_t time_ns)
{
    struct store_fetch fetch = {.stream = stream, .sequence = sequence, .time_ns = time_ns, .done = seek_done};
    int result = reader_seek(&cold->reader, &fetch);
    if (result == ERR_AGAIN) {
        sim_disk_drain(&cold->disk);
        assert_int_equal(fetch.stream, UINT32_MAX);
        result = fetch.result;
    }
    assert_int_equal(result, 0);
    return fetch.sequence;
}

// The n-th message has time start + n ms; stream 2 has those with n = 2, 5, 8, …
static void seeks_to_the_first_message_at_or_after_a_time(void **state)
{
    struct cold_fixture *cold = *state;
    fill(cold, 4, 3000);
    roll(cold, 2 * cold->files[0].info.bytes);
    for (uint64_t n = 2; n < 12000; n += 3 * 97) {
        uint64_t time = start_ns + n * 1000000, sequence = (n + 1) / 3;
        assert_int_equal(seek(cold, 2, 0, time), sequence);
        assert_int_equal(seek(cold, 2, 0, time + 1), sequence + 1);
        assert_int_equal(seek(cold, 2, 0, time - 1), sequence);
        assert_int_equal(seek(cold, 2, sequence + 5, time), sequence + 5);
    }
    assert_int_equal(seek(cold, 2, 0, 0), 1);
    assert_int_equal(seek(cold, 2, 0, start_ns + UINT64_C(99999) * 1000000), 4001);
    assert_int_equal(seek(cold, 2, 100, 0), 100);
}

static void lists_sizes_across_segments_and_log(void **state)
{
    struct cold_fixture *cold = *state;
    fill(cold, 4, 3000);
    roll(cold, 2 * cold->files[0].info.bytes);
    struct store_size sizes[64];
    uint64_t next = 1;
    for (int waits = 0; next <= 4000;) {
        bool wait;
        size_t count = reader_sizes(&cold->reader, 3, next, sizes, 64, &wait);
        assert_true(count > 0 || wait);
        if (count == 0) {
            assert_true(++waits < 200);
            sim_disk_drain(&cold->disk);
        }
        for (size_t i = 0; i < count; i++, next++) {
            assert_int_equal(sizes[i].sequence, next);
            uint64_t n = 3 * next;
            assert_int_equal(sizes[i].size, RECORD_MESSAGE_SIZE + 100 + ((n - 1) % 3000) % 50);
            assert_true(sizes[i].time_ns <= start_ns + n * 1000000 &&
                        sizes[i].time_ns + 65536 > start_ns + n * 1000000);
        }
    }
    bool wait;
    assert_int_equal(reader_sizes(&cold->reader, 3, 4001, sizes, 64, &wait), 0);
    assert_false(wait);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answers_from_memory_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_log_files_and_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_in_an_extent_is_gone_unless_it_is_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_says_where_the_next_one_is, setup, teardown),
        cmocka_unit_test_setup_teardown(many_waiters_share_one_read_and_a_cancelled_one_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(an_answer_may_cancel_those_answered_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_message_is_quarantined_and_the_rest_serves, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_open_files_are_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_read_is_an_error_and_can_be_repeated, setup, teardown),
        cmocka_unit_test_setup_teardown(works_with_hardly_any_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(seeks_to_the_first_message_at_or_after_a_time, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_sizes_across_segments_and_log, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
