// SPDX-License-Identifier: Apache-2.0
// Characters, and JSON that has others (CO-P02).
#include "codec/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void characters_have_their_lengths(void **state)
{
    static const struct {
        const char *text;
        size_t len;
    } cases[] = {
        {"a", 1},
        {"\x7f", 1},
        {"\xc2\x80", 2},
        {"\xdf\xbf", 2},
        {"\xe0\xa0\x80", 3},
        {"\xed\x9f\xbf", 3},
        {"\xee\x80\x80", 3},
        {"\xf0\x90\x80\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        // Nothing: a rest, overlong, surrogates, too large, cut short.
        {"\x80", 0},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xc3", 0},
        {"\xe2\x82", 0},
        {"\xe2\x28\xa1", 0},
        {"\xff", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(utf8_len(bytes_from_string(cases[i].text)), cases[i].len);
}

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
        cmocka_unit_test(characters_have_their_lengths),
        cmocka_unit_test(json_is_read_as_go_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
