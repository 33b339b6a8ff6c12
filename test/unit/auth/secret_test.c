// SPDX-License-Identifier: Apache-2.0
// CO-S02: what equals a secret, what counts as a hash of one, and that a decoy looks like the real thing.
#include "auth/secret.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_equal(void **state)
{
    struct auth_secret secret = {AUTH_SECRET_PLAIN, BYTES("secret")}, empty = {AUTH_SECRET_PLAIN, BYTES("")},
                       none = {0};
    assert_true(secret_equal(secret, BYTES("secret")));
    assert_false(secret_equal(secret, BYTES("")));
    assert_false(secret_equal(secret, BYTES("secre")));
    assert_false(secret_equal(secret, BYTES("secretsecret")));
    assert_false(secret_equal(secret, BYTES("Secret")));
    assert_false(secret_equal(secret, BYTES("secreT")));
    assert_true(secret_equal(empty, BYTES("")));
    assert_false(secret_equal(empty, bytes_make("\0", 1)));
    assert_true(secret_equal(none, BYTES("")));
    assert_false(secret_equal(none, BYTES("x")));
}

static void test_kind(void **state)
{
    assert_int_equal(secret_kind(BYTES("$2a$10$abc")), AUTH_SECRET_BCRYPT);
    assert_int_equal(secret_kind(BYTES("$2y$04$")), AUTH_SECRET_BCRYPT);
    static const char *const plain[] = {"",           "$2",         "$2a$",       "$2a$1x$",   "$2a$10",
                                        "$2c$10$abc", "$1a$10$abc", "2a$10$abc.", "$2a-10$abc"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (secret_kind(bytes_from_string(plain[i])) != AUTH_SECRET_PLAIN)
            fail_msg("%s", plain[i]);
}

static void test_decoy(void **state)
{
    char text[SECRET_DECOY_LEN];
    secret_decoy(BYTES("$2b$12$whatever"), text);
    assert_memory_equal(text, "$2b$12$", 7);
    for (size_t i = 7; i < sizeof(text); i++)
        assert_non_null(memchr("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", text[i], 64));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_kind),
        cmocka_unit_test(test_decoy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
