// SPDX-License-Identifier: Apache-2.0
// The views of bytes that everything passes around, with the empty and the NULL one.
#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct bytes nothing = {NULL, 0};

static void makes_views(void **state)
{
    assert_int_equal(BYTES("abc").len, 3);
    assert_int_equal(BYTES("a\0c").len, 3);
    assert_int_equal(bytes_from_string("a\0c").len, 1);
    assert_int_equal(bytes_from_string(NULL).len, 0);
}

static void compares(void **state)
{
    assert_true(bytes_equal(BYTES("abc"), bytes_make("abcd", 3)));
    assert_false(bytes_equal(BYTES("abc"), BYTES("abd")));
    assert_false(bytes_equal(BYTES("abc"), BYTES("ab")));
    assert_true(bytes_equal(nothing, BYTES("")));
    assert_true(bytes_compare(BYTES("abc"), BYTES("abd")) < 0);
    assert_true(bytes_compare(BYTES("ab"), BYTES("abc")) < 0);
    assert_true(bytes_compare(BYTES("\xff"), BYTES("a")) > 0);
    assert_int_equal(bytes_compare(nothing, BYTES("")), 0);
}

static void compares_without_case(void **state)
{
    assert_true(bytes_equal_fold(BYTES("Upgrade-1"), BYTES("uPGRADE-1")));
    assert_false(bytes_equal_fold(BYTES("Upgrade"), BYTES("Upgrad")));
    assert_false(bytes_equal_fold(BYTES("@"), BYTES("`"))); // beside the letters
    assert_false(bytes_equal_fold(BYTES("["), BYTES("{")));
    assert_false(bytes_equal_fold(BYTES("\xc4"), BYTES("\xe4")));
    assert_true(bytes_equal_fold(nothing, BYTES("")));
}

static void cuts(void **state)
{
    assert_true(bytes_starts_with(BYTES("foo.bar"), BYTES("foo.")));
    assert_false(bytes_starts_with(BYTES("foo"), BYTES("foo.")));
    assert_true(bytes_starts_with(nothing, nothing));
    assert_true(bytes_equal(bytes_skip(BYTES("foo.bar"), 4), BYTES("bar")));
    assert_int_equal(bytes_skip(BYTES("foo"), 3).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_views),
        cmocka_unit_test(compares),
        cmocka_unit_test(compares_without_case),
        cmocka_unit_test(cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
