// SPDX-License-Identifier: Apache-2.0
// The dense index: look-ups, gaps, time, walking a file, and a random life against the obvious model.
#include "store/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/prng.h"

static void finds_what_was_added(void **state)
{
    struct index index;
    struct index_place place;
    index_init(&index, NULL, NULL);
    assert_false(index_find(&index, 7, 1, &place));
    index_add(&index, 1, 7, 10, 1000, 4096, 100);
    index_add(&index, 1, 7, 11, 1000 + (UINT64_C(5) << INDEX_TIME_SHIFT), 4200, 101);
    index_add(&index, 1, 8, 1, 1000, 4304, 60);
    index_add(&index, 1, 7, 15, 2000 + (UINT64_C(9) << INDEX_TIME_SHIFT), 4400, 102);
    assert_true(index_find(&index, 7, 11, &place));
    assert_int_equal(place.file, 1);
    assert_int_equal(place.offset, 4200);
    assert_int_equal(place.size, 101);
    assert_int_equal(place.time_ns, 1000 + (UINT64_C(5) << INDEX_TIME_SHIFT));
    assert_true(index_find(&index, 7, 15, &place));
    assert_int_equal(place.size, 102);
    assert_false(index_find(&index, 7, 12, &place));
    assert_false(index_find(&index, 7, 9, &place));
    assert_false(index_find(&index, 7, 16, &place));
    assert_true(index_next(&index, 7, 12, &place));
    assert_int_equal(place.sequence, 15);
    assert_int_equal(index_end(&index, 7), 16);
    assert_int_equal(index.count, 4);
    index_check(&index);
    index_deinit(&index);
}

static void trims_forgets_and_drops_a_stream(void **state)
{
    struct index index;
    struct index_place place;
    index_init(&index, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 5000; sequence++) {
        index_add(&index, (uint32_t)(sequence / 700) + 1, 1, sequence, sequence, sequence * 8, 8);
    }
    index_trim(&index, 1, 1234);
    assert_false(index_find(&index, 1, 1233, &place));
    assert_true(index_find(&index, 1, 1234, &place));
    assert_true(index_next(&index, 1, 1, &place));
    assert_int_equal(place.sequence, 1234);
    index_forget(&index, 1, 1234);
    index_forget(&index, 1, 1234);
    assert_true(index_next(&index, 1, 1, &place));
    assert_int_equal(place.sequence, 1235);
    assert_int_equal(index.count, 5000 - 1234);
    index_check(&index);
    index_trim(&index, 1, UINT64_MAX);
    assert_false(index_next(&index, 1, 1, &place));
    assert_int_equal(index.count, 0);
    index_check(&index);
    index_deinit(&index);
}

static void seeks_by_time_to_the_first_that_can_be_late_enough(void **state)
{
    struct index index;
    struct index_place place;
    const uint64_t unit = UINT64_C(1) << INDEX_TIME_SHIFT, start = UINT64_C(1700000000) * 1000000000;
    index_init(&index, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 3000; sequence++) {
        index_add(&index, 1, 1, sequence, start + sequence * unit * 10, sequence * 8, 8);
    }
    assert_true(index_seek(&index, 1, 1, start, &place));
    assert_int_equal(place.sequence, 1);
    assert_true(index_seek(&index, 1, 1, start + 2000 * unit * 10, &place));
    assert_int_equal(place.sequence, 2000);
    assert_true(index_seek(&index, 1, 1, start + 2000 * unit * 10 + unit, &place));
    assert_int_equal(place.sequence, 2001);
    assert_true(index_seek(&index, 1, 2500, start, &place));
    assert_int_equal(place.sequence, 2500);
    assert_false(index_seek(&index, 1, 1, start + 3001 * unit * 10, &place));
    index_deinit(&index);
}

static void times_that_do_not_fit_or_go_back_begin_a_run(void **state)
{
    struct index index;
    struct index_place place;
    index_init(&index, NULL, NULL);
    const uint64_t times[] = {UINT64_C(1) << 60, (UINT64_C(1) << 60) + (UINT64_C(1) << 50), 5};
    for (uint64_t i = 0; i < 3; i++) {
        index_add(&index, 1, 1, i + 1, times[i], i * 8, 8);
    }
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(index_find(&index, 1, i + 1, &place));
        assert_int_equal(place.time_ns, times[i]);
    }
    index_check(&index);
    index_deinit(&index);
}

