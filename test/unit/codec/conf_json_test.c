// SPDX-License-Identifier: Apache-2.0
// A configuration as one line of JSON, byte for byte as nats-server makes its digest of it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "codec/conf_json.h"

static int read_file(void *owner, const char *path, struct buffer *content)
{
    return ERR_NOT_FOUND;
}

static const char *environment(void *owner, const char *name)
{
    return NULL;
}

static void expect(const char *text, const char *wanted)
{
    const struct conf_source source = {NULL, read_file, environment};
    struct conf conf;
    struct conf_error wrong;
    struct buffer out;
    buffer_init(&out, 65536);
    assert_int_equal(conf_read_text(&conf, &source, "x", bytes_from_string(text), &wrong), 0);
    assert_int_equal(conf_json_write(&conf.root, &out), 0);
    assert_int_equal(buffer_append_char(&out, '\0'), 0);
    assert_string_equal(out.ptr, wanted);
    buffer_deinit(&out);
    conf_deinit(&conf);
}

static void keys_are_sorted_and_spelling_is_gone(void **state)
{
    expect("", "{}\n");
    expect("foo = bar", "{\"foo\":\"bar\"}\n");
    expect("# x\n { 'foo': 'bar' }", "{\"foo\":\"bar\"}\n");
    expect("b 1k; a [x, {}, []]; B {d yes, c 2016-05-04T18:53:41Z}",
           "{\"B\":{\"c\":\"2016-05-04T18:53:41Z\",\"d\":true},\"a\":[\"x\",{},[]],\"b\":1000}\n");
    // A variable and its uses are all there.
    expect("U { n: a }\nb = $U", "{\"U\":{\"n\":\"a\"},\"b\":{\"n\":\"a\"}}\n");
}

static void strings_are_escaped_as_go_does(void **state)
{
    expect("a \"<&>\\t\\\"\\\\\\x01\\x7f/\"", "{\"a\":\"\\u003c\\u0026\\u003e\\t\\\"\\\\\\u0001\x7f/\"}\n");
    expect("a '\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80'", "{\"a\":\"\xc3\xa9\\u2028\xf0\x9f\x98\x80\"}\n");
    expect("a '\xff\xc3('", "{\"a\":\"\\ufffd\\ufffd(\"}\n");
    expect("a '\xed\xa0\x80\xe0\x80\x80\xf4\x90\x80\x80\xc3'",
           "{\"a\":\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"}\n");
}

static void numbers_are_short(void **state)
{
    expect("a [0.5, 2.0, -1.25, 0.1, 100.0, 1234567.875, 0.0]", "{\"a\":[0.5,2,-1.25,0.1,100,1234567.875,0]}\n");
    expect("a [1.0e21, 1.5e-7, 0.000001, 2.5e300]", "{\"a\":[1e+21,1.5e-7,0.000001,2.5e+300]}\n");
    expect("a -9223372036854775808", "{\"a\":-9223372036854775808}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_sorted_and_spelling_is_gone),
        cmocka_unit_test(strings_are_escaped_as_go_does),
        cmocka_unit_test(numbers_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
