// SPDX-License-Identifier: Apache-2.0
// CO-P14: what Go's %q makes of a subject, whole and in small pieces.
#include "wire/quote.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check(struct bytes text, const char *expected, size_t size)
{
    char quoted[4096], piece[64];
    size_t len = 0, n;
    while ((n = quote_next(&text, piece, size))) {
        memcpy(quoted + len, piece, n);
        len += n;
    }
    quoted[len] = '\0';
    assert_string_equal(quoted, expected);
    assert_int_equal(text.len, 0);
}

static void test_quote(void **state)
{
    const struct {
        struct bytes text;
        const char *expected;
    } cases[] = {
        {BYTES("foo.bar"), "foo.bar"},
        {BYTES(""), ""},
        {BYTES("a\"b\\\xc3\xa9\x01"), "a\\\"b\\\\\xc3\xa9\\x01"},
        {BYTES("\a\b\t\n\v\f\r\x1b\x7f"), "\\a\\b\\t\\n\\v\\f\\r\\x1b\\x7f"},
        {BYTES("\x00z"), "\\x00z"},
        {BYTES("\xff\xc3"), "\\xff\\xc3"},
        {BYTES("\xc3(\xe2\x82"), "\\xc3(\\xe2\\x82"},
        {BYTES("\xe2\x82\xac\xf0\x9f\x98\x80"), "\xe2\x82\xac\xf0\x9f\x98\x80"},
        {BYTES("\xc2\xa0\xe2\x80\xa8\xef\xbb\xbf"), "\\u00a0\\u2028\\ufeff"},
        {BYTES("\xf4\x8f\xbf\xbf"), "\\U0010ffff"},
        {BYTES("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80"), "\\xc0\\xaf\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(cases[i].text, cases[i].expected, QUOTE_UNIT_LEN_MAX);
        check(cases[i].text, cases[i].expected, 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quote)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
