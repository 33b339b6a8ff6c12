// SPDX-License-Identifier: Apache-2.0
// The read cache: what is found, what leaves first, and that the budget holds.
#include "store/tail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { CHUNK = 4096 };

static struct chunk *filled(char c)
{
    struct chunk *chunk = chunk_new(CHUNK);
    memset(chunk->data, c, CHUNK);
    chunk->used = CHUNK;
    return chunk;
}

static struct chunk_spares spares; // none are kept

static void add(struct tail *tail, uint32_t file, uint64_t offset, char c)
{
    struct chunk *chunk = filled(c);
    tail_add(tail, file, offset, chunk->data, CHUNK, chunk);
    chunk_unref(chunk);
}

static void finds_bytes_by_position(void **state)
{
    struct tail tail;
    struct chunk *chunk = NULL;
    tail_init(&tail, 1 << 20, &spares);
    add(&tail, 1, 4096, 'a');
    add(&tail, 1, 8192, 'b');
    add(&tail, 2, 4096, 'c');
    assert_int_equal(*tail_find(&tail, 1, 4100, 10, &chunk), 'a');
    assert_int_equal(*tail_find(&tail, 1, 8192, CHUNK, &chunk), 'b');
    assert_int_equal(*tail_find(&tail, 2, 5000, 1, &chunk), 'c');
    assert_int_equal(chunk->data[0], 'c');
    assert_null(tail_find(&tail, 1, 8190, 10, &chunk)); // across two chunks
    assert_null(tail_find(&tail, 1, 100, 10, &chunk));
    assert_null(tail_find(&tail, 2, 8192, 1, &chunk));
    assert_null(tail_find(&tail, 3, 4096, 1, &chunk));
    tail_check(&tail);
    tail_deinit(&tail);
}

static void pieces_of_one_chunk_are_merged_and_counted_once(void **state)
{
    struct tail tail;
    struct chunk *chunk = filled('x'), *found;
    tail_init(&tail, 1 << 20, &spares);
    tail_add(&tail, 1, 4096, chunk->data, 100, chunk);
    tail_add(&tail, 1, 4200, chunk->data + 104, 100, chunk);
    tail_add(&tail, 1, 8192, chunk->data + 204, 100, chunk); // elsewhere in the file
    assert_int_equal(tail.count, 2);
    assert_int_equal(tail.hot_bytes, CHUNK);
    assert_ptr_equal(tail_find(&tail, 1, 8192, 100, &found), chunk->data + 204);
    assert_int_equal(chunk->refs, 3);
    tail_check(&tail);
    tail_deinit(&tail);
    assert_int_equal(chunk->refs, 1);
    chunk_unref(chunk);
}

static void the_oldest_chunk_goes_first(void **state)
{
    struct tail tail;
    struct chunk *chunk;
    tail_init(&tail, 10 * CHUNK, &spares);
    for (uint32_t i = 0; i < 1000; i++) {
        add(&tail, 1 + i / 100, 4096 + (uint64_t)(i % 100) * CHUNK, (char)i);
        assert_true(tail.hot_bytes <= 10 * CHUNK);
    }
    assert_int_equal(tail.count, 10);
    assert_non_null(tail_find(&tail, 10, 4096 + 99 * CHUNK, 10, &chunk));
    assert_non_null(tail_find(&tail, 10, 4096 + 90 * CHUNK, 10, &chunk));
    assert_null(tail_find(&tail, 10, 4096 + 89 * CHUNK, 10, &chunk));
    tail_check(&tail);
    tail_deinit(&tail);
}

static void add_block(struct tail *tail, uint64_t offset, char c)
{
    struct chunk *chunk = filled(c);
    tail_block_add(tail, tail_key(TAIL_SEGMENT, 1, offset), offset, chunk, NULL, 0);
    chunk_unref(chunk);
}

