// SPDX-License-Identifier: Apache-2.0
#include "client/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void words_of_libnats_lose_its_source_file(void **state)
{
    (void)state;
    assert_string_equal(weir_error_plain("(conn.c:1905): Authorization Violation"), "Authorization Violation");
    assert_string_equal(weir_error_plain("Authorization Violation"), "Authorization Violation");
    assert_string_equal(weir_error_plain("(without an end"), "(without an end");
    assert_string_equal(weir_error_plain("why (conn.c:1): not"), "why (conn.c:1): not");
    assert_string_equal(weir_error_plain(""), "");
}

static void a_server_that_goes_before_it_answers_may_want_a_certificate(void **state)
{
    (void)state;
    assert_non_null(strstr(weir_error_plain("(conn.c:1909): Expected 'PONG', got ''"), "may want a certificate"));
    assert_string_equal(weir_error_plain("(conn.c:1909): Expected 'PONG', got 'x'"), "Expected 'PONG', got 'x'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_libnats_lose_its_source_file),
        cmocka_unit_test(a_server_that_goes_before_it_answers_may_want_a_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
