// SPDX-License-Identifier: Apache-2.0
// Known values, so that a seed means the same run for ever, and coarse uniformity.
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void sequence_never_changes(void **state)
{
    // The reference implementations of splitmix64 and xoshiro256** by Blackman and Vigna, seed 0.
    const uint64_t expected[] = {0x99ec5f36cb75f2b4, 0xbf6e1f784956452a, 0x1a5f849d4933e6e0, 0x6aa594f1262d2d2c};
    struct prng prng;
    prng_seed(&prng, 0);
    for (int i = 0; i < 4; i++) {
        assert_true(prng_next(&prng) == expected[i]);
    }
}

static void below_stays_below_and_reaches_all(void **state)
{
    struct prng prng;
    int hits[10] = {0};
    prng_seed(&prng, 1);
    for (int i = 0; i < 10000; i++) {
        hits[prng_below(&prng, 10)]++;
        assert_int_equal(prng_below(&prng, 1), 0);
        assert_true(prng_below(&prng, UINT64_MAX) < UINT64_MAX);
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(hits[i], 850, 1150);
    }
}

// With n of three quarters of the range a generator without rejection would give every third number twice as often.
static void below_has_no_bias(void **state)
{
    struct prng prng;
    int thirds = 0;
    uint64_t n = 3ULL << 62;
    prng_seed(&prng, 2);
    for (int i = 0; i < 30000; i++) {
        thirds += prng_below(&prng, n) % 3 == 0;
    }
    assert_in_range(thirds, 9500, 10500);
}

static void chance_is_what_it_says(void **state)
{
    struct prng prng;
    int hits = 0;
    prng_seed(&prng, 3);
    for (int i = 0; i < 10000; i++) {
        hits += prng_chance(&prng, 1, 4);
        assert_false(prng_chance(&prng, 0, 7));
        assert_true(prng_chance(&prng, 7, 7));
    }
    assert_in_range(hits, 2300, 2700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequence_never_changes),
        cmocka_unit_test(below_stays_below_and_reaches_all),
        cmocka_unit_test(below_has_no_bias),
        cmocka_unit_test(chance_is_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
