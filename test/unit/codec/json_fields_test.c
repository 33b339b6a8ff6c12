// SPDX-License-Identifier: Apache-2.0
// Flat objects by table: every type, its bounds, and what happens to the rest of the struct.
#include "codec/json_fields.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/memory.h"

struct thing {
    struct bytes text;
    struct bytes other;
    bool flag;
    int number;
    uint16_t small;
    uint64_t large;
    int64_t wide;
};

static const struct json_field FIELDS[] = {
    {"text", offsetof(struct thing, text), JSON_FIELD_BYTES, true},
    {"other", offsetof(struct thing, other), JSON_FIELD_BYTES, false},
    {"flag", offsetof(struct thing, flag), JSON_FIELD_BOOL, false},
    {"number", offsetof(struct thing, number), JSON_FIELD_INT, true},
    {"small", offsetof(struct thing, small), JSON_FIELD_U16, false},
    {"large", offsetof(struct thing, large), JSON_FIELD_U64, false},
    {"wide", offsetof(struct thing, wide), JSON_FIELD_I64, false},
};
#define FIELD_COUNT (sizeof(FIELDS) / sizeof(FIELDS[0]))

static int read_thing(const char *json, struct thing *thing, char **ret_owned)
{
    return json_fields_read(bytes_from_string(json), FIELDS, FIELD_COUNT, thing, ret_owned);
}

static void test_reads_every_type(void **state)
{
    struct thing thing = {0};
    char *owned;
    assert_int_equal(
        read_thing("{\"text\":\"a\\u0062c\",\"other\":\"\",\"flag\":true,\"number\":-2147483648,\"small\":65535,"
                   "\"large\":9223372036854775807,\"wide\":-9223372036854775808,\"x\":{}}",
                   &thing, &owned),
        0);
    assert_true(bytes_equal(thing.text, BYTES("abc")));
    assert_int_equal(thing.other.len, 0);
    assert_true(thing.flag);
    assert_int_equal(thing.number, INT32_MIN);
    assert_int_equal(thing.small, 65535);
    assert_true(thing.large == INT64_MAX);
    assert_true(thing.wide == INT64_MIN);
    mem_free(owned);
}

static void test_leaves_absent_and_null_alone(void **state)
{
    struct thing thing = {.text = BYTES("kept"), .number = 7, .flag = true};
    char *owned;
    assert_int_equal(read_thing("{\"number\":null,\"text\":null}", &thing, &owned), 0);
    assert_true(bytes_equal(thing.text, BYTES("kept")));
    assert_int_equal(thing.number, 7);
    assert_true(thing.flag);
    mem_free(owned);
}

static void test_refuses(void **state)
{
    static const char *const BAD[] = {"",
                                      "{",
                                      "[]",
                                      "{}{}",
                                      "{\"text\":1}",
                                      "{\"flag\":0}",
                                      "{\"number\":1.0}",
                                      "{\"number\":2147483648}",
                                      "{\"small\":65536}",
                                      "{\"small\":-1}",
                                      "{\"large\":-1}",
                                      "{\"wide\":9223372036854775808}",
                                      "{\"text\":\"\\u0000\"}"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct thing thing = {0};
        char *owned;
        if (read_thing(BAD[i], &thing, &owned) != ERR_INVALID)
            fail_msg("'%s' passes", BAD[i]);
    }
}

static void test_writes(void **state)
{
    struct thing thing = {.text = BYTES("a\"b"), .flag = true, .small = 3};
    static const char WANTED[] = "VERB {\"text\":\"a\\\"b\",\"flag\":true,\"number\":0,\"small\":3}\r\n";
    char line[128];
    size_t len;
    assert_int_equal(json_fields_write("VERB", FIELDS, FIELD_COUNT, &thing, line, sizeof(line), &len), 0);
    assert_true(bytes_equal(bytes_make(line, len), bytes_from_string(WANTED)));
    for (size_t size = 0; size < len; size++)
        assert_int_equal(json_fields_write("VERB", FIELDS, FIELD_COUNT, &thing, line, size, &len), ERR_TOO_BIG);
    thing.other = BYTES("\xc3");
    assert_int_equal(json_fields_write("VERB", FIELDS, FIELD_COUNT, &thing, line, sizeof(line), &len), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_every_type),
        cmocka_unit_test(test_leaves_absent_and_null_alone),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
