// SPDX-License-Identifier: Apache-2.0
// Entries built in place: what is reserved ends up in entries, in order, hashed, with no allocation once warm.
#include "store/appender.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char *put(struct appender *appender, size_t size, uint64_t *ret_index)
{
    char *at = appender_reserve(appender, size, ret_index);
    record_begin(at, (uint32_t)size, RECORD_ACKED, 0, 1);
    memset(at + RECORD_HEADER_SIZE, 'x', size - RECORD_HEADER_SIZE);
    record_seal(at);
    return at;
}

static struct chunk_spares spares = {.capacity = 4096}; // none are kept

static void records_of_a_turn_are_one_entry(void **state)
{
    struct appender appender;
    uint64_t index;
    appender_init(&appender, &spares, 1024, 41);
    put(&appender, 20, &index);
    assert_int_equal(index, 42);
    put(&appender, 33, &index);
    assert_int_equal(index, 42);
    appender_seal(&appender);
    put(&appender, 20, &index);
    assert_int_equal(index, 43);
    assert_int_equal(appender.count, 1);
    struct appender_entry *entry = appender_at(&appender, 0);
    assert_int_equal(entry->index, 42);
    assert_int_equal(entry->count, 2);
    assert_int_equal(entry->length, ENTRY_HEADER_SIZE + 24 + 40);
    char *header = entry->chunk->data + entry->offset;
    struct entry_header decoded;
    entry_place(header, 1, 64);
    assert_int_equal(entry_decode(header, 1, 64, &decoded), 0);
    assert_int_equal(decoded.hash, entry_hash(appender_records(entry)));
    struct appender_entry taken = appender_pop(&appender);
    chunk_unref(taken.chunk);
    assert_int_equal(appender.queued_bytes, ENTRY_HEADER_SIZE + 24);
    appender_deinit(&appender);
}

static void sealing_nothing_makes_nothing(void **state)
{
    struct appender appender;
    appender_init(&appender, &spares, 1024, 0);
    appender_seal(&appender);
    assert_int_equal(appender.count, 0);
    assert_int_equal(appender.last_index, 0);
    appender_deinit(&appender);
}

static void entries_and_chunks_have_a_maximum(void **state)
{
    struct appender appender;
    uint64_t index;
    appender_init(&appender, &spares, 1024, 0);
    for (int i = 0; i < 100; i++)
        put(&appender, 200, &index);
    put(&appender, 10000, &index); // larger than a chunk: has its own
    appender_seal(&appender);
    uint64_t expected = 1;
    size_t records = 0;
    while (appender.count) {
        struct appender_entry entry = appender_pop(&appender);
        assert_int_equal(entry.index, expected++);
        assert_true(entry.length <= ENTRY_HEADER_SIZE + 1024 || entry.count == 1);
        assert_true(entry.offset + entry.length <= entry.chunk->capacity);
        records += entry.count;
        chunk_unref(entry.chunk);
    }
    assert_int_equal(records, 101);
    assert_int_equal(appender.queued_bytes, 0);
    appender_deinit(&appender);
}

static void records_that_belong_together_are_one_entry(void **state)
{
    struct appender appender;
    const size_t sizes[] = {100, 500, 2000, 6000}; // fits, fits the next entry, an entry of its own, a chunk of its own
    appender_init(&appender, &spares, 1024, 0);
    for (int i = 0; i < 4; i++) {
        uint64_t index, first, second, third;
        put(&appender, 600, &index);
        appender_together(&appender, record_padded(sizes[i]) + 40);
        put(&appender, sizes[i], &first);
        put(&appender, 30, &second);
        assert_int_equal(first, second);
        assert_true((first == index) == (i == 0));
        put(&appender, 1000, &third); // what comes next has its limit again
        assert_int_equal(third, first + 1);
        appender_seal(&appender);
    }
    while (appender.count) {
        struct appender_entry entry = appender_pop(&appender);
        assert_true(entry.offset + entry.length <= entry.chunk->capacity);
        chunk_unref(entry.chunk);
    }
    appender_deinit(&appender);
}

static void what_is_dropped_gives_its_indexes_back(void **state)
{
    struct appender appender;
    uint64_t index;
    appender_init(&appender, &spares, 1024, 0);
    for (int i = 0; i < 5; i++) {
        put(&appender, 100, &index);
        appender_seal(&appender);
    }
    put(&appender, 100, &index);
    assert_int_equal(index, 6);
    appender_drop(&appender, 2, 2);
    assert_int_equal(appender.count, 2);
    assert_int_equal(appender.queued_bytes, 2 * (ENTRY_HEADER_SIZE + 104));
    put(&appender, 100, &index);
    assert_int_equal(index, 3);
    appender_deinit(&appender);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_a_turn_are_one_entry),
        cmocka_unit_test(sealing_nothing_makes_nothing),
        cmocka_unit_test(entries_and_chunks_have_a_maximum),
        cmocka_unit_test(records_that_belong_together_are_one_entry),
        cmocka_unit_test(what_is_dropped_gives_its_indexes_back),
    };
    return cmocka_run_group_tests_name("store/appender", tests, NULL, NULL);
}
