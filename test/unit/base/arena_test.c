// SPDX-License-Identifier: Apache-2.0
// Alignment, chunk changes, large allocations, the maximum, and what a reset keeps.
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void gives_aligned_disjoint_memory(void **state)
{
    struct arena arena;
    char *pieces[200];
    arena_init(&arena, 100, 1 << 20);
    for (int i = 0; i < 200; i++) {
        size_t size = (size_t)i % 37;
        pieces[i] = arena_alloc(&arena, size);
        assert_int_equal((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], i, size);
    }
    for (int i = 0; i < 200; i++) {
        for (int j = 0; j < i % 37; j++) {
            assert_int_equal((unsigned char)pieces[i][j], i);
        }
    }
    arena_deinit(&arena);
}

static void takes_what_no_chunk_holds(void **state)
{
    struct arena arena;
    arena_init(&arena, 64, 1 << 20);
    char *large_first = arena_alloc(&arena, 1000);
    char *small = arena_alloc(&arena, 8);
    char *large = arena_alloc(&arena, 5000);
    char *small_again = arena_alloc(&arena, 8);
    memset(large_first, 1, 1000);
    memset(large, 2, 5000);
    // The large one did not end the chunk in use.
    assert_ptr_equal(small_again, small + 8);
    arena_deinit(&arena);
}

static void refuses_beyond_the_maximum(void **state)
{
    struct arena arena;
    arena_init(&arena, 64, 100);
    assert_null(arena_alloc(&arena, 101));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_non_null(arena_alloc(&arena, 60));
    assert_null(arena_alloc(&arena, 40)); // 64 are used: sizes count rounded
    assert_non_null(arena_alloc(&arena, 32));
    assert_null(arena_alloc(&arena, 8));
    assert_null(arena_copy(&arena, BYTES("12345678")).ptr);
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 96));
    arena_deinit(&arena);
}

static void reuses_its_chunk_after_reset(void **state)
{
    struct arena arena;
    arena_init(&arena, 256, 1 << 20);
    arena_alloc(&arena, 10);
    struct arena_chunk *chunk = arena.chunks;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 20; i++) {
            assert_non_null(arena_alloc(&arena, 100));
        }
        assert_non_null(arena_alloc(&arena, 1000));
        arena_reset(&arena);
        assert_int_equal(arena.used, 0);
        assert_non_null(arena.chunks);
    }
    arena_reset(&arena);
    chunk = arena.chunks;
    for (int round = 0; round < 10; round++) {
        assert_non_null(arena_alloc(&arena, 100));
        assert_ptr_equal(arena.chunks, chunk);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

static void copies_bytes(void **state)
{
    struct arena arena;
    char text[] = "subject";
    arena_init(&arena, 256, 1024);
    struct bytes copy = arena_copy(&arena, bytes_from_string(text));
    text[0] = 'X';
    assert_true(bytes_equal(copy, BYTES("subject")));
    assert_non_null(arena_copy(&arena, BYTES("")).ptr);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_aligned_disjoint_memory),
        cmocka_unit_test(takes_what_no_chunk_holds),
        cmocka_unit_test(refuses_beyond_the_maximum),
        cmocka_unit_test(reuses_its_chunk_after_reset),
        cmocka_unit_test(copies_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
