// SPDX-License-Identifier: Apache-2.0
#include "client/handover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>

struct weir_inflight_entry {
    size_t number;
};

static void what_goes_in_comes_out_in_order(void **state)
{
    static struct weir_handover handover;
    static struct weir_inflight_entry entries[3 * WEIR_HANDOVER_MAX];
    size_t in = 0, out = 0;
    (void)state;
    assert_null(weir_handover_take(&handover));
    for (size_t at_once = 1; in + at_once <= 3 * WEIR_HANDOVER_MAX && at_once <= WEIR_HANDOVER_MAX; at_once *= 2) {
        for (size_t i = 0; i < at_once; i++)
            assert_true(weir_handover_put(&handover, &entries[in++]));
        for (size_t i = 0; i < at_once; i++)
            assert_ptr_equal(weir_handover_take(&handover), &entries[out++]);
        assert_null(weir_handover_take(&handover));
    }
}

static void a_full_one_takes_no_more(void **state)
{
    static struct weir_handover handover;
    static struct weir_inflight_entry entries[WEIR_HANDOVER_MAX + 1];
    (void)state;
    for (size_t i = 0; i < WEIR_HANDOVER_MAX; i++)
        assert_true(weir_handover_put(&handover, &entries[i]));
    assert_false(weir_handover_put(&handover, &entries[WEIR_HANDOVER_MAX]));
    assert_ptr_equal(weir_handover_take(&handover), &entries[0]);
    assert_true(weir_handover_put(&handover, &entries[WEIR_HANDOVER_MAX]));
    assert_false(weir_handover_put(&handover, &entries[0]));
    for (size_t i = 1; i <= WEIR_HANDOVER_MAX; i++)
        assert_ptr_equal(weir_handover_take(&handover), &entries[i]);
    assert_null(weir_handover_take(&handover));
}

enum { MANY = 20 * WEIR_HANDOVER_MAX };

struct pair {
    struct weir_handover there, back;
};

// Takes what comes, says so in it, and hands it back.
static void *answer(void *closure)
{
    struct pair *pair = closure;
    for (size_t i = 0; i < MANY;) {
        struct weir_inflight_entry *entry = weir_handover_take(&pair->there);
        if (!entry) {
            sched_yield();
            continue;
        }
        entry->number = entry->number == i ? ~i : 0;
        while (!weir_handover_put(&pair->back, entry))
            sched_yield();
        i++;
    }
    return NULL;
}

static void two_threads_see_what_the_other_wrote(void **state)
{
    static struct pair pair;
    static struct weir_inflight_entry entries[64];
    pthread_t thread;
    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, answer, &pair), 0);
    for (size_t made = 0, seen = 0; seen < MANY;) {
        struct weir_inflight_entry *entry = weir_handover_take(&pair.back);
        if (entry) {
            assert_ptr_equal(entry, &entries[seen % 64]);
            assert_true(entry->number == ~seen);
            seen++;
        } else if (made < MANY && made - seen < 64) {
            entries[made % 64].number = made;
            assert_true(weir_handover_put(&pair.there, &entries[made % 64]));
            made++;
        } else {
            sched_yield();
        }
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out_in_order),
        cmocka_unit_test(a_full_one_takes_no_more),
        cmocka_unit_test(two_threads_see_what_the_other_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
