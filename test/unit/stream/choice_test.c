// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "stream/choice.h"

enum { MEMBERS = 50 };

static void test_fewest_first_and_equals_take_turns(void **state)
{
    struct pool pool;
    struct choice choice;
    struct choice_entry a = {0}, b = {0};
    pool_init(&pool, sizeof(struct choice_bucket), 100);
    choice_init(&choice);
    assert_null(choice_first(&choice, NULL));
    choice_place(&a, &choice, 0, &pool);
    choice_place(&b, &choice, 0, &pool);
    assert_ptr_equal(choice_first(&choice, NULL), &a);
    assert_ptr_equal(choice_first(&choice, &a), &b);
    assert_ptr_equal(choice_after(&a), &b);
    assert_null(choice_after(&b));
    choice_place(&a, &choice, 1, &pool);
    assert_null(choice_after(&b));
    assert_ptr_equal(choice_first(&choice, NULL), &b);
    choice_place(&b, &choice, 1, &pool);
    assert_ptr_equal(choice_first(&choice, NULL), &a);
    choice_place(&a, NULL, 0, &pool);
    assert_ptr_equal(choice_first(&choice, &b), NULL);
    choice_place(&b, NULL, 0, &pool);
    assert_int_equal(pool_count(&pool), 0);
    pool_deinit(&pool);
}

static void model(uint64_t members)
{
    struct pool pool;
    struct choice choices[2];
    struct choice_entry entries[MEMBERS] = {0};
    uint64_t loads[MEMBERS] = {0};
    int where[MEMBERS] = {0}; // 0: none, 1 and 2: a choice
    struct prng prng;
    prng_seed(&prng, 3);
    pool_init(&pool, sizeof(struct choice_bucket), 1000);
    choice_init(&choices[0]);
    choice_init(&choices[1]);
    for (int step = 0; step < 100000; step++) {
        uint64_t i = prng_next(&prng) % members;
        if (prng_next(&prng) % 10 == 0)
            where[i] = (int)(prng_next(&prng) % 3);
        if (prng_next(&prng) % 10 == 0)
            loads[i] = prng_next(&prng) % 100;
        else
            loads[i] += prng_next(&prng) % 2 ? 1 : loads[i] ? -1ull : 0;
        choice_place(&entries[i], where[i] ? &choices[where[i] - 1] : NULL, loads[i], &pool);
        for (int c = 0; c < 2; c++) {
            const struct choice_entry *first = choice_first(&choices[c], NULL);
            uint64_t best = UINT64_MAX;
            for (int m = 0; m < MEMBERS; m++)
                best = where[m] == c + 1 && loads[m] < best ? loads[m] : best;
            assert_int_equal(first ? loads[first - entries] : UINT64_MAX, best);
            choice_check(&choices[c]);
        }
    }
    for (int m = 0; m < MEMBERS; m++)
        choice_place(&entries[m], NULL, 0, &pool);
    assert_int_equal(pool_count(&pool), 0);
    pool_deinit(&pool);
}

static void test_model(void **state)
{
    model(MEMBERS);
}

// Who is alone takes its place along.
static void test_model_of_few(void **state)
{
    model(1);
    model(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fewest_first_and_equals_take_turns),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_model_of_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
