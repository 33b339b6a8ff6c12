// SPDX-License-Identifier: Apache-2.0
// Protobuf's own examples, every length, and what is cut off or too long.
#include "base/varint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void reads_what_it_writes(void **state)
{
    for (int bit = 0; bit < 64; bit++) {
        for (uint64_t value = (1ULL << bit) - 1, i = 0; i < 3; i++, value++) {
            char bytes[VARINT_MAX_SIZE];
            uint64_t back;
            size_t used;
            char *end = varint_put(bytes, value);
            assert_int_equal(end - bytes, varint_size(value));
            assert_int_equal(varint_get(bytes_make(bytes, sizeof(bytes)), &back, &used), 0);
            assert_true(back == value);
            assert_int_equal(used, varint_size(value));
            for (size_t len = 0; len < used; len++) {
                assert_int_equal(varint_get(bytes_make(bytes, len), &back, &used), ERR_CORRUPT);
                assert_true(back == value);
            }
        }
    }
    assert_int_equal(varint_size(0), 1);
    assert_int_equal(varint_size(127), 1);
    assert_int_equal(varint_size(128), 2);
    assert_int_equal(varint_size(UINT64_MAX), 10);
}

static void is_protobufs(void **state)
{
    char bytes[VARINT_MAX_SIZE];
    assert_int_equal(varint_put(bytes, 150) - bytes, 2);
    assert_memory_equal(bytes, "\x96\x01", 2);
}

static void refuses_more_than_64_bits(void **state)
{
    uint64_t value;
    size_t used;
    assert_int_equal(varint_get(BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &value, &used), 0);
    assert_true(value == UINT64_MAX && used == 10);
    assert_int_equal(varint_get(BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), &value, &used), ERR_CORRUPT);
    assert_int_equal(varint_get(BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), &value, &used), ERR_CORRUPT);
}

static void accepts_longer_forms(void **state)
{
    uint64_t value;
    size_t used;
    assert_int_equal(varint_get(BYTES("\x85\x80\x00"), &value, &used), 0);
    assert_true(value == 5 && used == 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_it_writes),
        cmocka_unit_test(is_protobufs),
        cmocka_unit_test(refuses_more_than_64_bits),
        cmocka_unit_test(accepts_longer_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
