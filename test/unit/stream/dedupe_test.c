// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "stream/dedupe.h"

static struct hash128 id_of(uint64_t n)
{
    return hash128_bytes(bytes_make(&n, sizeof(n)), 1);
}

static void test_finds_until_it_expires(void **state)
{
    struct dedupe d;
    uint64_t sequence = 0;
    dedupe_init(&d, 100);
    dedupe_add(&d, id_of(1), 10, 5, 1000);
    assert_true(dedupe_find(&d, id_of(1), 999, &sequence));
    assert_int_equal(sequence, 10);
    assert_false(dedupe_find(&d, id_of(2), 999, &sequence));
    assert_false(dedupe_find(&d, id_of(1), 1000, &sequence));
    dedupe_add(&d, id_of(1), 11, 6, 2000);
    assert_true(dedupe_find(&d, id_of(1), 1500, &sequence));
    assert_int_equal(sequence, 11);
    assert_false(dedupe_expire(&d, 1500, 10));
    assert_int_equal(dedupe_count(&d), 1);
    assert_true(dedupe_find(&d, id_of(1), 1500, &sequence));
    dedupe_check(&d);
    dedupe_deinit(&d);
}

static void test_time_may_wrap(void **state)
{
    struct dedupe d;
    uint64_t sequence;
    dedupe_init(&d, 100);
    dedupe_add(&d, id_of(1), 1, 1, UINT32_MAX - 5u + 100u);
    assert_true(dedupe_find(&d, id_of(1), UINT32_MAX - 5u, &sequence));
    assert_true(dedupe_find(&d, id_of(1), 93, &sequence));
    assert_false(dedupe_find(&d, id_of(1), 94, &sequence));
    dedupe_deinit(&d);
}

static void test_streams_do_not_share_ids(void **state)
{
    struct hash128 a = dedupe_key(1, id_of(1)), b = dedupe_key(2, id_of(1));
    assert_false(hash128_equal(a, b));
}

static void test_drop_forgets_the_tail_only(void **state)
{
    struct dedupe d;
    uint64_t sequence, from, to;
    dedupe_init(&d, 100000);
    for (uint64_t n = 1; n <= 10000; n++)
        dedupe_add(&d, id_of(n), n, n / 10, 1000);
    dedupe_drop(&d, 500);
    dedupe_check(&d);
    assert_int_equal(dedupe_count(&d), 5009);
    assert_true(dedupe_find(&d, id_of(5009), 1, &sequence));
    assert_false(dedupe_find(&d, id_of(5010), 1, &sequence));
    dedupe_range(&d, 100, 199, &from, &to);
    assert_int_equal(to - from, 1000);
    assert_int_equal(dedupe_at(&d, from)->sequence, 1000);
    dedupe_deinit(&d);
}

static void test_restored_ids_are_found_and_not_saved_again(void **state)
{
    struct dedupe d;
    uint64_t sequence, from, to;
    dedupe_init(&d, 100);
    dedupe_add(&d, id_of(2), 4, 7, 60);
    dedupe_restore(&d, id_of(1), 3, 0, 50);
    assert_true(dedupe_find(&d, id_of(1), 10, &sequence));
    dedupe_range(&d, 0, 100, &from, &to);
    assert_int_equal(to - from, 1);
    dedupe_shift(&d, 1000);
    assert_true(dedupe_find(&d, id_of(1), 1010, &sequence));
    dedupe_deinit(&d);
}

// As a start does: what the log has first, then what was saved, the newest first; and meanwhile the first expire.
static void test_restored_in_front(void **state)
{
    enum { COUNT = 50000, FILES = 10 };
    struct dedupe d;
    uint64_t sequence, from, to;
    dedupe_init(&d, UINT32_MAX);
    for (uint64_t n = 4 * COUNT; n < 5 * COUNT; n++)
        dedupe_add(&d, id_of(n), n, 1000 + n, 2000);
    for (uint64_t n = 4 * COUNT; n-- > 2 * COUNT;)
        dedupe_restore(&d, id_of(n), n, 100 + n / (COUNT / FILES), 1000);
    dedupe_restore(&d, id_of(4 * COUNT + 1), 1, 101, 1000); // a newer one has this key: it only takes its memory
    dedupe_check(&d);
    assert_true(dedupe_find(&d, id_of(4 * COUNT + 1), 0, &sequence));
    assert_int_equal(sequence, 4 * COUNT + 1);
    for (uint64_t n = 2 * COUNT; n-- > COUNT;)
        dedupe_restore(&d, id_of(n), n, 0, 500);
    dedupe_check(&d);
    assert_int_equal(dedupe_count(&d), 4 * COUNT + 1);
    dedupe_range(&d, 100 + 2 * FILES, 100 + 2 * FILES, &from, &to);
    assert_int_equal(to - from, COUNT / FILES);
    assert_int_equal(dedupe_at(&d, from)->sequence, 2 * COUNT);
    assert_false(dedupe_expire(&d, 500, SIZE_MAX));
    for (uint64_t n = COUNT; n-- > 0;)
        dedupe_restore(&d, id_of(n), n, 0, 700);
    dedupe_check(&d);
    for (uint64_t n = 0; n < 5 * COUNT; n++) {
        bool known = dedupe_find(&d, id_of(n), 600, &sequence);
        assert_int_equal(known, n < COUNT || n >= 2 * COUNT);
        assert_true(!known || sequence == n);
    }
    dedupe_drop(&d, 100 + 3 * FILES - 1); // the ids of the last file restored and of the log
    dedupe_check(&d);
    assert_int_equal(dedupe_count(&d), 2 * COUNT + 1);
    assert_false(dedupe_expire(&d, 3000, SIZE_MAX));
    assert_int_equal(dedupe_count(&d), 0);
    dedupe_deinit(&d);
}

