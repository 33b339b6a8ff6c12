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
        assert_true(strftime(wanted, sizeof(wanted), "%a, %d %b %Y %H:%M:%S GMT", &parts) > 0);
        timestamp_format_http((uint64_t)seconds * SECOND + 999999999, text);
        assert_string_equal(text, wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fractions_lose_their_zeros),
        cmocka_unit_test(days_agree_with_the_c_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
