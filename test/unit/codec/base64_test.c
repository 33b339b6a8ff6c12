// SPDX-License-Identifier: Apache-2.0
// The vectors of RFC 4648 in both kinds, both ways, and what is refused.
#include "codec/base64.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check(struct bytes plain, enum base64_kind kind, const char *expected)
{
    struct bytes text = bytes_from_string(expected);
    char room[32];
    size_t len = 0;
    assert_int_equal(base64_encode(plain, kind, room, text.len, &len), 0);
    assert_true(bytes_equal(bytes_make(room, len), text));
    assert_int_equal(base64_decode(text, kind, room, plain.len, &len), 0);
    assert_true(bytes_equal(bytes_make(room, len), plain));
    if (text.len) {
        assert_int_equal(base64_encode(plain, kind, room, text.len - 1, &len), ERR_TOO_BIG);
        assert_int_equal(base64_decode(text, kind, room, plain.len - 1, &len), ERR_TOO_BIG);
    }
}

static void test_vectors(void **state)
{
    static const char *const vectors[][3] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xef\xbe\xff\xff\xff", "++++////", "----____"},
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        check(bytes_from_string(vectors[i][0]), BASE64_STANDARD, vectors[i][1]);
        check(bytes_from_string(vectors[i][0]), BASE64_RAW_URL, vectors[i][2]);
    }
}

static void test_refused(void **state)
{
    static const char *const standard[] = {
        "Zg", "Zg=", "Z===", "====", "=Zg=", "Zg==Zg==", "----", "Zm9v\n", "Zm 9", "Zm\xff="};
    static const char *const raw[] = {"Zg==", "Z", "++++", "Zm9vY", "Zm.v"};
    char room[32];
    size_t len = 0;
    for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++)
        if (base64_decode(bytes_from_string(standard[i]), BASE64_STANDARD, room, sizeof(room), &len) != ERR_INVALID)
            fail_msg("\"%s\"", standard[i]);
    for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++)
        if (base64_decode(bytes_from_string(raw[i]), BASE64_RAW_URL, room, sizeof(room), &len) != ERR_INVALID)
            fail_msg("\"%s\"", raw[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
