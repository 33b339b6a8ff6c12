// SPDX-License-Identifier: Apache-2.0
// Section 6.3: a payload that nats-streaming-server 0.25.6 encrypted with the key "testkey" (the first message of `orders` in the
// recorded store), the same under the other cipher, and what is not encrypted at all.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/crypto.h"
#include "stan/import/filestore_cipher.h"

#define AES                                                                                                            \
    BYTES("\x01\x97\xd1\xab\x53\x00\x00\x00\x00\x00\x00\x00\x01\x0e\x5e\x68\xe5\xe2\x42\xb9\x5d\xcd\xfb\xcc\x17\xed"   \
          "\xf6\x70\xf2\x37\x30\x9f\xbe\xa5\x23\x29\x96\x04")
#define CHACHA                                                                                                         \
    BYTES("\x02\x97\xd1\xab\x53\x00\x00\x00\x00\x00\x00\x00\x01\x6a\x54\xbc\x24\xd6\x07\x55\x79\x5c\x07\x83\xea\xd5"   \
          "\x33\x3a\xd6\x1e\x80\xe5\xcd\xfd\x8d\xe3\x8a\x56")

struct rig {
    struct filestore_cipher cipher;
    struct buffer scratch;
    struct bytes clear;
};

static int open_as(struct rig *rig, const char *key, const char *channel, struct bytes data)
{
    filestore_cipher_init(&rig->cipher, &crypto_machine, bytes_from_string(key));
    filestore_cipher_set_channel(&rig->cipher, bytes_from_string(channel));
    return filestore_cipher_open(&rig->cipher, data, &rig->scratch, &rig->clear);
}

static void expect_clear(const struct rig *rig, struct bytes text)
{
    assert_true(bytes_equal(rig->clear, text));
}

static void test_both_ciphers(void **state)
{
    struct rig rig = {0};
    buffer_init(&rig.scratch, 4096);
    assert_int_equal(open_as(&rig, "testkey", "orders", AES), 0);
    expect_clear(&rig, BYTES("order 1 x"));
    assert_int_equal(open_as(&rig, "testkey", "orders", CHACHA), 0);
    expect_clear(&rig, BYTES("order 1 x"));
    buffer_deinit(&rig.scratch);
}

static void test_wrong_key_channel_or_byte(void **state)
{
    struct rig rig = {0};
    buffer_init(&rig.scratch, 4096);
    assert_int_equal(open_as(&rig, "testkez", "orders", AES), ERR_PERMISSION);
    assert_int_equal(open_as(&rig, "testkey", "order", AES), ERR_PERMISSION);
    char changed[64];
    memcpy(changed, AES.ptr, AES.len);
    changed[20] ^= 1;
    assert_int_equal(open_as(&rig, "testkey", "orders", bytes_make(changed, AES.len)), ERR_PERMISSION);
    buffer_deinit(&rig.scratch);
}

static void test_clear_text_stays(void **state)
{
    struct rig rig = {0};
    buffer_init(&rig.scratch, 4096);
    const struct bytes clear[] = {BYTES(""), BYTES("\1short"), BYTES("{\"a\": \"a long text that begins otherwise\"}"),
                                  BYTES("\3 another first byte, and enough of them")};
    for (size_t i = 0; i < sizeof(clear) / sizeof(clear[0]); i++) {
        assert_int_equal(open_as(&rig, "testkey", "orders", clear[i]), 0);
        expect_clear(&rig, clear[i]);
        assert_false(filestore_cipher_is_sealed(clear[i]));
    }
    // Without a key nothing is looked into, but it can be told.
    assert_int_equal(open_as(&rig, "", "orders", AES), 0);
    expect_clear(&rig, AES);
    assert_true(filestore_cipher_is_sealed(AES));
    assert_true(filestore_cipher_is_sealed(CHACHA));
    buffer_deinit(&rig.scratch);
}

static void test_no_room(void **state)
{
    struct rig rig = {0};
    buffer_init(&rig.scratch, 10);
    assert_int_equal(open_as(&rig, "testkey", "orders", AES), ERR_TOO_BIG);
    buffer_deinit(&rig.scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ciphers),
        cmocka_unit_test(test_wrong_key_channel_or_byte),
        cmocka_unit_test(test_clear_text_stays),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
