// SPDX-License-Identifier: Apache-2.0
// ST-H05: names come sorted however the work is cut up.
#include "monitor/name_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/prng.h"

static void fill(struct name_list *list, size_t count, uint64_t seed)
{
    struct prng prng;
    prng_seed(&prng, seed);
    for (size_t i = 0; i < count; i++) {
        char name[24];
        int length = snprintf(name, sizeof(name), "%llu", (unsigned long long)prng_below(&prng, 500));
        assert_true(name_list_add(list, bytes_make(name, (size_t)length), (uint32_t)(count - i)));
    }
}

static void check_sorted(const struct name_list *list, size_t count)
{
    bool seen[1100] = {false};
    assert_int_equal(list->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_false(seen[list->entries[i].id]);
        seen[list->entries[i].id] = true;
        if (i == 0)
            continue;
        int result = bytes_compare(list->entries[i - 1].name, list->entries[i].name);
        assert_true(result < 0 || (result == 0 && list->entries[i - 1].id < list->entries[i].id));
    }
}

static void names_are_sorted_piece_by_piece(void **state)
{
    static const size_t counts[] = {0, 1, 2, 3, 7, 8, 9, 100, 1023, 1024, 1025};
    static const size_t pieces[] = {1, 2, 3, 64, 1000, 1000000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        for (size_t k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
            struct arena arena;
            struct name_list list;
            arena_init(&arena, 4096, 1 << 20);
            name_list_init(&list, &arena, 1100);
            fill(&list, counts[i], 17 * i + k);
            size_t rounds = 0, bound = 12 * counts[i] / pieces[k] + 12;
            while (!name_list_sort(&list, pieces[k]))
                assert_true(++rounds <= bound);
            check_sorted(&list, counts[i]);
            name_list_deinit(&list);
            arena_deinit(&arena);
        }
    }
}

static void there_are_no_more_than_may_be(void **state)
{
    struct arena arena;
    struct name_list list;
    arena_init(&arena, 4096, 4096);
    name_list_init(&list, &arena, 3);
    fill(&list, 3, 1);
    assert_false(name_list_add(&list, BYTES("one more"), 4));
    name_list_deinit(&list);
    name_list_init(&list, &arena, 1000);
    char large[4096] = {0};
    assert_false(name_list_add(&list, bytes_make(large, sizeof(large)), 1));
    assert_true(name_list_add(&list, BYTES(""), 1));
    name_list_deinit(&list);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_sorted_piece_by_piece),
        cmocka_unit_test(there_are_no_more_than_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