// The newest of one key is found whether it is in a table or waits for its place there, whatever comes in between.
static void test_the_newest_restored_is_found(void **state)
{
    enum { COUNT = 6000, KEYS = 500 };
    struct dedupe d;
    uint64_t sequence;
    dedupe_init(&d, UINT32_MAX);
    dedupe_expect(&d, COUNT);
    for (uint64_t n = COUNT; n-- > 0;) {
        dedupe_restore(&d, id_of(n % KEYS), n, 0, (uint32_t)(1000 + n));
        assert_true(dedupe_find(&d, id_of(n % KEYS), 0, &sequence));
        assert_int_equal(sequence, n >= COUNT - KEYS ? n : n % KEYS + COUNT - KEYS);
        if (n % 1000 == 0)
            dedupe_check(&d);
    }
    assert_false(dedupe_expire(&d, 1000 + COUNT - KEYS, SIZE_MAX)); // those that have no place in a table
    dedupe_check(&d);
    assert_int_equal(dedupe_count(&d), KEYS - 1);
    dedupe_add(&d, id_of(1), COUNT, 1, 9000);
    dedupe_restored(&d);
    dedupe_check(&d);
    for (uint64_t n = 1; n < KEYS; n++) {
        assert_true(dedupe_find(&d, id_of(n), 0, &sequence));
        assert_int_equal(sequence, n == 1 ? COUNT : COUNT - KEYS + n);
    }
    dedupe_deinit(&d);
}

// Tables that know what will come are no larger than others, and a wrong estimate does not make them so.
static void test_memory_of_restored(void **state)
{
    enum { COUNT = 150000 };
    struct dedupe added, restored, fooled;
    dedupe_init(&added, UINT32_MAX);
    dedupe_init(&restored, UINT32_MAX);
    dedupe_init(&fooled, UINT32_MAX);
    dedupe_expect(&restored, COUNT);
    dedupe_expect(&fooled, 1000000000);
    for (uint64_t n = 0; n < COUNT; n++) {
        dedupe_add(&added, id_of(n), n, n, 1000);
        dedupe_restore(&restored, id_of(n), n, 0, 1000);
        dedupe_restore(&fooled, id_of(n), n, 0, 1000);
    }
    dedupe_restored(&restored);
    dedupe_restored(&fooled);
    assert_int_equal(dedupe_memory(&restored), dedupe_memory(&added));
    assert_true(dedupe_memory(&fooled) < 3 * dedupe_memory(&added));
    dedupe_deinit(&added);
    dedupe_deinit(&restored);
    dedupe_deinit(&fooled);
}

static void test_full(void **state)
{
    struct dedupe d;
    dedupe_init(&d, 3);
    for (uint64_t n = 0; n < 3; n++)
        dedupe_add(&d, id_of(n), n, n, (uint32_t)(10 + n));
    assert_true(dedupe_is_full(&d));
    assert_false(dedupe_expire(&d, 10, 10));
    assert_false(dedupe_is_full(&d));
    dedupe_deinit(&d);
}

// Against a plain array, with a window that moves.
static void test_model(void **state)
{
    enum { IDS = 3000, STEPS = 200000, WINDOW = 5000 };
    static uint32_t expires[IDS];
    static uint64_t sequences[IDS];
    struct dedupe d;
    struct prng prng;
    prng_seed(&prng, 7);
    memset(expires, 0, sizeof(expires));
    dedupe_init(&d, UINT32_MAX);
    uint32_t now = 1;
    for (uint64_t step = 1; step <= STEPS; step++) {
        now += prng_next(&prng) % 3;
        uint64_t n = prng_next(&prng) % IDS, sequence = 0;
        bool known = dedupe_find(&d, id_of(n), now, &sequence);
        assert_int_equal(known, expires[n] > now);
        if (known) {
            assert_int_equal(sequence, sequences[n]);
        } else {
            dedupe_add(&d, id_of(n), step, step, now + WINDOW);
            expires[n] = now + WINDOW;
            sequences[n] = step;
        }
        dedupe_expire(&d, now, 2);
        if (step % 10000 == 0)
            dedupe_check(&d);
    }
    dedupe_deinit(&d);
}

static void test_memory_per_id(void **state)
{
    struct dedupe d;
    dedupe_init(&d, UINT32_MAX);
    for (uint64_t n = 0; n < 300000; n++)
        dedupe_add(&d, id_of(n), n, n, 1);
    assert_in_range(dedupe_memory(&d) / 300000, 32, 52);
    dedupe_deinit(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_until_it_expires),
        cmocka_unit_test(test_time_may_wrap),
        cmocka_unit_test(test_streams_do_not_share_ids),
        cmocka_unit_test(test_drop_forgets_the_tail_only),
        cmocka_unit_test(test_restored_ids_are_found_and_not_saved_again),
        cmocka_unit_test(test_restored_in_front),
        cmocka_unit_test(test_the_newest_restored_is_found),
        cmocka_unit_test(test_memory_of_restored),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_memory_per_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
