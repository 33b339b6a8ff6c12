// SPDX-License-Identifier: Apache-2.0
// The headers of entries and batches: what is written verifies where it was written, and nowhere else.
#include "store/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/endian.h"
#include "base/hash.h"

static const struct entry_header sample = {
    .length = 80, .shard = 1, .count = 2, .term = 3, .index = 99, .time_ns = 123456789, .hash = 0xabcdef, .file = 7};

static void an_entry_header_comes_back(void **state)
{
    char at[ENTRY_HEADER_SIZE];
    struct entry_header header;
    entry_encode(at, &sample);
    entry_place(at, 7, 4160);
    assert_int_equal(entry_decode(at, 7, 4160, &header), 0);
    assert_int_equal(header.length, 80);
    assert_int_equal(header.shard, 1);
    assert_int_equal(header.count, 2);
    assert_int_equal(header.term, 3);
    assert_int_equal(header.index, 99);
    assert_int_equal(header.time_ns, 123456789);
    assert_int_equal(header.hash, 0xabcdef);
    assert_int_equal(header.file, 7);
}

static void an_entry_header_verifies_in_its_place_only(void **state)
{
    char at[ENTRY_HEADER_SIZE];
    struct entry_header header;
    entry_encode(at, &sample);
    entry_place(at, 7, 4160);
    assert_int_equal(entry_decode(at, 7, 4168, &header), ERR_CORRUPT);
    assert_int_equal(entry_decode(at, 8, 4160, &header), ERR_CORRUPT);
    put_u64(at + 48, 8);
    assert_int_equal(entry_decode(at, 8, 4160, &header), ERR_CORRUPT);
}

static void each_bit_of_an_entry_header_matters(void **state)
{
    char at[ENTRY_HEADER_SIZE];
    struct entry_header header;
    entry_encode(at, &sample);
    entry_place(at, 7, 4160);
    for (unsigned bit = 0; bit < 8 * ENTRY_HEADER_SIZE; bit++) {
        at[bit / 8] = (char)(at[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(entry_decode(at, 7, 4160, &header), ERR_CORRUPT);
        at[bit / 8] = (char)(at[bit / 8] ^ 1 << bit % 8);
    }
}

static void each_bit_of_a_batch_header_matters(void **state)
{
    char at[BATCH_HEADER_SIZE];
    struct batch_header header = {.length = 1000,
                                  .count = 3,
                                  .file = 7,
                                  .position = 8192,
                                  .synced_file = 6,
                                  .synced_position = 4096},
                        back;
    batch_encode(at, &header);
    assert_int_equal(batch_decode(at, 7, 8192, &back), 0);
    assert_int_equal(back.length, 1000);
    assert_int_equal(back.count, 3);
    assert_int_equal(back.synced_file, 6);
    assert_int_equal(back.synced_position, 4096);
    assert_int_equal(batch_decode(at, 7, 4096, &back), ERR_CORRUPT);
    assert_int_equal(batch_decode(at, 6, 8192, &back), ERR_CORRUPT);
    for (unsigned bit = 0; bit < 8 * BATCH_HEADER_SIZE; bit++) {
        at[bit / 8] = (char)(at[bit / 8] ^ 1 << bit % 8);
        assert_int_equal(batch_decode(at, 7, 8192, &back), ERR_CORRUPT);
        at[bit / 8] = (char)(at[bit / 8] ^ 1 << bit % 8);
    }
}

// The bytes of FORMAT.md, so that a change of them is a decision.
static void the_format_is_what_it_was(void **state)
{
    char at[ENTRY_HEADER_SIZE];
    entry_encode(at, &sample);
    entry_place(at, 7, 4160);
    assert_memory_equal(at, "WEnt\x50\0\0\0\1\0\0\0\2\0\0\0", 16);
    assert_int_equal(get_u64(at + 56), hash_bytes(bytes_make(at, 56), 4160));
    assert_int_equal(batch_padded(1, 4096), 4096);
    assert_int_equal(batch_padded(4096, 4096), 4096);
    assert_int_equal(batch_padded(4097, 4096), 8192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_header_comes_back),
        cmocka_unit_test(an_entry_header_verifies_in_its_place_only),
        cmocka_unit_test(each_bit_of_an_entry_header_matters),
        cmocka_unit_test(each_bit_of_a_batch_header_matters),
        cmocka_unit_test(the_format_is_what_it_was),
    };
    return cmocka_run_group_tests_name("store/entry", tests, NULL, NULL);
}
