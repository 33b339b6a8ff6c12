// SPDX-License-Identifier: Apache-2.0
// Against the C library's own calendar.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "codec/timestamp.h"

#define SECOND 1000000000ULL

static void fractions_lose_their_zeros(void **state)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    timestamp_format(1795411771 * SECOND + 425149490, text);
    assert_string_equal(text, "2026-11-23T05:29:31.42514949Z");
    timestamp_format(1, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000001Z");
    timestamp_format(UINT64_MAX, text);
    assert_string_equal(text, "2554-07-21T23:34:33.709551615Z");
}

static void days_agree_with_the_c_library(void **state)
{
    for (uint64_t day = 0; day < 584 * 365; day++) {
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm parts;
        assert_non_null(gmtime_r(&seconds, &parts));
        char wanted[TIMESTAMP_TEXT_SIZE];
        assert_true(strftime(wanted, sizeof(wanted), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0);
        char text[TIMESTAMP_TEXT_SIZE];
        timestamp_format((uint64_t)seconds * SECOND, text);
        assert_string_equal(text, wanted);
        uint64_t back = 0;
        assert_int_equal(timestamp_parse(bytes_from_string(text), &back), 0);
        assert_true(back == (uint64_t)seconds * SECOND);
        assert_true(strftime(wanted, sizeof(wanted), "%a, %d %b %Y %H:%M:%S GMT", &parts) > 0);
        timestamp_format_http((uint64_t)seconds * SECOND + 999999999, text);
        assert_string_equal(text, wanted);
    }
}

static void other_forms_are_read_and_nonsense_is_not(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01T00:00:01.5Z", 1500000000},
        {"1970-01-01T00:00:01.1234567899Z", 1123456789},
        {"1970-01-01T02:00:01+02:00", SECOND},
        {"2024-02-29T12:00:00Z", 1709208000 * SECOND},
    };
    static const char *const bad[] = {
        "",
        "now",
        "2026-11-23",
        "2026-11-23T05:29:31",
        "2026-11-23 05:29:31Z",
        "2026-13-23T05:29:31Z",
        "2026-00-23T05:29:31Z",
        "2025-02-29T05:29:31Z",
        "2026-11-31T05:29:31Z",
        "2026-11-00T05:29:31Z",
        "2026-11-23T24:29:31Z",
        "2026-11-23T05:60:31Z",
        "2026-11-23T05:29:60Z",
        "2026-11-23T05:29:31.Z",
        "2026-11-23T05:29:31+0200",
        "2026-11-23T05:29:31Zz",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "2554-12-31T00:00:00Z",
        "-026-11-23T05:29:31Z",
    };
    uint64_t ns = 0;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(timestamp_parse(bytes_from_string(good[i].text), &ns), 0);
        assert_true(ns == good[i].ns);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(timestamp_parse(bytes_from_string(bad[i]), &ns), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fractions_lose_their_zeros),
        cmocka_unit_test(days_agree_with_the_c_library),
        cmocka_unit_test(other_forms_are_read_and_nonsense_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
