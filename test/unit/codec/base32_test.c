// SPDX-License-Identifier: Apache-2.0
// The vectors of RFC 4648 without their padding, both ways, and what is refused.
#include "codec/base32.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_vectors(void **state)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "MY"},
                                             {"fo", "MZXQ"},
                                             {"foo", "MZXW6"},
                                             {"foob", "MZXW6YQ"},
                                             {"fooba", "MZXW6YTB"},
                                             {"foobar", "MZXW6YTBOI"}};
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct bytes plain = bytes_from_string(vectors[i][0]), text = bytes_from_string(vectors[i][1]);
        char room[32];
        size_t len = 0;
        assert_int_equal(base32_encode(plain, room, text.len, &len), 0);
        assert_true(bytes_equal(bytes_make(room, len), text));
        assert_int_equal(base32_decode(text, room, plain.len, &len), 0);
        assert_true(bytes_equal(bytes_make(room, len), plain));
        if (text.len) {
            assert_int_equal(base32_encode(plain, room, text.len - 1, &len), ERR_TOO_BIG);
            assert_int_equal(base32_decode(text, room, plain.len - 1, &len), ERR_TOO_BIG);
        }
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"M", "MZX", "MZXW6Y", "my", "M1", "M8", "MY======", "MZ", "M ", "\xff\xff"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char room[32];
        size_t len = 0;
        if (base32_decode(bytes_from_string(bad[i]), room, sizeof(room), &len) != ERR_INVALID)
            fail_msg("\"%s\"", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
