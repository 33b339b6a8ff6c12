// SPDX-License-Identifier: Apache-2.0
// The byte order of all formats, and unaligned places.
#include "base/endian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void puts_low_bytes_first(void **state)
{
    unsigned char at[15] = {0};
    put_u16(at + 1, 0x0102);
    put_u32(at + 3, 0x03040506);
    put_u64(at + 7, 0x0708090a0b0c0d0eULL);
    const unsigned char expected[15] = {0, 2, 1, 6, 5, 4, 3, 0xe, 0xd, 0xc, 0xb, 0xa, 9, 8, 7};
    assert_memory_equal(at, expected, sizeof(at));
}

static void gets_what_was_put(void **state)
{
    unsigned char at[16];
    for (int offset = 0; offset < 8; offset++) {
        put_u16(at + offset, 0xfedc);
        assert_int_equal(get_u16(at + offset), 0xfedc);
        put_u32(at + offset, 0xfedcba98);
        assert_int_equal(get_u32(at + offset), 0xfedcba98);
        put_u64(at + offset, 0xfedcba9876543210ULL);
        assert_true(get_u64(at + offset) == 0xfedcba9876543210ULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_low_bytes_first),
        cmocka_unit_test(gets_what_was_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
