// SPDX-License-Identifier: Apache-2.0
// CO-S02, S03: published vectors of bcrypt (crypt_blowfish), Ed25519 (RFC 8032) and SHA-256, and everything near them.
#include "os/crypto.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/memory.h"

#define HASH "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static const uint8_t key[CRYPTO_ED25519_KEY_LEN] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
                                                    0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
                                                    0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
static const uint8_t signature[CRYPTO_ED25519_SIGNATURE_LEN] = {
    0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72, 0x90, 0x86, 0xe2, 0xcc, 0x80, 0x6e, 0x82, 0x8a,
    0x84, 0x87, 0x7f, 0x1e, 0xb8, 0xe5, 0xd9, 0x74, 0xd8, 0x73, 0xe0, 0x65, 0x22, 0x49, 0x01, 0x55,
    0x5f, 0xb8, 0x82, 0x15, 0x90, 0xa3, 0x3b, 0xac, 0xc6, 0x1e, 0x39, 0x70, 0x1c, 0xf9, 0xb4, 0x6b,
    0xd2, 0x5b, 0xf5, 0xf0, 0x59, 0x5b, 0xbe, 0x24, 0x65, 0x51, 0x41, 0x43, 0x8e, 0x7a, 0x10, 0x0b};

static bool matches(const char *hash, struct bytes password)
{
    return crypto_machine.bcrypt_matches(bytes_from_string(hash), password);
}

static void test_bcrypt(void **state)
{
    assert_true(matches(HASH, BYTES("U*U")));
    assert_true(matches("$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", BYTES("U*U")));
    assert_true(matches("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", BYTES("U*U")));
    assert_true(matches("$2a$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq", BYTES("")));
    assert_false(matches(HASH, BYTES("U*u")));
    assert_false(matches(HASH, BYTES("")));
    assert_false(matches(HASH, BYTES("U*U\0")));
    assert_false(matches(HASH, BYTES("U*U\0x")));
    assert_false(matches(HASH, BYTES(HASH)));
    // What libcrypt would take for another kind of hash, or for none, fits nothing.
    assert_false(matches("$1$abcdefgh$Ltj5eeoyGDE4X8HWeNKUj1", BYTES("x")));
    assert_false(matches("$2a$05$CCCCCCCCCCCCCCCCCCCCC.", BYTES("U*U")));
    assert_false(matches("$2a$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", BYTES("U*U")));
    assert_false(matches("", BYTES("")));
    assert_false(crypto_machine.bcrypt_matches(bytes_make(HASH, sizeof(HASH)), BYTES("U*U")));
}

static void test_bcrypt_length(void **state)
{
    // 72 bytes count, what follows does not; a longer one is read whole.
    char *password = mem_alloc(5000);
    memset(password, 'a', 5000);
    const char *hash = "$2b$04$abcdefghijklmnopqrstuuBzzIgyKkz7xMWYSzkIjUSnxEQFQ0WNe";
    assert_true(crypto_machine.bcrypt_matches(bytes_from_string(hash), bytes_make(password, 72)));
    assert_true(crypto_machine.bcrypt_matches(bytes_from_string(hash), bytes_make(password, 5000)));
    assert_false(crypto_machine.bcrypt_matches(bytes_from_string(hash), bytes_make(password, 71)));
    mem_free(password);
}

static void test_ed25519(void **state)
{
    uint8_t changed[CRYPTO_ED25519_SIGNATURE_LEN];
    assert_true(crypto_machine.ed25519_verify(key, signature, BYTES("")));
    assert_false(crypto_machine.ed25519_verify(key, signature, BYTES("x")));
    for (size_t i = 0; i < sizeof(changed); i += 7) {
        memcpy(changed, signature, sizeof(changed));
        changed[i] ^= 1;
        assert_false(crypto_machine.ed25519_verify(key, changed, BYTES("")));
    }
    memset(changed, 0xff, sizeof(changed));
    assert_false(crypto_machine.ed25519_verify(changed, signature, BYTES(""))); // no point of the curve
}

static void test_sha256(void **state)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    crypto_machine.sha256(BYTES("abc"), digest);
    const uint8_t expected[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    assert_memory_equal(digest, expected, sizeof(expected));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bcrypt),
        cmocka_unit_test(test_bcrypt_length),
        cmocka_unit_test(test_ed25519),
        cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