static void cold_blocks_share_the_budget_and_the_newest_always_stays(void **state)
{
    struct tail tail;
    tail_init(&tail, 20 * CHUNK, &spares);
    for (uint32_t i = 0; i < 20; i++) {
        add(&tail, 1, (uint64_t)i * CHUNK, 'h');
    }
    for (uint64_t i = 0; i < 50; i++) {
        add_block(&tail, i * CHUNK, 'c');
        assert_non_null(tail_block_find(&tail, tail_key(TAIL_SEGMENT, 1, i * CHUNK)));
        assert_true(tail.hot_bytes + tail.cold_bytes <= 20 * CHUNK);
        tail_check(&tail);
    }
    assert_null(tail_block_find(&tail, tail_key(TAIL_SEGMENT, 1, 0)));
    assert_null(tail_block_find(&tail, tail_key(TAIL_LOG, 1, 49 * CHUNK)));
    assert_true(tail.count > 10); // the hot tail keeps most of it
    tail_deinit(&tail);
}

static void a_block_used_again_outlives_one_that_was_not(void **state)
{
    struct tail tail;
    tail_init(&tail, 4 * (CHUNK + 128), &spares);
    add_block(&tail, 0, 'a');
    add_block(&tail, CHUNK, 'b');
    add_block(&tail, 2 * CHUNK, 'c');
    assert_non_null(tail_block_find(&tail, tail_key(TAIL_SEGMENT, 1, 0)));
    add_block(&tail, 3 * CHUNK, 'd');
    add_block(&tail, 4 * CHUNK, 'e');
    assert_non_null(tail_block_find(&tail, tail_key(TAIL_SEGMENT, 1, 0)));
    assert_null(tail_block_find(&tail, tail_key(TAIL_SEGMENT, 1, CHUNK)));
    tail_deinit(&tail);
}

static void a_block_larger_than_the_budget_is_kept_until_the_next(void **state)
{
    struct tail tail;
    tail_init(&tail, 100, &spares);
    add_block(&tail, 0, 'a');
    assert_non_null(tail_block_find(&tail, tail_key(TAIL_SEGMENT, 1, 0)));
    add_block(&tail, CHUNK, 'b');
    assert_null(tail_block_find(&tail, tail_key(TAIL_SEGMENT, 1, 0)));
    assert_non_null(tail_block_find(&tail, tail_key(TAIL_SEGMENT, 1, CHUNK)));
    tail_check(&tail);
    tail_deinit(&tail);
}

static void memory_chunks_live_as_long_as_a_message_in_them(void **state)
{
    struct tail tail;
    tail_init(&tail, 0, &spares);
    struct chunk *chunk = filled('m');
    chunk->number = 5;
    for (int i = 0; i < 10; i++) {
        tail_memory_add(&tail, chunk);
    }
    assert_int_equal(tail.memory_bytes, CHUNK);
    assert_int_equal(chunk->refs, 2);
    tail_memory_gone(&tail, 5, 4);
    assert_ptr_equal(tail_memory_find(&tail, 5), chunk);
    tail_memory_gone(&tail, 5, 6);
    assert_int_equal(tail.memory_bytes, 0);
    assert_int_equal(chunk->refs, 1);
    tail_memory_add(&tail, chunk); // the open chunk may come back
    assert_int_equal(chunk->refs, 2);
    tail_deinit(&tail);
    chunk_unref(chunk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_bytes_by_position),
        cmocka_unit_test(pieces_of_one_chunk_are_merged_and_counted_once),
        cmocka_unit_test(the_oldest_chunk_goes_first),
        cmocka_unit_test(cold_blocks_share_the_budget_and_the_newest_always_stays),
        cmocka_unit_test(a_block_used_again_outlives_one_that_was_not),
        cmocka_unit_test(a_block_larger_than_the_budget_is_kept_until_the_next),
        cmocka_unit_test(memory_chunks_live_as_long_as_a_message_in_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
