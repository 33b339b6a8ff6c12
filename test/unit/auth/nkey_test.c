// SPDX-License-Identifier: Apache-2.0
// CO-S03: the text of a public key, both ways, and everything near it that is none.
#include "auth/nkey.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

// A public key of a user as other people's tools write it.
#define PUBLIC "UCNGL4W5QX66CFX6A6DCBVDH5VOHMI7B2UZZU7TXAUQQSI2JPHULCKBR"

static void test_both_ways(void **state)
{
    uint8_t key[NKEY_KEY_LEN];
    char text[NKEY_TEXT_LEN];
    assert_int_equal(nkey_decode_user(BYTES(PUBLIC), key), 0);
    nkey_encode_user(key, text);
    assert_memory_equal(text, PUBLIC, NKEY_TEXT_LEN);
    memset(key, 0, sizeof(key));
    nkey_encode_user(key, text);
    assert_int_equal(text[0], 'U');
    assert_int_equal(nkey_decode_user(bytes_make(text, sizeof(text)), key), 0);
}

static void test_refused(void **state)
{
    uint8_t key[NKEY_KEY_LEN];
    char text[NKEY_TEXT_LEN + 1];
    assert_int_equal(nkey_decode_user(BYTES(""), key), ERR_INVALID);
    assert_int_equal(nkey_decode_user(BYTES(PUBLIC "A"), key), ERR_INVALID);
    assert_int_equal(nkey_decode_user(bytes_make(PUBLIC, NKEY_TEXT_LEN - 1), key), ERR_INVALID);
    for (size_t i = 0; i < NKEY_TEXT_LEN; i++) {
        memcpy(text, PUBLIC, sizeof(text));
        text[i] = text[i] == 'A' ? 'B' : 'A';
        if (nkey_decode_user(bytes_make(text, NKEY_TEXT_LEN), key) != ERR_INVALID)
            fail_msg("a change at %zu goes unnoticed", i);
    }
    memcpy(text, PUBLIC, sizeof(text));
    text[5] = 'w';
    assert_int_equal(nkey_decode_user(bytes_make(text, NKEY_TEXT_LEN), key), ERR_INVALID);
}

// A seed as other people's tools write it, and what is in it.
#define SEED "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU"

static void test_seed(void **state)
{
    uint8_t seed[NKEY_SEED_LEN], key[NKEY_KEY_LEN];
    static const uint8_t begins[] = {0xc5, 0xab};
    assert_int_equal(nkey_decode_user_seed(BYTES(SEED), seed), 0);
    assert_memory_equal(seed, begins, sizeof(begins));
    assert_int_equal(nkey_decode_user(BYTES(SEED), key), ERR_INVALID);
    assert_int_equal(nkey_decode_user_seed(BYTES(PUBLIC), seed), ERR_INVALID);
    assert_int_equal(nkey_decode_user_seed(BYTES(""), seed), ERR_INVALID);
    assert_int_equal(nkey_decode_user_seed(BYTES(SEED "A"), seed), ERR_INVALID);
    // An account's.
    assert_int_equal(nkey_decode_user_seed(BYTES("SAAPEBPDLHYN5MBS6D3ZOL5ASSRHHTXIZ4UZK26GTJV6T2Q4L5QYLH2LQY"), seed),
                     ERR_INVALID);
    for (size_t i = 0; i < sizeof(SEED) - 1; i++) {
        char text[] = SEED;
        text[i] = text[i] == 'A' ? 'B' : 'A';
        if (nkey_decode_user_seed(bytes_make(text, sizeof(SEED) - 1), seed) != ERR_INVALID)
            fail_msg("a change at %zu goes unnoticed", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
