// SPDX-License-Identifier: Apache-2.0
// Look-up, limits, iteration with removal, and a random life against an array; colliding keys included.
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/endian.h"
#include "base/prng.h"

struct entry {
    char key[8];
    size_t key_len;
    bool in;
    int seen;
};

static struct bytes key_of(const struct entry *entry)
{
    return bytes_make(entry->key, entry->key_len);
}

// Keys of different lengths that share prefixes; the empty one is the first.
static void make_entries(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct entry){.in = false};
        put_u32(entries[i].key, (uint32_t)i);
        entries[i].key_len = i == 0 ? 0 : i < 128 ? 1 : 4;
    }
}

static void finds_what_was_added(void **state)
{
    struct map map;
    int one, two;
    map_init(&map, 2);
    assert_null(map_find(&map, BYTES("a")));
    assert_null(map_remove(&map, BYTES("a")));
    assert_int_equal(map_add(&map, BYTES("a"), &one), 0);
    assert_int_equal(map_add(&map, BYTES("a"), &two), ERR_EXISTS);
    assert_int_equal(map_add(&map, BYTES(""), &two), 0);
    assert_int_equal(map_add(&map, BYTES("b"), &two), ERR_LIMIT);
    assert_int_equal(map_add(&map, BYTES("a"), &two), ERR_EXISTS);
    assert_ptr_equal(map_find(&map, BYTES("a")), &one);
    assert_ptr_equal(map_find(&map, bytes_make(NULL, 0)), &two);
    assert_null(map_find(&map, BYTES("ab")));
    assert_ptr_equal(map_remove(&map, BYTES("a")), &one);
    assert_null(map_find(&map, BYTES("a")));
    assert_int_equal(map_count(&map), 1);
    map_deinit(&map);
    assert_null(map.slots);
}

static void check_against(const struct map *map, struct entry *entries, size_t count)
{
    size_t in = 0, pos = 0;
    struct bytes key;
    map_check(map);
    for (size_t i = 0; i < count; i++) {
        entries[i].seen = 0;
        in += entries[i].in;
        assert_ptr_equal(map_find(map, key_of(&entries[i])), entries[i].in ? &entries[i] : NULL);
    }
    for (size_t i = 0; i < count; i += MAP_MANY_MAX) {
        struct bytes keys[MAP_MANY_MAX];
        void *found[MAP_MANY_MAX];
        size_t many = count - i < MAP_MANY_MAX ? count - i : MAP_MANY_MAX;
        for (size_t j = 0; j < many; j++)
            keys[j] = key_of(&entries[i + j]);
        map_find_many(map, keys, many, found);
        for (size_t j = 0; j < many; j++)
            assert_ptr_equal(found[j], entries[i + j].in ? &entries[i + j] : NULL);
    }
    assert_int_equal(map_count(map), in);
    for (struct entry *entry = map_next(map, &pos, &key); entry; entry = map_next(map, &pos, &key)) {
        assert_true(entry->in && entry->seen++ == 0 && bytes_equal(key, key_of(entry)));
        in--;
    }
    assert_int_equal(in, 0);
}

static void follows_a_model(void **state)
{
    enum { ENTRIES = 300, MAX = 250 };
    static struct entry entries[ENTRIES];
    struct map map;
    struct prng prng;
    prng_seed(&prng, 5);
    make_entries(entries, ENTRIES);
    map_init_seeded(&map, MAX, 99);
    for (int step = 0; step < 40000; step++) {
        // The share of additions swings, so that the map fills and empties again and again.
        uint64_t adding = step / 2000 % 2 ? 3 : 1;
        struct entry *entry = &entries[prng_below(&prng, ENTRIES)];
        if (prng_chance(&prng, adding, 4)) {
            int expected = entry->in ? ERR_EXISTS : map_count(&map) == MAX ? ERR_LIMIT : 0;
            assert_int_equal(map_add(&map, key_of(entry), entry), expected);
            entry->in = entry->in || expected == 0;
        } else {
            assert_ptr_equal(map_remove(&map, key_of(entry)), entry->in ? entry : NULL);
            entry->in = false;
        }
        if (step % 64 == 0) {
            check_against(&map, entries, ENTRIES);
        }
    }
    map_deinit(&map);
}

static void removes_while_iterating(void **state)
{
    enum { ENTRIES = 200 };
    static struct entry entries[ENTRIES];
    struct prng prng;
    prng_seed(&prng, 6);
    for (uint64_t round = 0; round < 200; round++) {
        struct map map;
        size_t pos = 0, visited = 0;
        size_t count = prng_below(&prng, ENTRIES) + 1;
        make_entries(entries, count);
        map_init_seeded(&map, ENTRIES, round);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(map_add(&map, key_of(&entries[i]), &entries[i]), 0);
            entries[i].in = true;
        }
        for (struct entry *entry = map_next(&map, &pos, NULL); entry; entry = map_next(&map, &pos, NULL)) {
            assert_int_equal(entry->seen++, 0);
            visited++;
            if (prng_chance(&prng, round % 5, 4)) {
                assert_ptr_equal(map_remove(&map, key_of(entry)), entry);
                entry->in = false;
            }
        }
        assert_int_equal(visited, count);
        assert_null(map_next(&map, &pos, NULL));
        check_against(&map, entries, count);
        map_deinit(&map);
    }
}

static void gives_a_spike_back_and_keeps_a_working_set(void **state)
{
    enum { ENTRIES = 5000, WORKING_SET = 20 };
    static struct entry entries[ENTRIES];
    struct map map;
    make_entries(entries, ENTRIES);
    map_init(&map, ENTRIES);
    for (size_t i = 0; i < ENTRIES; i++) {
        assert_int_equal(map_add(&map, key_of(&entries[i]), &entries[i]), 0);
    }
    size_t spike_cap = map.cap;
    for (size_t i = 0; i < ENTRIES; i++) {
        assert_ptr_equal(map_remove(&map, key_of(&entries[i])), &entries[i]);
    }
    struct map_slot *slots = NULL;
    for (int round = 0; round < 2000; round++) {
        for (size_t i = 0; i < WORKING_SET; i++) {
            assert_int_equal(map_add(&map, key_of(&entries[i]), &entries[i]), 0);
        }
        for (size_t i = 0; i < WORKING_SET; i++) {
            assert_ptr_equal(map_remove(&map, key_of(&entries[i])), &entries[i]);
        }
        if (round >= 1000) {
            assert_true(!slots || slots == map.slots); // settled: no more allocation
            slots = map.slots;
        }
    }
    assert_true(map.cap <= 64 && map.cap < spike_cap);
    map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(follows_a_model),
        cmocka_unit_test(removes_while_iterating),
        cmocka_unit_test(gives_a_spike_back_and_keeps_a_working_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
