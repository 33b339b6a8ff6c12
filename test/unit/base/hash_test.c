// SPDX-License-Identifier: Apache-2.0
// Known values: the hashes are part of the on-disk format and may never change. Taken from libxxhash 0.8.1.
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    struct bytes text;
    uint64_t seed, hash, lo, hi;
} known[] = {
    {{NULL, 0}, 0, 0x2d06800538d394c2, 0x6001c324468d497f, 0x99aa06d3014798d8},
    {{"weir", 4}, 0, 0x09831dc741817118, 0x3921234764190df9, 0x58611f8d7be1fe2c},
    {{"weir", 4}, 0x5eed, 0x9f5a9cf14e8d4320, 0x6b68d621f97e04a7, 0xb77fca542aec9e02},
    {{"The quick brown fox jumps over the lazy dog", 43},
     0,
     0xce7d19a5418fb365,
     0x24a1cc2e3a8a7651,
     0xddd650205ca3e7fa},
};

static void values_never_change(void **state)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct hash128 wide = hash128_bytes(known[i].text, known[i].seed);
        assert_true(hash_bytes(known[i].text, known[i].seed) == known[i].hash);
        assert_true(hash_bytes32(known[i].text, known[i].seed) == (uint32_t)known[i].hash);
        assert_true(hash128_equal(wide, (struct hash128){known[i].lo, known[i].hi}));
    }
}

static void values_of_long_input_never_change(void **state)
{
    char big[1000];
    for (int i = 0; i < 1000; i++) {
        big[i] = (char)i;
    }
    assert_true(hash_bytes(bytes_make(big, 1000), 0) == 0xd33dd80b46f60e50);
    assert_true(hash_bytes(bytes_make(big, 1000), 0x5eed) == 0x15810b3c4fb378d2);
    struct hash128 wide = hash128_bytes(bytes_make(big, 1000), 0);
    assert_false(hash128_equal(wide, (struct hash128){wide.lo, wide.hi ^ 1}));
    assert_true(wide.hi == 0x076f7e02b7120d2a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_never_change),
        cmocka_unit_test(values_of_long_input_never_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
