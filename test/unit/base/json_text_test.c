// SPDX-License-Identifier: Apache-2.0
#include "base/json_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect(struct bytes text, const char *wanted)
{
    char escape[JSON_TEXT_ESCAPE_SIZE], all[256];
    size_t len = 0;
    while (text.len > 0) {
        struct bytes part = json_text_next(&text, escape);
        memcpy(all + len, part.ptr, part.len);
        len += part.len;
    }
    all[len] = '\0';
    assert_string_equal(all, wanted);
}

static void whatever_it_is_made_of_it_is_a_line_of_utf8(void **state)
{
    expect(BYTES("plain"), "plain");
    expect(BYTES("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
    expect(BYTES("\"a\\b\n"), "\\\"a\\\\b\\u000a");
    expect(bytes_make("\0\x1f\x7f", 3), "\\u0000\\u001f\\u007f");
    expect(BYTES("\xff"
                 "a\xc3"),
           "\xef\xbf\xbd"
           "a\xef\xbf\xbd");
    expect(BYTES("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

static void every_byte_alone_is_something(void **state)
{
    for (int c = 0; c < 256; c++) {
        char byte = (char)c, escape[JSON_TEXT_ESCAPE_SIZE];
        struct bytes text = bytes_make(&byte, 1);
        struct bytes part = json_text_next(&text, escape);
        assert_int_equal(text.len, 0);
        assert_true(part.len > 0 && part.len <= JSON_TEXT_ESCAPE_SIZE);
        assert_true((unsigned char)part.ptr[0] >= ' ');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_it_is_made_of_it_is_a_line_of_utf8),
        cmocka_unit_test(every_byte_alone_is_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
