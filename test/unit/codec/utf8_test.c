// SPDX-License-Identifier: Apache-2.0
// JSON that has bytes which are no characters (CO-P02).
#include "codec/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect(const char *json, const char *wanted)
{
    struct buffer out;
    buffer_init(&out, 3 * strlen(json) + 1);
    assert_int_equal(utf8_repair_json(bytes_from_string(json), &out), 0);
    assert_int_equal(buffer_append_char(&out, '\0'), 0);
    assert_string_equal(out.ptr, wanted);
    buffer_deinit(&out);
}

static void json_is_read_as_go_reads_it(void **state)
{
    expect("", "");
    expect("{\"a\\n\\\"\\u0041\":\"\xc3\xa9\\ud83d\\ude00\"}", "{\"a\\n\\\"\\u0041\":\"\xc3\xa9\\ud83d\\ude00\"}");
    expect("\xe9", "\xef\xbf\xbd");
    expect("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    expect("\\ud800", "\\ufffd");
    expect("\\udc00\\ud800", "\\ufffd\\ufffd");
    expect("\\ud800\\u0041", "\\ufffd\\u0041");
    expect("\\ud800\\ud83d\\ude00", "\\ufffd\\ud83d\\ude00");
    expect("\\\\ud800", "\\\\ud800"); // no escape: a backslash and letters
    // What is no JSON anyway stays none.
    expect("\\", "\\");
    expect("\\u12", "\\u12");
    expect("\\u12g4", "\\u12g4");
    expect("\\\xe9", "\\\xef\xbf\xbd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_read_as_go_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
