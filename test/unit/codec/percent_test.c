// SPDX-License-Identifier: Apache-2.0
// CO-H01: what URLs write with "%" is read as it was meant, and nothing else is.
#include "codec/percent.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void texts_are_decoded(void **state)
{
    char text[16];
    assert_int_equal(percent_decode(BYTES("caf%C3%a9+%2B"), false, text, sizeof(text)), 0);
    assert_string_equal(text, "caf\xc3\xa9++");
    assert_int_equal(percent_decode(BYTES("a+b%2B"), true, text, sizeof(text)), 0);
    assert_string_equal(text, "a b+");
    assert_int_equal(percent_decode(BYTES(""), false, text, 1), 0);
    assert_string_equal(text, "");
}

static void what_is_wrong_is_refused(void **state)
{
    char text[4];
    const char *wrong[] = {"%", "a%4", "%zz", "%4g", "%00", "%"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(percent_decode(bytes_from_string(wrong[i]), false, text, sizeof(text)), ERR_INVALID);
    assert_int_equal(percent_decode(BYTES("\0"), false, text, sizeof(text)), ERR_INVALID);
    assert_int_equal(percent_decode(BYTES("abc"), false, text, sizeof(text)), 0);
    assert_int_equal(percent_decode(BYTES("abcd"), false, text, sizeof(text)), ERR_TOO_BIG);
    assert_int_equal(percent_decode(BYTES(""), false, text, 0), ERR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_decoded),
        cmocka_unit_test(what_is_wrong_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
