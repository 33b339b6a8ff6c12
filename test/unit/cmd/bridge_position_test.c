// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/bridge_position.h"

static int set_up(void **state)
{
    static struct bridge_position position;
    bridge_position_init(&position);
    *state = &position;
    return 0;
}

static int tear_down(void **state)
{
    bridge_position_deinit(*state);
    return 0;
}

// The time of a message is its number unless a test says otherwise.
static enum bridge_verdict take(struct bridge_position *position, uint64_t sequence)
{
    return bridge_position_take(position, sequence, sequence);
}

static void copy(struct bridge_position *position, uint64_t first, uint64_t last)
{
    for (uint64_t sequence = first; sequence <= last; sequence++)
        assert_int_equal(take(position, sequence), BRIDGE_COPY);
}

static void arrive(struct bridge_position *position, uint64_t first, uint64_t last)
{
    for (uint64_t sequence = first; sequence <= last; sequence++)
        assert_true(bridge_position_arrived(position, position->epoch, sequence));
}

static void one_is_copied_once(void **state)
{
    struct bridge_position *position = *state;
    copy(position, 1, 3);
    assert_int_equal(take(position, 2), BRIDGE_WAIT);
    arrive(position, 2, 2);
    assert_int_equal(take(position, 2), BRIDGE_PRESENT);
    assert_int_equal(take(position, 3), BRIDGE_WAIT);
    assert_false(bridge_position_arrived(position, 0, 2));
    assert_false(bridge_position_arrived(position, 1, 3));
    assert_false(bridge_position_arrived(position, 0, 7));
    assert_false(bridge_position_arrived(position, 0, UINT64_MAX));
    assert_int_equal(take(position, 4), BRIDGE_COPY);
    assert_int_equal(bridge_position_reached(position), 4);
}

static void behind_a_gap_it_is_looked_twice(void **state)
{
    struct bridge_position *position = *state;
    assert_int_equal(take(position, 5), BRIDGE_GAP); // the first of all
    assert_int_equal(take(position, 5), BRIDGE_COPY);
    assert_int_equal(take(position, 8), BRIDGE_GAP);
    // It was only lost on the way.
    copy(position, 6, 8);
    assert_int_equal(take(position, 20), BRIDGE_GAP);
    assert_int_equal(take(position, 15), BRIDGE_GAP);
    assert_int_equal(take(position, 15), BRIDGE_COPY);
    assert_int_equal(take(position, 20), BRIDGE_GAP);
    assert_int_equal(take(position, 20), BRIDGE_COPY);
}

static void what_was_on_its_way_is_forgotten_with_the_connection(void **state)
{
    struct bridge_position *position = *state;
    copy(position, 1, 6);
    arrive(position, 1, 3);
    arrive(position, 5, 5);
    bridge_position_lose(position);
    assert_int_equal(bridge_position_reached(position), 3);
    // Another run would find 2 and 3 as well.
    for (uint64_t found = 2; found <= 5; found++)
        bridge_position_found(position, 0, found, found);
    bridge_position_found_all(position);
    assert_int_equal(take(position, 4), BRIDGE_PRESENT);
    copy(position, 6, 7);
}

static void nothing_found_is_nothing_known(void **state)
{
    struct bridge_position *position = *state;
    copy(position, 1, 3);
    arrive(position, 1, 1);
    bridge_position_lose(position);
    bridge_position_found_all(position);
    assert_int_equal(take(position, 1), BRIDGE_PRESENT);
    copy(position, 2, 2);
}

static void a_run_goes_on_where_another_was(void **state)
{
    struct bridge_position *position = *state;
    // 14 had been refused, those behind it were on their way. What is older than 11 is not looked at.
    static const uint64_t there[] = {17, 16, 15, 13, 12, 11};
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        bridge_position_found(position, 0, there[i], there[i]);
    bridge_position_found_all(position);
    assert_int_equal(bridge_position_reached(position), 13);
    assert_int_equal(take(position, 9), BRIDGE_PRESENT);
    assert_int_equal(take(position, 12), BRIDGE_PRESENT);
    assert_int_equal(take(position, 14), BRIDGE_COPY);
    assert_int_equal(take(position, 16), BRIDGE_PRESENT);
    assert_int_equal(bridge_position_reached(position), 17);
    copy(position, 18, 19);
}

