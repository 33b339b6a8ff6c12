// SPDX-License-Identifier: Apache-2.0
// CO-S01: what a `tls` block may say, its defaults, and what does not go together.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/tls_options.h"

static void the_defaults_are_those_of_the_server_replaced(void **state)
{
    struct tls_options options;
    tls_options_default(&options);
    assert_false(tls_options_is_on(&options));
    assert_int_equal(options.first, TLS_OPTIONS_INFO_FIRST);
    assert_int_equal(options.fallback_ns, 50000000);
    assert_int_equal(options.timeout_ns, 2000000000);
    assert_int_equal(options.min_version, 12);
    assert_null(tls_options_check(&options));
}

static void a_certificate_turns_it_on_unless_it_was_turned_off(void **state)
{
    struct tls_options options;
    tls_options_default(&options);
    options.cert_file = "cert.pem";
    assert_true(tls_options_is_on(&options));
    options.use = TLS_OPTIONS_OFF;
    assert_false(tls_options_is_on(&options));
}

static void what_is_missing_is_named(void **state)
{
    struct tls_options options;
    tls_options_default(&options);
    options.use = TLS_OPTIONS_ON;
    assert_non_null(strstr(tls_options_check(&options), "cert_file"));
    options.cert_file = "cert.pem";
    assert_non_null(strstr(tls_options_check(&options), "key_file"));
    options.key_file = "key.pem";
    assert_null(tls_options_check(&options));
    options.pins_configured = true;
    assert_non_null(strstr(tls_options_check(&options), "verify"));
    options.verify_and_map = true;
    assert_null(tls_options_check(&options));
    options.min_version = 11;
    assert_non_null(strstr(tls_options_check(&options), "min_version"));
    tls_options_default(&options);
    options.allow_plain = true;
    assert_non_null(strstr(tls_options_check(&options), "allow_non_tls"));
}

static void suites_and_curves_have_the_names_of_the_original(void **state)
{
    struct tls_options options;
    tls_options_default(&options);
    assert_int_equal(tls_options_add_suite(&options, BYTES("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305")), 0);
    assert_string_equal(options.suites[0], "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256");
    assert_int_equal(tls_options_add_suite(&options, BYTES("TLS_RSA_WITH_RC4_128_SHA")), ERR_UNSUPPORTED);
    assert_int_equal(tls_options_add_suite(&options, BYTES("ECDHE-RSA-AES128-GCM-SHA256")), ERR_NOT_FOUND);
    assert_int_equal(options.suite_count, 1);
    assert_int_equal(tls_options_add_curve(&options, BYTES("CurveP384")), 0);
    assert_string_equal(options.curves[0], "P-384");
    assert_int_equal(tls_options_add_curve(&options, BYTES("X25519MLKEM768")), ERR_UNSUPPORTED);
    assert_int_equal(tls_options_add_curve(&options, BYTES("")), ERR_NOT_FOUND);
    while (options.suite_count < TLS_OPTIONS_SUITES_MAX)
        assert_int_equal(tls_options_add_suite(&options, BYTES("TLS_AES_128_GCM_SHA256")), 0);
    assert_int_equal(tls_options_add_suite(&options, BYTES("TLS_AES_128_GCM_SHA256")), ERR_LIMIT);
}

static void pins_are_sixty_four_hexadecimal_digits(void **state)
{
    uint8_t pin[TLS_OPTIONS_PIN_SIZE];
    struct bytes good = BYTES("a8f407340dcc719864214b85ed96f98d16cbffa8f509d9fa4ca237b7bb3f9C32");
    assert_int_equal(tls_options_read_pin(good, pin), 0);
    assert_int_equal(pin[0], 0xa8);
    assert_int_equal(pin[31], 0x32);
    assert_int_equal(tls_options_read_pin(bytes_skip(good, 1), pin), ERR_INVALID);
    assert_int_equal(
        tls_options_read_pin(BYTES("g8f407340dcc719864214b85ed96f98d16cbffa8f509d9fa4ca237b7bb3f9C32"), pin),
        ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_the_server_replaced),
        cmocka_unit_test(a_certificate_turns_it_on_unless_it_was_turned_off),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(suites_and_curves_have_the_names_of_the_original),
        cmocka_unit_test(pins_are_sixty_four_hexadecimal_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
