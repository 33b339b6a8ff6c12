// SPDX-License-Identifier: Apache-2.0
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/similar.h"

static void distance_counts_letters(void **state)
{
    assert_int_equal(similar_distance(BYTES(""), BYTES("")), 0);
    assert_int_equal(similar_distance(BYTES("port"), BYTES("port")), 0);
    assert_int_equal(similar_distance(BYTES("prot"), BYTES("port")), 2);
    assert_int_equal(similar_distance(BYTES("max_paylod"), BYTES("max_payload")), 1);
    assert_int_equal(similar_distance(BYTES("abc"), BYTES("")), 3);
    assert_int_equal(similar_distance(BYTES("kitten"), BYTES("sitting")), 3);
    static const char longest[200] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_int_equal(similar_distance(bytes_make(longest, 80), bytes_make(longest, 70)), 0);
}

static void only_what_is_near_and_nearer_counts(void **state)
{
    unsigned distance = UINT_MAX;
    assert_false(similar_is_nearer(BYTES("gateway"), BYTES("max_payload"), &distance));
    assert_int_equal(distance, UINT_MAX);
    assert_true(similar_is_nearer(BYTES("max_paylaod"), BYTES("max_payload"), &distance));
    assert_int_equal(distance, 2);
    assert_false(similar_is_nearer(BYTES("max_paylaod"), BYTES("max_payloads"), &distance));
    assert_true(similar_is_nearer(BYTES("max_paylaod"), BYTES("max_paylaos"), &distance));
    distance = UINT_MAX;
    assert_false(similar_is_nearer(BYTES("js"), BYTES("m"), &distance));
    assert_false(similar_is_nearer(BYTES("x"), BYTES("p"), &distance));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distance_counts_letters),
        cmocka_unit_test(only_what_is_near_and_nearer_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
