// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/size.h"

static void expect_bytes(const char *text, uint64_t wanted)
{
    uint64_t bytes = 1;
    assert_int_equal(size_parse(bytes_from_string(text), &bytes), 0);
    assert_int_equal(bytes, wanted);
}

static void letters_are_powers_of_1024(void **state)
{
    (void)state;
    expect_bytes("0", 0);
    expect_bytes("1024", 1024);
    expect_bytes("64K", 64 << 10);
    expect_bytes("64kb", 64 << 10);
    expect_bytes("10M", 10 << 20);
    expect_bytes("3GB", 3ULL << 30);
    expect_bytes("2t", 2ULL << 40);
    expect_bytes("7B", 7);
    expect_bytes("9223372036854775807", INT64_MAX);
}

static void other_text_is_refused(void **state)
{
    static const char *const bad[] = {"", "K", "B", "KB", "-1", "1.5G", "1 K", "1KK", "1BK", "1P", "0x10"};
    uint64_t bytes = 0;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(size_parse(bytes_from_string(bad[i]), &bytes), ERR_INVALID);
    assert_int_equal(size_parse(BYTES("9223372036854775808"), &bytes), ERR_TOO_BIG);
    assert_int_equal(size_parse(BYTES("8388608T"), &bytes), ERR_TOO_BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_are_powers_of_1024),
        cmocka_unit_test(other_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
