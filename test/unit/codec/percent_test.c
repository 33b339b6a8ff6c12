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

// TL-12: nothing is lost in the names of streams.
static void what_is_encoded_comes_back(void **state)
{
    char text[16], back[16];
    struct bytes names[] = {BYTES("orders"),      BYTES("a.b*>"),     BYTES("%2E"),
                            BYTES("caf\xc3\xa9"), BYTES("\t\x7f \\"), BYTES("")};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct bytes encoded = bytes_make(text, percent_encode(names[i], " .*>/\\", text, sizeof(text)));
        for (size_t k = 0; k < encoded.len; k++)
            assert_true((unsigned char)text[k] > ' ' && !strchr(".*>/\\", text[k]));
        assert_int_equal(percent_decode(encoded, false, back, sizeof(back)), 0);
        assert_true(bytes_equal(bytes_from_string(back), names[i]));
    }
    assert_int_equal(percent_encode(BYTES("a.b"), ".", text, sizeof(text)), 5);
    assert_memory_equal(text, "a%2Eb", 5);
    assert_int_equal(percent_encode(BYTES("ab.c"), ".", text, 4), 2);
    assert_int_equal(percent_encode(BYTES("abc"), ".", text, 2), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_decoded),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(what_is_encoded_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
