// SPDX-License-Identifier: Apache-2.0
// CO-P14: the words that client libraries compare, lower-cased, as prefixes.
#include "wire/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <strings.h>

#include <cmocka.h>

struct expectation {
    enum wire_error error;
    const char *prefix; // what the Go, C and Node clients look for
    enum wire_error_fate fate;
};

static const struct expectation EXPECTATIONS[] = {
    {WIRE_STALE_CONNECTION, "stale connection", WIRE_ERROR_CLOSE},
    {WIRE_SLOW_CONSUMER, "slow consumer", WIRE_ERROR_CLOSE},
    {WIRE_AUTHORIZATION_VIOLATION, "authorization violation", WIRE_ERROR_CLOSE},
    {WIRE_AUTHENTICATION_TIMEOUT, "authentication timeout", WIRE_ERROR_CLOSE},
    {WIRE_AUTHENTICATION_EXPIRED, "user authentication expired", WIRE_ERROR_CLOSE},
    {WIRE_MAX_CONNECTIONS, "maximum connections exceeded", WIRE_ERROR_CLOSE},
    {WIRE_MAX_SUBSCRIPTIONS, "maximum subscriptions exceeded", WIRE_ERROR_KEEP},
    {WIRE_MAX_PAYLOAD, "maximum payload", WIRE_ERROR_CLOSE},
    {WIRE_MAX_CONTROL_LINE, "maximum control line", WIRE_ERROR_CLOSE},
    {WIRE_UNKNOWN_OPERATION, "unknown protocol operation", WIRE_ERROR_CLOSE},
    {WIRE_PARSER_ERROR, "parser error", WIRE_ERROR_CLOSE},
    {WIRE_INVALID_CLIENT_PROTOCOL, "invalid client protocol", WIRE_ERROR_CLOSE},
    {WIRE_INVALID_SUBJECT, "invalid subject", WIRE_ERROR_KEEP},
    {WIRE_INVALID_PUBLISH_SUBJECT, "invalid publish subject", WIRE_ERROR_KEEP},
    {WIRE_PUBLISH_PERMISSION, "permissions violation for publish", WIRE_ERROR_KEEP},
    {WIRE_SUBSCRIBE_PERMISSION, "permissions violation for subscription", WIRE_ERROR_KEEP},
    {WIRE_NO_RESPONDERS_NEEDS_HEADERS, "no responders requires headers support", WIRE_ERROR_CLOSE},
    {WIRE_HEADERS_NOT_SUPPORTED, "message headers not supported", WIRE_ERROR_CLOSE},
};

static void test_words(void **state)
{
    for (size_t i = 0; i < sizeof(EXPECTATIONS) / sizeof(EXPECTATIONS[0]); i++) {
        const struct expectation *wanted = &EXPECTATIONS[i];
        if (strncasecmp(wire_error_text(wanted->error), wanted->prefix, strlen(wanted->prefix)) != 0 ||
            wire_error_fate(wanted->error) != wanted->fate)
            fail_msg("%s", wanted->prefix);
    }
}

static void test_all_have_words(void **state)
{
    for (int error = WIRE_OK + 1; error < WIRE_ERROR_COUNT; error++)
        assert_true(strlen(wire_error_text((enum wire_error)error)) > 0);
    assert_string_equal(wire_error_text(WIRE_OK), "");
    assert_string_equal(wire_error_text((enum wire_error)999), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_all_have_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
