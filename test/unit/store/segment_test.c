// SPDX-License-Identifier: Apache-2.0
// The format of segments: what was encoded is decoded, and nothing else is.
#include "store/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/endian.h"
#include "base/hash.h"

static void names_are_made_and_parsed(void **state)
{
    char path[STORE_PATH_BYTES];
    uint64_t id = 0;
    segment_name(0x1234abcd, path);
    assert_string_equal(path, "shards/1/000000001234abcd.seg");
    assert_int_equal(segment_parse_name("000000001234abcd.seg", &id), 0);
    assert_int_equal(id, 0x1234abcd);
    const char *wrong[] = {
        "", "1.seg", "000000001234abcd.se", "000000001234ABCD.seg", "000000001234abcd.seg.tmp", "x00000001234abcd.seg"};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(segment_parse_name(wrong[i], &id), ERR_NOT_OURS);
    }
    assert_int_equal(segment_parse_prefix("0000000000000007.seg.orphan", &id), 0);
    assert_int_equal(id, 7);
}

static void header_round_trip_and_every_flipped_bit(void **state)
{
    const struct segment_info info = {.id = 7, .first_index = 100, .last_index = 200};
    struct segment_info found;
    char block[STORE_BLOCK];
    segment_header_encode(&info, BYTES("me"), block);
    assert_int_equal(segment_header_decode(block, BYTES("me"), &found), 0);
    assert_int_equal(found.id, 7);
    assert_int_equal(found.first_index, 100);
    assert_int_equal(found.last_index, 200);
    assert_int_equal(segment_header_decode(block, BYTES("you"), &found), ERR_OTHER_CLUSTER);
    for (size_t bit = 0; bit < STORE_BLOCK * 8; bit += 5) {
        block[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(segment_header_decode(block, BYTES("me"), &found), ERR_CORRUPT);
        block[bit / 8] ^= (char)(1 << bit % 8);
    }
}

static void a_header_for_newer_readers_or_encrypted_is_refused(void **state)
{
    const struct segment_info info = {.id = 7};
    struct segment_info found;
    for (size_t offset = 12; offset <= 48; offset += 36) {
        char block[STORE_BLOCK];
        segment_header_encode(&info, BYTES("me"), block);
        put_u32(block + offset, 2);
        put_u64(block + STORE_BLOCK - 8, hash_bytes(bytes_make(block, STORE_BLOCK - 8), 0));
        assert_int_equal(segment_header_decode(block, BYTES("me"), &found), ERR_NEWER);
    }
}

static void a_summary_belongs_to_one_segment(void **state)
{
    const struct segment_summary summary = {5, 99, 4096 + 8, 65000, 300, 0xdeadbeef, 12};
    struct segment_summary found;
    char bytes[SEGMENT_SUMMARY_SIZE];
    segment_summary_encode(&summary, 7, bytes);
    assert_int_equal(segment_summary_decode(bytes, 7, &found), 0);
    assert_memory_equal(&found, &summary, sizeof(found));
    assert_int_equal(segment_summary_decode(bytes, 8, &found), ERR_CORRUPT);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(segment_summary_decode(bytes, 7, &found), ERR_CORRUPT);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
}

static void the_footer_says_where_everything_is(void **state)
{
    struct segment_extent extents[2] = {{1, 0, 1, 10, 1, 10, 5, 640}, {2, 1, 1, 3, 7, 9, 6, 300}}, extent;
    struct segment_info info = {
        .id = 9, .first_index = 1, .last_index = 2, .block_count = 2, .extent_count = 2, .ids_until_ns = 77};
    char summaries[2 * SEGMENT_SUMMARY_SIZE];
    memset(summaries, 's', sizeof(summaries));
    struct buffer out;
    buffer_init(&out, 1 << 20);
    char *before = buffer_reserve(&out, 24);
    memset(before, 'x', 24);
    buffer_commit(&out, 24);
    assert_int_equal(
        segment_footer_encode(&info, extents, bytes_make(summaries, sizeof(summaries)), BYTES("12345"), 10000, &out),
        0);
    // What the file looks like from offset 10000 on:
    const char *footer = out.ptr + 24;
    uint64_t bytes = 10000 + out.len - 24, offset, footer_bytes, check;
    assert_int_equal(info.file_bytes, bytes);
    assert_memory_equal(footer + (info.summaries_offset - 10000), summaries, sizeof(summaries));
    assert_memory_equal(footer + (info.ids_offset - 10000), "12345", 5);
    assert_int_equal(info.ids_check, hash_bytes(BYTES("12345"), 0));
    const char *trailer = out.ptr + out.len - SEGMENT_TRAILER_SIZE;
    assert_int_equal(segment_trailer_decode(trailer, 9, bytes, &offset, &footer_bytes, &check), 0);
    assert_int_equal(offset, 10000);
    assert_int_equal(hash_bytes(bytes_make(footer, footer_bytes), 9), check);
    struct segment_info found;
    assert_int_equal(segment_info_decode(footer + footer_bytes - SEGMENT_INFO_SIZE, &found), 0);
    assert_memory_equal(&found, &info, sizeof(info));
    segment_extent_decode(footer + 32 + SEGMENT_EXTENT_SIZE, &extent);
    assert_memory_equal(&extent, &extents[1], sizeof(extent));
    assert_int_equal(segment_trailer_decode(trailer, 8, bytes, &offset, &footer_bytes, &check), ERR_CORRUPT);
    assert_int_equal(segment_trailer_decode(trailer, 9, bytes + 8, &offset, &footer_bytes, &check), ERR_CORRUPT);
    buffer_deinit(&out);
}

static void an_info_that_points_outside_is_damage(void **state)
{
    const struct segment_info good = {.id = 1,
                                      .file_bytes = 10000,
                                      .summaries_offset = 5000,
                                      .block_count = 10,
                                      .ids_offset = 9000,
                                      .ids_bytes = 100};
    struct segment_info bad[5] = {good, good, good, good, good}, found;
    char bytes[SEGMENT_INFO_SIZE];
    bad[0].summaries_offset = 10008;
    bad[1].block_count = 1000;
    bad[2].ids_bytes = UINT64_MAX;
    bad[3].file_bytes = UINT64_MAX;
    bad[4].id = UINT64_MAX;
    segment_info_encode(&good, bytes);
    assert_int_equal(segment_info_decode(bytes, &found), 0);
    for (int i = 0; i < 5; i++) {
        segment_info_encode(&bad[i], bytes);
        assert_int_equal(segment_info_decode(bytes, &found), ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_made_and_parsed),
        cmocka_unit_test(header_round_trip_and_every_flipped_bit),
        cmocka_unit_test(a_header_for_newer_readers_or_encrypted_is_refused),
        cmocka_unit_test(a_summary_belongs_to_one_segment),
        cmocka_unit_test(the_footer_says_where_everything_is),
        cmocka_unit_test(an_info_that_points_outside_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
