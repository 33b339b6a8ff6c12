// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/duration.h"

#define SECOND 1000000000ULL

static void expect_ns(const char *text, uint64_t wanted_ns)
{
    uint64_t ns = 1;
    assert_int_equal(duration_parse(bytes_from_string(text), UINT64_MAX, &ns), 0);
    assert_int_equal(ns, wanted_ns);
}

static void units_add_up(void **state)
{
    expect_ns("0", 0);
    expect_ns("30s", 30 * SECOND);
    expect_ns("1m30s", 90 * SECOND);
    expect_ns("1.5h", 5400 * SECOND);
    expect_ns(".25s", SECOND / 4);
    expect_ns("250ms", SECOND / 4);
    expect_ns("7us8ns", 7008);
    expect_ns("3\xc2\xb5s", 3000);
    expect_ns("2d", 2 * 86400 * SECOND);
    expect_ns("0s", 0);
}

static void other_text_and_too_much_is_refused(void **state)
{
    static const char *const texts[] = {"", "s", "30", "-1s", "1.2.3s", "1x", "1s ", " 1s", ".", ".s", "1e3s", "1ss"};
    uint64_t ns = 7;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(duration_parse(bytes_from_string(texts[i]), UINT64_MAX, &ns), ERR_INVALID);
    assert_int_equal(duration_parse(BYTES("61s"), 60 * SECOND, &ns), ERR_TOO_BIG);
    assert_int_equal(duration_parse(BYTES("59s2s"), 60 * SECOND, &ns), ERR_TOO_BIG);
    assert_int_equal(duration_parse(BYTES("99999999999999999999h"), UINT64_MAX, &ns), ERR_TOO_BIG);
    assert_int_equal(ns, 7);
    assert_int_equal(duration_parse(BYTES("60s"), 60 * SECOND, &ns), 0);
}

static void expect_text(uint64_t seconds, const char *wanted)
{
    char text[DURATION_TEXT_SIZE];
    duration_format(seconds * SECOND + SECOND / 2, text);
    assert_string_equal(text, wanted);
}

static void uptimes_begin_with_the_largest_unit(void **state)
{
    expect_text(0, "0s");
    expect_text(59, "59s");
    expect_text(60, "1m0s");
    expect_text(3600, "1h0m0s");
    expect_text(2 * 86400 + 3 * 3600 + 4 * 60 + 5, "2d3h4m5s");
    expect_text(366 * 86400, "1y1d0h0m0s");
    char text[DURATION_TEXT_SIZE];
    duration_format(UINT64_MAX, text);
    assert_string_equal(text, "584y343d23h34m33s");
}

static void expect_go(uint64_t ns, const char *wanted)
{
    char text[DURATION_TEXT_SIZE];
    duration_format_go(ns, text);
    assert_string_equal(text, wanted);
}

static void durations_are_printed_as_go_does(void **state)
{
    expect_go(0, "0s");
    expect_go(999, "999ns");
    expect_go(514000, "514\xc2\xb5s");
    expect_go(1001, "1.001\xc2\xb5s");
    expect_go(2338848, "2.338848ms");
    expect_go(2000000, "2ms");
    expect_go(1 * SECOND, "1s");
    expect_go(90 * SECOND + SECOND / 2, "1m30.5s");
    expect_go(3600 * SECOND, "1h0m0s");
    expect_go(25 * 3600 * SECOND + 61 * SECOND + 1, "25h1m1.000000001s");
    expect_go(UINT64_MAX, "5124095h34m33.709551615s");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_add_up),
        cmocka_unit_test(other_text_and_too_much_is_refused),
        cmocka_unit_test(uptimes_begin_with_the_largest_unit),
        cmocka_unit_test(durations_are_printed_as_go_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
