// SPDX-License-Identifier: Apache-2.0
// The segments in force: finding extents, what dies when, and that the manifest brings back the same set.
#include "store/segment_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "cold_fixture.h"
#include "store/segment_manifest.h"

// A segment of two streams: 1 and 2, `count` sequences each from `first` on.
static struct segment *add(struct segment_set *set, uint64_t id, uint64_t first, uint64_t count)
{
    struct segment_extent *extents = mem_alloc_zero(2 * sizeof(*extents));
    for (uint32_t i = 0; i < 2; i++) {
        extents[i] = (struct segment_extent){.stream = i + 1,
                                             .block = i,
                                             .block_count = 1,
                                             .count = (uint32_t)count,
                                             .first = first,
                                             .last = first + count - 1,
                                             .time_ns = first * 10};
    }
    const struct segment_info info = {.id = id,
                                      .first_index = id * 10,
                                      .last_index = id * 10 + 9,
                                      .file_bytes = 8192,
                                      .summaries_offset = 4096,
                                      .block_count = 2,
                                      .extent_count = 2};
    struct segment *segment;
    assert_int_equal(segment_set_add(set, &info, extents, &segment), 0);
    return segment;
}

static void finds_the_extent_of_a_sequence_or_the_next(void **state)
{
    struct cold_fixture cold;
    cold_fixture_init(&cold);
    struct segment_set *set = &cold.segments;
    struct segment *one = add(set, 1, 100, 50), *two = add(set, 2, 200, 50), *found;
    const struct segment_extent *extent;
    assert_true(segment_set_find(set, 1, 120, &found, &extent));
    assert_ptr_equal(found, one);
    assert_true(segment_set_find(set, 1, 150, &found, &extent));
    assert_ptr_equal(found, two);
    assert_int_equal(extent->first, 200);
    assert_true(segment_set_find(set, 2, 1, &found, &extent));
    assert_ptr_equal(found, one);
    assert_false(segment_set_find(set, 1, 250, &found, &extent));
    assert_false(segment_set_find(set, 3, 1, &found, &extent));
    assert_false(segment_set_seek(set, 1, 0, 1000, &found, &extent)); // the first begins at the time
    assert_true(segment_set_seek(set, 1, 0, 1001, &found, &extent));
    assert_ptr_equal(found, one);
    assert_true(segment_set_seek(set, 1, 0, 5000, &found, &extent));
    assert_ptr_equal(found, two);
    cold_fixture_deinit(&cold);
}

static void dies_when_nothing_in_it_is_wanted(void **state)
{
    struct cold_fixture cold;
    cold_fixture_init(&cold);
    struct segment_set *set = &cold.segments;
    struct segment *one = add(set, 1, 100, 50);
    add(set, 2, 200, 50);
    segment_set_trim(set, 1, 150);
    assert_false(segment_set_is_dead(set, one));
    segment_set_trim(set, 2, 149);
    assert_false(segment_set_is_dead(set, one));
    segment_set_trim(set, 2, 150);
    assert_true(segment_set_is_dead(set, one));
    one->info.ids_bytes = 8; // its dedupe ids are still in their window
    one->info.ids_until_ns = cold.context.now.wall_ns + 1;
    assert_false(segment_set_is_dead(set, one));
    one->info.ids_until_ns = cold.context.now.wall_ns;
    assert_true(segment_set_is_dead(set, one));
    segment_set_die(set, one, 5);
    segment_set_remove(set, one);
    assert_int_equal(set->count, 1);
    assert_int_equal(set->gone_count, 1);
    cold_fixture_deinit(&cold);
}

static void an_overlap_is_damage_and_never_dead(void **state)
{
    struct cold_fixture cold;
    cold_fixture_init(&cold);
    struct segment_set *set = &cold.segments;
    struct segment *one = add(set, 1, 100, 50), *two = add(set, 2, 120, 100), *found;
    const struct segment_extent *extent;
    assert_int_equal(cold.context.damaged_areas, 2);
    assert_true(segment_set_find(set, 1, 130, &found, &extent));
    assert_ptr_equal(found, one);
    segment_set_trim(set, 1, UINT64_MAX);
    segment_set_trim(set, 2, UINT64_MAX);
    assert_true(segment_set_is_dead(set, one));
    assert_false(segment_set_is_dead(set, two));
    cold_fixture_deinit(&cold);
}

static void encode(struct segment_set *set, bool base, uint64_t rolled, struct buffer *out)
{
    struct segment_manifest manifest = {0};
    buffer_clear(out);
    while (segment_manifest_encode(set, &manifest, base, rolled, 1, out)) {
    }
}

static void the_manifest_brings_back_the_set(void **state)
{
    struct cold_fixture cold, other;
    cold_fixture_init(&cold);
    cold_fixture_init(&other);
    struct segment_set *set = &cold.segments;
    struct buffer out;
    buffer_init(&out, 1 << 20);
    struct segment *one = add(set, 1, 100, 50), *two = add(set, 2, 200, 50);
    encode(set, true, 29, &out);
    assert_int_equal(segment_manifest_apply(&other.segments, buffer_bytes(&out)), 0);
    segment_set_recorded(set, 29);
    add(set, 3, 300, 50); // of log indexes 30 to 39
    segment_set_trim(set, 1, 250);
    segment_set_trim(set, 2, 250);
    segment_set_die(set, one, 1);
    segment_set_die(set, two, 1);
    segment_set_remove(set, one);
    encode(set, false, 38, &out); // the third is not complete at this index
    assert_int_equal(segment_manifest_apply(&other.segments, buffer_bytes(&out)), 0);
    assert_null(segment_set_get(&other.segments, 1));
    assert_int_equal(segment_set_get(&other.segments, 2)->state, SEGMENT_DEAD);
    assert_null(segment_set_get(&other.segments, 3));
    segment_set_recorded(set, 38);
    encode(set, false, 39, &out);
    assert_int_equal(segment_manifest_apply(&other.segments, buffer_bytes(&out)), 0);
    struct segment *found;
    const struct segment_extent *extent;
    assert_true(segment_set_find(&other.segments, 2, 320, &found, &extent));
    assert_int_equal(extent->last, 349);
    assert_false(segment_set_is_dead(&other.segments, segment_set_get(&other.segments, 2)));
    assert_int_equal(other.segments.count, 2);
    assert_int_equal(other.segments.next_id, 4);
    // Damage: cut anywhere it is refused, as is a change of what is not there.
    encode(set, true, 39, &out);
    for (size_t len = 1; len < out.len; len += 7) {
        segment_set_clear(&other.segments);
        int result = segment_manifest_apply(&other.segments, bytes_make(out.ptr, len));
        assert_true(result == ERR_CORRUPT || (result == 0 && other.segments.count < 2));
    }
    buffer_deinit(&out);
    cold_fixture_deinit(&cold);
    cold_fixture_deinit(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_extent_of_a_sequence_or_the_next),
        cmocka_unit_test(dies_when_nothing_in_it_is_wanted),
        cmocka_unit_test(an_overlap_is_damage_and_never_dead),
        cmocka_unit_test(the_manifest_brings_back_the_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
