// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/json_writer.h"

static void expect(struct buffer *out, const char *text)
{
    if (!bytes_equal(buffer_bytes(out), bytes_from_string(text)))
        fail_msg("%.*s", BYTES_ARG(buffer_bytes(out)));
}

static void objects_nest_with_commas_and_indents(void **state)
{
    struct buffer out;
    buffer_init(&out, 1024);
    struct json_writer writer;
    json_writer_init(&writer, &out);
    json_writer_begin_object(&writer);
    json_writer_put_u64(&writer, "n", UINT64_MAX);
    json_writer_put_object(&writer, "empty");
    json_writer_end(&writer);
    json_writer_put_object(&writer, "inner");
    json_writer_put_bool(&writer, "yes", true);
    json_writer_put_double(&writer, "half", 0.5);
    json_writer_put_double(&writer, "two", 2);
    json_writer_put_double(&writer, "nan", __builtin_nan(""));
    json_writer_end(&writer);
    json_writer_key(&writer, "list");
    json_writer_begin_array(&writer);
    json_writer_u64(&writer, 1);
    json_writer_string(&writer, BYTES("b"));
    json_writer_end(&writer);
    json_writer_end(&writer);
    assert_int_equal(json_writer_finish(&writer), 0);
    expect(&out, "{\n  \"n\": 18446744073709551615,\n  \"empty\": {},\n  \"inner\": {\n    \"yes\": true,\n"
                 "    \"half\": 0.5,\n    \"two\": 2,\n    \"nan\": 0\n  },\n  \"list\": [\n    1,\n    \"b\"\n  ]\n}");
    buffer_deinit(&out);
}

static void compact_is_one_line(void **state)
{
    struct buffer out;
    buffer_init(&out, 1024);
    struct json_writer writer;
    json_writer_init_compact(&writer, &out);
    json_writer_begin_object(&writer);
    json_writer_put_u64(&writer, "n", 1);
    json_writer_key(&writer, "list");
    json_writer_begin_array(&writer);
    json_writer_u64(&writer, 1);
    json_writer_u64(&writer, 2);
    json_writer_end(&writer);
    json_writer_end(&writer);
    assert_int_equal(json_writer_finish(&writer), 0);
    expect(&out, "{\"n\":1,\"list\":[1,2]}");
    buffer_deinit(&out);
}

static void one_string(struct bytes value, const char *wanted)
{
    struct buffer out;
    buffer_init(&out, 1024);
    struct json_writer writer;
    json_writer_init(&writer, &out);
    json_writer_string(&writer, value);
    assert_int_equal(json_writer_finish(&writer), 0);
    expect(&out, wanted);
    buffer_deinit(&out);
}

static void strings_are_escaped_and_bad_utf8_is_replaced(void **state)
{
    one_string(BYTES("a\"b\\c"), "\"a\\\"b\\\\c\"");
    one_string(BYTES("\0\n\x1f\x7f"), "\"\\u0000\\u000a\\u001f\\u007f\"");
    one_string(BYTES("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\"");
    one_string(BYTES("\xff"), "\"\xef\xbf\xbd\"");
    one_string(BYTES("\xc3"), "\"\xef\xbf\xbd\"");                                 // cut short
    one_string(BYTES("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 // overlong
    one_string(BYTES("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); // surrogate
    one_string(BYTES(""), "\"\"");
}

static void a_full_buffer_is_told_at_the_end(void **state)
{
    struct buffer out;
    buffer_init(&out, 8);
    struct json_writer writer;
    json_writer_init(&writer, &out);
    json_writer_begin_object(&writer);
    json_writer_put_u64(&writer, "too long a key", 1);
    json_writer_end(&writer);
    assert_int_equal(json_writer_finish(&writer), ERR_TOO_BIG);
    buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_nest_with_commas_and_indents),
        cmocka_unit_test(compact_is_one_line),
        cmocka_unit_test(strings_are_escaped_and_bad_utf8_is_replaced),
        cmocka_unit_test(a_full_buffer_is_told_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