static void a_refused_message_that_is_gone_is_a_gap(void **state)
{
    struct bridge_position *position = *state;
    bridge_position_found(position, 0, 3, 3);
    bridge_position_found(position, 0, 5, 5);
    bridge_position_found_all(position);
    assert_int_equal(take(position, 6), BRIDGE_GAP);
    assert_int_equal(take(position, 6), BRIDGE_COPY);
}

static void a_server_that_forgot_everything_begins_anew(void **state)
{
    struct bridge_position *position = *state;
    copy(position, 1, 10);
    arrive(position, 1, 9);
    assert_int_equal(bridge_position_take(position, 1, 50), BRIDGE_COPY);
    assert_int_equal(position->epoch, 1);
    // The tenth of the old ones arrives, and is none of ours.
    assert_false(bridge_position_arrived(position, 0, 10));
    assert_int_equal(bridge_position_take(position, 2, 51), BRIDGE_COPY);
    assert_int_equal(bridge_position_take(position, 2, 51), BRIDGE_WAIT);
    assert_true(bridge_position_arrived(position, 1, 1));
    assert_int_equal(bridge_position_take(position, 1, 50), BRIDGE_PRESENT);
    // Two at the same time are no sign of anything.
    assert_int_equal(bridge_position_take(position, 3, 51), BRIDGE_COPY);
    assert_int_equal(position->epoch, 1);
}

static void only_the_newest_epoch_counts(void **state)
{
    struct bridge_position *position = *state;
    bridge_position_found(position, 2, 4, 104);
    bridge_position_found(position, 2, 3, 103);
    bridge_position_found(position, 1, 900, 90);
    bridge_position_found(position, 0, 901, 10);
    bridge_position_found_all(position);
    assert_int_equal(position->epoch, 2);
    assert_int_equal(bridge_position_reached(position), 4);
    assert_int_equal(bridge_position_take(position, 5, 105), BRIDGE_COPY);
    // In the other order.
    struct bridge_position other;
    bridge_position_init(&other);
    bridge_position_found(&other, 0, 901, 10);
    bridge_position_found(&other, 2, 4, 104);
    bridge_position_found_all(&other);
    assert_int_equal(bridge_position_reached(&other), 4);
    bridge_position_deinit(&other);
}

static void numbers_that_no_server_has(void **state)
{
    struct bridge_position *position = *state;
    assert_int_equal(take(position, 0), BRIDGE_WAIT);
    assert_int_equal(take(position, UINT64_MAX), BRIDGE_WAIT);
    bridge_position_found(position, 0, 0, 0);
    bridge_position_found(position, 0, UINT64_MAX, 0);
    bridge_position_found_all(position);
    assert_int_equal(bridge_position_reached(position), 0);
    bridge_position_found(position, 0, SEQSET_MAX, 5);
    bridge_position_found(position, 0, SEQSET_MAX - 1, 5);
    bridge_position_found_all(position);
    assert_int_equal(bridge_position_take(position, SEQSET_MAX - 1, 5), BRIDGE_PRESENT);
    assert_true(bridge_position_reached(position) == SEQSET_MAX - 1);
    assert_int_equal(take(position, SEQSET_MAX), BRIDGE_WAIT);
    assert_int_equal(take(position, 1), BRIDGE_PRESENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_is_copied_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(behind_a_gap_it_is_looked_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_on_its_way_is_forgotten_with_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_found_is_nothing_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_run_goes_on_where_another_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refused_message_that_is_gone_is_a_gap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_forgot_everything_begins_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_newest_epoch_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_that_no_server_has, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