static void walks_a_file_grouped_by_stream(void **state)
{
    struct index index;
    index_init(&index, NULL, NULL);
    uint64_t next[5] = {0};
    for (uint32_t i = 0; i < 9000; i++) {
        uint32_t stream = i * 7 % 5;
        index_add(&index, 1 + i / 3000, stream, ++next[stream], i, (uint64_t)i * 8, 8);
    }
    struct index_cursor cursor = {0};
    struct index_place place;
    uint32_t stream, count = 0, groups = 0, last = UINT32_MAX;
    uint64_t sequence = 0;
    while (index_file_next(&index, 2, &cursor, &stream, &place)) {
        groups += stream != last;
        assert_true(stream != last || place.sequence == sequence + 1);
        assert_true(place.offset / 8 >= 3000 && place.offset / 8 < 6000);
        last = stream;
        sequence = place.sequence;
        count++;
        if (count == 100) {
            index_trim(&index, stream, sequence + 101); // in the middle of the walk
            sequence += 100;
        }
    }
    assert_int_equal(count, 3000 - 100);
    assert_int_equal(groups, 5);
    while (!index_drop_file(&index, 2, 2)) {
        index_check(&index);
    }
    cursor = (struct index_cursor){0};
    assert_false(index_file_next(&index, 2, &cursor, &stream, &place));
    assert_true(index_file_next(&index, 3, &cursor, &stream, &place));
    assert_int_equal(index.count, 3000);
    index_check(&index);
    index_deinit(&index);
}

static void count_gone(void *owner, uint32_t file, uint32_t count)
{
    uint32_t *alive = owner;
    assert_true(alive[file] >= count);
    alive[file] -= count;
}

// Model: for each stream and sequence its offset, 0 when gone.
static void behaves_like_a_plain_array(void **state)
{
    enum { STREAMS = 4, MAX = 4000 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct prng prng;
        prng_seed(&prng, seed);
        bool counted = seed % 2;
        uint32_t alive[64] = {0};
        uint32_t(*offsets)[MAX] = mem_alloc_zero(STREAMS * sizeof(*offsets));
        uint64_t end[STREAMS] = {0}, count = 0;
        uint32_t file = 1, offset = 0;
        struct index index;
        index_init(&index, counted ? count_gone : NULL, alive);
        for (int i = 0; i < 6000; i++) {
            uint32_t stream = (uint32_t)prng_below(&prng, STREAMS);
            uint64_t what = prng_below(&prng, 1000);
            if (what < 900) {
                uint64_t sequence = end[stream] + 1 + (prng_chance(&prng, 1, 20) ? prng_below(&prng, 20) : 0);
                file += prng_chance(&prng, 1, 200);
                if (sequence < MAX) {
                    index_add(&index, file, stream, sequence, (uint64_t)i << 10, (uint64_t)++offset * 8, 8 + stream);
                    offsets[stream][sequence] = offset;
                    end[stream] = sequence;
                    alive[file]++;
                }
            } else if (what < 985) {
                uint64_t sequence = prng_below(&prng, end[stream] + 2);
                index_forget(&index, stream, sequence);
                offsets[stream][sequence] = 0;
            } else if (what < 998) {
                uint64_t first = prng_below(&prng, end[stream] + 2);
                index_trim(&index, stream, first);
                memset(offsets[stream], 0, first * sizeof(uint32_t));
            } else if (prng_chance(&prng, 1, 5)) {
                index_trim(&index, stream, UINT64_MAX);
                memset(offsets[stream], 0, sizeof(offsets[stream]));
            }
        }
        for (uint32_t stream = 0; stream < STREAMS; stream++) {
            for (uint64_t sequence = 0; sequence < MAX; sequence++) {
                struct index_place place;
                bool found = index_find(&index, stream, sequence, &place);
                assert_int_equal(found, offsets[stream][sequence] != 0);
                if (found) {
                    count++;
                    assert_int_equal(place.offset, offsets[stream][sequence] * 8);
                    assert_int_equal(place.size, 8 + stream);
                    alive[place.file] -= counted;
                }
            }
        }
        assert_int_equal(index.count, count);
        for (int i = 0; counted && i < 64; i++) {
            assert_int_equal(alive[i], 0);
        }
        index_check(&index);
        index_deinit(&index);
        mem_free(offsets);
    }
}

static void costs_about_twelve_bytes_a_message(void **state)
{
    struct index index;
    index_init(&index, NULL, NULL);
    for (uint64_t sequence = 1; sequence <= 1000000; sequence++) {
        index_add(&index, 1 + (uint32_t)(sequence / 300000), 1, sequence, sequence * 1000, sequence * 184, 184);
    }
    assert_true(index.bytes < 12500000);
    index_deinit(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(trims_forgets_and_drops_a_stream),
        cmocka_unit_test(seeks_by_time_to_the_first_that_can_be_late_enough),
        cmocka_unit_test(times_that_do_not_fit_or_go_back_begin_a_run),
        cmocka_unit_test(walks_a_file_grouped_by_stream),
        cmocka_unit_test(behaves_like_a_plain_array),
        cmocka_unit_test(costs_about_twelve_bytes_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
