// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stream/roster.h"

enum { COUNT = 1000 };

static void test_first_come_first_served(void **state)
{
    (void)state;
    struct roster roster;
    int items[COUNT];
    roster_init(&roster);
    assert_true(roster_is_empty(&roster));
    assert_null(roster_pop(&roster));
    size_t next = 0;
    for (size_t i = 0; i < COUNT; i++) { // it grows around its end
        assert_true(roster_push(&roster, &items[i]) > 0);
        if (i % 3 == 0)
            assert_ptr_equal(roster_pop(&roster), &items[next++]);
    }
    while (next < COUNT)
        assert_ptr_equal(roster_pop(&roster), &items[next++]);
    assert_true(roster_is_empty(&roster));
    assert_null(roster_pop(&roster));
    roster_deinit(&roster);
}

static void test_who_leaves_is_passed_over(void **state)
{
    (void)state;
    struct roster roster;
    int items[COUNT];
    uint64_t places[COUNT];
    void *front[4];
    roster_init(&roster);
    for (size_t i = 0; i < COUNT; i++)
        places[i] = roster_push(&roster, &items[i]);
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 4)
            roster_remove(&roster, places[i]);
    }
    assert_int_equal(roster_front(&roster, front, 4), 4);
    for (size_t i = 0; i < 4; i++)
        assert_ptr_equal(front[i], &items[4 * i]);
    for (size_t i = 0; i < COUNT; i += 4)
        assert_ptr_equal(roster_pop(&roster), &items[i]);
    assert_true(roster_is_empty(&roster));
    assert_int_equal(roster_front(&roster, front, 4), 0);
    places[0] = roster_push(&roster, &items[0]);
    roster_remove(&roster, places[0]);
    assert_true(roster_is_empty(&roster));
    assert_null(roster_pop(&roster));
    roster_deinit(&roster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_who_leaves_is_passed_over),
    };
    return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
