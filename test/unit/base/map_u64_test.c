// SPDX-License-Identifier: Apache-2.0
// As map_test.c, with numbers: the extremes, runs of neighbours, and numbers that differ in high bits only.
#include "base/map_u64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"

struct entry {
    uint64_t key;
    bool in;
    int seen;
};

static void make_entries(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t key = i % 3 == 0 ? i : i % 3 == 1 ? UINT64_MAX - i : (uint64_t)i << 48;
        entries[i] = (struct entry){.key = key};
    }
}

static void finds_what_was_added(void **state)
{
    struct map_u64 map;
    int one, two;
    map_u64_init(&map, 2);
    assert_null(map_u64_find(&map, 0));
    assert_null(map_u64_remove(&map, 0));
    assert_int_equal(map_u64_add(&map, 0, &one), 0);
    assert_int_equal(map_u64_add(&map, 0, &two), ERR_EXISTS);
    assert_int_equal(map_u64_add(&map, UINT64_MAX, &two), 0);
    assert_int_equal(map_u64_add(&map, 1, &two), ERR_LIMIT);
    assert_ptr_equal(map_u64_find(&map, 0), &one);
    assert_ptr_equal(map_u64_find(&map, UINT64_MAX), &two);
    assert_ptr_equal(map_u64_remove(&map, 0), &one);
    assert_null(map_u64_find(&map, 0));
    assert_int_equal(map_u64_count(&map), 1);
    map_u64_deinit(&map);
    assert_null(map.slots);
}

static void check_against(const struct map_u64 *map, struct entry *entries, size_t count)
{
    size_t in = 0, pos = 0;
    uint64_t key;
    map_u64_check(map);
    for (size_t i = 0; i < count; i++) {
        entries[i].seen = 0;
        in += entries[i].in;
        assert_ptr_equal(map_u64_find(map, entries[i].key), entries[i].in ? &entries[i] : NULL);
    }
    assert_int_equal(map_u64_count(map), in);
    for (struct entry *entry = map_u64_next(map, &pos, &key); entry; entry = map_u64_next(map, &pos, &key)) {
        assert_true(entry->in && entry->seen++ == 0 && key == entry->key);
        in--;
    }
    assert_int_equal(in, 0);
}

static void follows_a_model(void **state)
{
    enum { ENTRIES = 300, MAX = 250 };
    static struct entry entries[ENTRIES];
    struct map_u64 map;
    struct prng prng;
    prng_seed(&prng, 15);
    make_entries(entries, ENTRIES);
    map_u64_init(&map, MAX);
    for (int step = 0; step < 40000; step++) {
        uint64_t adding = step / 2000 % 2 ? 3 : 1;
        struct entry *entry = &entries[prng_below(&prng, ENTRIES)];
        if (prng_chance(&prng, adding, 4)) {
            int expected = entry->in ? ERR_EXISTS : map_u64_count(&map) == MAX ? ERR_LIMIT : 0;
            assert_int_equal(map_u64_add(&map, entry->key, entry), expected);
            entry->in = entry->in || expected == 0;
        } else {
            assert_ptr_equal(map_u64_remove(&map, entry->key), entry->in ? entry : NULL);
            entry->in = false;
        }
        if (step % 64 == 0) {
            check_against(&map, entries, ENTRIES);
        }
    }
    map_u64_deinit(&map);
}

static void removes_while_iterating(void **state)
{
    enum { ENTRIES = 200 };
    static struct entry entries[ENTRIES];
    struct prng prng;
    prng_seed(&prng, 16);
    for (uint64_t round = 0; round < 200; round++) {
        struct map_u64 map;
        size_t pos = 0, visited = 0;
        size_t count = prng_below(&prng, ENTRIES) + 1;
        make_entries(entries, count);
        map_u64_init(&map, ENTRIES);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(map_u64_add(&map, entries[i].key, &entries[i]), 0);
            entries[i].in = true;
        }
        for (struct entry *entry = map_u64_next(&map, &pos, NULL); entry; entry = map_u64_next(&map, &pos, NULL)) {
            assert_int_equal(entry->seen++, 0);
            visited++;
            if (prng_chance(&prng, round % 5, 4)) {
                assert_ptr_equal(map_u64_remove(&map, entry->key), entry);
                entry->in = false;
            }
        }
        assert_int_equal(visited, count);
        check_against(&map, entries, count);
        map_u64_deinit(&map);
    }
}

// A window of sequences, as messages in flight are: the table neither grows nor is allocated anew.
static void a_moving_window_settles(void **state)
{
    enum { WINDOW = 500 };
    struct map_u64 map;
    struct map_u64_slot *slots = NULL;
    int value;
    map_u64_init(&map, WINDOW);
    for (uint64_t seq = 0; seq < 50000; seq++) {
        assert_int_equal(map_u64_add(&map, seq, &value), 0);
        if (seq >= WINDOW - 1) {
            assert_ptr_equal(map_u64_remove(&map, seq - (WINDOW - 1)), &value);
            assert_true(!slots || slots == map.slots);
            slots = map.slots;
        }
    }
    map_u64_check(&map);
    map_u64_deinit(&map);
}

static void gives_a_spike_back(void **state)
{
    enum { ENTRIES = 5000 };
    struct map_u64 map;
    int value;
    map_u64_init(&map, ENTRIES);
    for (uint64_t key = 0; key < ENTRIES; key++) {
        assert_int_equal(map_u64_add(&map, key, &value), 0);
    }
    size_t spike_cap = map.cap;
    for (uint64_t key = 0; key < ENTRIES - 3; key++) {
        assert_ptr_equal(map_u64_remove(&map, key), &value);
    }
    for (size_t i = 0; i < spike_cap; i++) {
        assert_int_equal(map_u64_add(&map, 1, &value), 0);
        assert_ptr_equal(map_u64_remove(&map, 1), &value);
    }
    assert_int_equal(map.cap, 16);
    assert_ptr_equal(map_u64_find(&map, ENTRIES - 1), &value);
    map_u64_check(&map);
    map_u64_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),    cmocka_unit_test(follows_a_model),
        cmocka_unit_test(removes_while_iterating), cmocka_unit_test(a_moving_window_settles),
        cmocka_unit_test(gives_a_spike_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
