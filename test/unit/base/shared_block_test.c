// SPDX-License-Identifier: Apache-2.0
#include "base/shared_block.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 10000

// Reads what the maker wrote, then lets go; the sanitizers see a use after the end, or an end that never comes.
static void *use(void *argument)
{
    struct shared_block *block = argument;
    for (int i = 0; i < ROUNDS; i++) {
        shared_block_ref(block);
        if (block->data[block->len - 1] != 'z')
            return NULL;
        shared_block_unref(block);
    }
    shared_block_unref(block);
    return argument;
}

static void test_lives_until_last_reference(void **state)
{
    (void)state;
    struct shared_block *block = shared_block_new(3);
    assert_int_equal(block->len, 3);
    memcpy(block->data, "xyz", 3);
    shared_block_ref(block);
    shared_block_unref(block);
    assert_memory_equal(block->data, "xyz", 3);
    shared_block_unref(block);
}

static void test_threads_share(void **state)
{
    (void)state;
    struct shared_block *block = shared_block_new(100);
    memset(block->data, 'z', 100);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        shared_block_ref(block);
        assert_int_equal(pthread_create(&threads[i], NULL, use, block), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_non_null(result);
    }
    assert_int_equal(atomic_load(&block->refs), 1);
    shared_block_unref(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lives_until_last_reference),
        cmocka_unit_test(test_threads_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
