// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/chunk.h"
#include "store/tail.h"

enum { CAPACITY = 512, MAX = 2 };

static void so_many_are_kept_and_used_again(void **state)
{
    struct chunk_spares spares;
    chunk_spares_init(&spares, CAPACITY, MAX);
    struct chunk *chunks[MAX + 1];
    for (size_t i = 0; i < MAX + 1; i++) {
        chunks[i] = chunk_spares_take(&spares, CAPACITY);
        chunks[i]->used = chunks[i]->live = 7;
    }
    for (size_t i = 0; i < MAX + 1; i++)
        chunk_spares_give(&spares, chunks[i]);
    assert_int_equal(spares.count, MAX);
    struct chunk *again = chunk_spares_take(&spares, CAPACITY);
    assert_ptr_equal(again, chunks[MAX - 1]); // the newest is the one most likely in a cache
    assert_int_equal(again->refs, 1);
    assert_int_equal(again->capacity, CAPACITY);
    assert_int_equal(again->used + again->live, 0);
    assert_int_equal(spares.count, MAX - 1);
    chunk_unref(again);
    chunk_spares_deinit(&spares);
    assert_int_equal(spares.count, 0);
}

static void what_others_need_or_has_another_size_is_not_kept(void **state)
{
    struct chunk_spares spares;
    chunk_spares_init(&spares, CAPACITY, MAX);
    struct chunk *chunk = chunk_ref(chunk_spares_take(&spares, CAPACITY));
    chunk_spares_give(&spares, chunk);
    assert_int_equal(chunk->refs, 1);
    chunk_spares_give(&spares, chunk_new(CAPACITY * 2));
    assert_int_equal(spares.count, 0);
    chunk_spares_give(&spares, chunk);
    struct chunk *large = chunk_spares_take(&spares, CAPACITY * 2);
    assert_ptr_not_equal(large, chunk);
    assert_int_equal(large->capacity, CAPACITY * 2);
    chunk_unref(large);
    chunk_spares_deinit(&spares);
}

static void what_the_cache_lets_go_is_kept(void **state)
{
    struct chunk_spares spares;
    struct tail tail;
    chunk_spares_init(&spares, CAPACITY, MAX);
    tail_init(&tail, CAPACITY, &spares);
    struct chunk *first = chunk_spares_take(&spares, CAPACITY), *second = chunk_spares_take(&spares, CAPACITY);
    tail_add(&tail, 1, 0, first->data, CAPACITY, first);
    chunk_unref(first);
    tail_add(&tail, 1, CAPACITY, second->data, CAPACITY, second);
    chunk_unref(second);
    assert_int_equal(spares.count, 1);
    assert_ptr_equal(chunk_spares_take(&spares, CAPACITY), first);
    chunk_unref(first);
    tail_deinit(&tail);
    chunk_spares_deinit(&spares);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_are_kept_and_used_again),
        cmocka_unit_test(what_others_need_or_has_another_size_is_not_kept),
        cmocka_unit_test(what_the_cache_lets_go_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
