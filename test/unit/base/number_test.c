// SPDX-License-Identifier: Apache-2.0
// What is a number and what is not, at the edges of 64 bits.
#include "base/number.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void parses(void **state)
{
    static const struct {
        const char *text;
        uint64_t max;
        int err;
        uint64_t value;
    } cases[] = {
        {"0", 0, 0, 0},
        {"00012", 12, 0, 12},
        {"13", 12, ERR_TOO_BIG, 0},
        {"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"000018446744073709551615", UINT64_MAX, 0, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, ERR_TOO_BIG, 0},
        {"99999999999999999999999999", UINT64_MAX, ERR_TOO_BIG, 0},
        {"36893488147419103233", UINT64_MAX, ERR_TOO_BIG, 0}, // 1 after two wraps
        {"99999999999999999999999999x", UINT64_MAX, ERR_INVALID, 0},
        {"", 1, ERR_INVALID, 0},
        {"-1", 1, ERR_INVALID, 0},
        {"+1", 1, ERR_INVALID, 0},
        {" 1", 1, ERR_INVALID, 0},
        {"1 ", 1, ERR_INVALID, 0},
        {"0x1", 1, ERR_INVALID, 0},
        {"1:", 1, ERR_INVALID, 0},
        {"1/", 1, ERR_INVALID, 0},
        {"\xb1", 1, ERR_INVALID, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 77;
        assert_int_equal(number_parse_u64(bytes_from_string(cases[i].text), cases[i].max, &value), cases[i].err);
        assert_true(value == (cases[i].err ? 77 : cases[i].value));
    }
}

static void formats_what_it_parses(void **state)
{
    for (int bit = 0; bit < 64; bit++) {
        for (uint64_t near = (1ULL << bit) - 2, i = 0; i < 4; i++, near++) {
            char text[NUMBER_MAX_DIGITS];
            uint64_t back;
            size_t len = number_format_u64(text, near);
            assert_int_equal(number_parse_u64(bytes_make(text, len), UINT64_MAX, &back), 0);
            assert_true(back == near);
            assert_true(len == 1 || text[0] != '0');
        }
    }
    char text[NUMBER_MAX_DIGITS];
    assert_int_equal(number_format_u64(text, 0), 1);
    assert_int_equal(text[0], '0');
    assert_int_equal(number_format_u64(text, UINT64_MAX), 20);
    assert_memory_equal(text, "18446744073709551615", 20);
}

static void parses_hexadecimal(void **state)
{
    uint64_t value = 77;
    assert_int_equal(number_parse_hex("00ffA", 5, &value), ERR_INVALID);
    assert_int_equal(number_parse_hex("00f", 4, &value), ERR_INVALID);
    assert_int_equal(number_parse_hex("00fg", 4, &value), ERR_INVALID);
    assert_int_equal(number_parse_hex("", 1, &value), ERR_INVALID);
    assert_true(value == 77);
    assert_int_equal(number_parse_hex("00ff.seg", 4, &value), 0);
    assert_true(value == 255);
    assert_int_equal(number_parse_hex("fedcba9876543210", 16, &value), 0);
    assert_true(value == 0xfedcba9876543210);
    for (int c = 0; c < 256; c++) {
        const char *digits = "00112233445566778899aAbBcCdDeEfF", *found = c ? strchr(digits, c) : NULL;
        assert_int_equal(number_hex_digit((char)c), found ? (found - digits) / 2 : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(formats_what_it_parses),
        cmocka_unit_test(parses_hexadecimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
