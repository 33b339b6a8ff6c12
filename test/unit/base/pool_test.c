// SPDX-License-Identifier: Apache-2.0
// The maximum, reuse without allocation, and that objects do not overlap.
#include "base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"

static void gives_up_to_the_maximum(void **state)
{
    struct pool pool;
    void *objects[37];
    pool_init(&pool, 1, 37);
    for (int i = 0; i < 37; i++) {
        objects[i] = pool_get(&pool);
        assert_non_null(objects[i]);
    }
    assert_null(pool_get(&pool));
    assert_int_equal(pool_count(&pool), 37);
    pool_put(&pool, objects[5]);
    assert_ptr_equal(pool_get(&pool), objects[5]);
    assert_null(pool_get(&pool));
    assert_int_equal(pool.total, 37);
    pool_put(&pool, NULL);
    pool_deinit(&pool);
    assert_int_equal(pool_count(&pool), 0);
    assert_non_null(pool_get(&pool));
    pool_deinit(&pool);
}

static void objects_are_apart(void **state)
{
    enum { OBJECTS = 700, SIZE = 100 };
    struct pool pool;
    struct prng prng;
    static unsigned char *objects[OBJECTS];
    prng_seed(&prng, 2);
    pool_init(&pool, SIZE, OBJECTS);
    for (int step = 0; step < 20000; step++) {
        size_t i = prng_below(&prng, OBJECTS);
        if (objects[i]) {
            for (int j = 0; j < SIZE; j++) {
                assert_int_equal(objects[i][j], (unsigned char)i);
            }
            pool_put(&pool, objects[i]);
            objects[i] = NULL;
        } else {
            objects[i] = pool_get(&pool);
            assert_non_null(objects[i]);
            assert_int_equal((uintptr_t)objects[i] % 16, 0);
            memset(objects[i], (int)i, SIZE);
        }
    }
    pool_deinit(&pool);
}

static void large_objects_and_zero_maximum(void **state)
{
    struct pool pool;
    pool_init(&pool, 200000, 3);
    memset(pool_get(&pool), 1, 200000);
    memset(pool_get(&pool), 2, 200000);
    assert_int_equal(pool.total, 3);
    pool_deinit(&pool);
    pool_init(&pool, 8, 0);
    assert_null(pool_get(&pool));
    pool_deinit(&pool);
}

static void settles_without_allocation(void **state)
{
    struct pool pool;
    void *objects[50];
    pool_init(&pool, 64, 1000);
    size_t total = 0;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 50; i++) {
            objects[i] = pool_get(&pool);
        }
        for (int i = 0; i < 50; i++) {
            pool_put(&pool, objects[i]);
        }
        assert_true(total == 0 || total == pool.total);
        total = pool.total;
    }
    pool_deinit(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_up_to_the_maximum),
        cmocka_unit_test(objects_are_apart),
        cmocka_unit_test(large_objects_and_zero_maximum),
        cmocka_unit_test(settles_without_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
