// SPDX-License-Identifier: Apache-2.0
// CO-S02, S03: published vectors of bcrypt (crypt_blowfish), Ed25519 (RFC 8032), SHA-256 and authenticated encryption, and everything
// near them.
#include "os/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

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

static void test_ed25519_sign(void **state)
{
    const uint8_t seed[] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                            0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                            0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
    uint8_t made_key[CRYPTO_ED25519_KEY_LEN], made[CRYPTO_ED25519_SIGNATURE_LEN];
    crypto_ed25519_sign(seed, BYTES(""), made_key, made);
    assert_memory_equal(made_key, key, sizeof(key));
    assert_memory_equal(made, signature, sizeof(signature));
    crypto_ed25519_sign(seed, BYTES("x"), made_key, made);
    assert_true(crypto_machine.ed25519_verify(key, made, BYTES("x")));
    assert_false(crypto_machine.ed25519_verify(key, made, BYTES("y")));
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

// Authenticated encryption: the vectors of the GCM specification (case 16) and of RFC 8439 (2.8.2).
struct aead_vector {
    enum crypto_cipher cipher;
    uint8_t key[CRYPTO_AEAD_KEY_LEN], nonce[CRYPTO_AEAD_NONCE_LEN], associated[20];
    size_t associated_len;
    const char *clear;
    size_t clear_len;
    const char *sealed;
};

static const struct aead_vector aead_vectors[] = {
    {CRYPTO_AES_256_GCM,
     {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08,
      0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08},
     {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88},
     {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
      0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2},
     20,
     "\xd9\x31\x32\x25\xf8\x84\x06\xe5\xa5\x59\x09\xc5\xaf\xf5\x26\x9a\x86\xa7\xa9\x53\x15\x34\xf7\xda"
     "\x2e\x4c\x30\x3d\x8a\x31\x8a\x72\x1c\x3c\x0c\x95\x95\x68\x09\x53\x2f\xcf\x0e\x24\x49\xa6\xb5\x25"
     "\xb1\x6a\xed\xf5\xaa\x0d\xe6\x57\xba\x63\x7b\x39",
     60,
     "\x52\x2d\xc1\xf0\x99\x56\x7d\x07\xf4\x7f\x37\xa3\x2a\x84\x42\x7d\x64\x3a\x8c\xdc\xbf\xe5\xc0\xc9"
     "\x75\x98\xa2\xbd\x25\x55\xd1\xaa\x8c\xb0\x8e\x48\x59\x0d\xbb\x3d\xa7\xb0\x8b\x10\x56\x82\x88\x38"
     "\xc5\xf6\x1e\x63\x93\xba\x7a\x0a\xbc\xc9\xf6\x62\x76\xfc\x6e\xce\x0f\x4e\x17\x68\xcd\xdf\x88\x53"
     "\xbb\x2d\x55\x1b"},
    {CRYPTO_CHACHA20_POLY1305,
     {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
      0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f},
     {0x07, 0x00, 0x00, 0x00, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47},
     {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7},
     12,
     "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be "
     "it.",
     114,
     "\xd3\x1a\x8d\x34\x64\x8e\x60\xdb\x7b\x86\xaf\xbc\x53\xef\x7e\xc2\xa4\xad\xed\x51\x29\x6e\x08\xfe"
     "\xa9\xe2\xb5\xa7\x36\xee\x62\xd6\x3d\xbe\xa4\x5e\x8c\xa9\x67\x12\x82\xfa\xfb\x69\xda\x92\x72\x8b"
     "\x1a\x71\xde\x0a\x9e\x06\x0b\x29\x05\xd6\xa5\xb6\x7e\xcd\x3b\x36\x92\xdd\xbd\x7f\x2d\x77\x8b\x8c"
     "\x98\x03\xae\xe3\x28\x09\x1b\x58\xfa\xb3\x24\xe4\xfa\xd6\x75\x94\x55\x85\x80\x8b\x48\x31\xd7\xbc"
     "\x3f\xf4\xde\xf0\x8e\x4b\x7a\x9d\xe5\x76\xd2\x65\x86\xce\xc6\x4b\x61\x16\x1a\xe1\x0b\x59\x4f\x09"
     "\xe2\x6a\x7e\x90\x2e\xcb\xd0\x60\x06\x91"},
};

static void test_aead(void **state)
{
    for (size_t i = 0; i < sizeof(aead_vectors) / sizeof(aead_vectors[0]); i++) {
        const struct aead_vector *v = &aead_vectors[i];
        struct crypto_aead aead = {v->cipher, v->key, v->nonce, bytes_make(v->associated, v->associated_len)};
        char buffer[160], clear[160];
        size_t sealed_len = v->clear_len + CRYPTO_AEAD_TAG_LEN;
        memcpy(buffer, v->clear, v->clear_len);
        crypto_machine.aead_seal(&aead, bytes_make(buffer, v->clear_len), buffer); // in place
        assert_memory_equal(buffer, v->sealed, sealed_len);
        assert_true(crypto_machine.aead_open(&aead, bytes_make(buffer, sealed_len), clear));
        assert_memory_equal(clear, v->clear, v->clear_len);
        for (size_t at = 0; at < sealed_len; at += 5) {
            buffer[at] ^= 1;
            assert_false(crypto_machine.aead_open(&aead, bytes_make(buffer, sealed_len), clear));
            buffer[at] ^= 1;
        }
        assert_false(crypto_machine.aead_open(&aead, bytes_make(buffer, CRYPTO_AEAD_TAG_LEN - 1), clear));
        aead.associated.len--;
        assert_false(crypto_machine.aead_open(&aead, bytes_make(buffer, sealed_len), clear));
    }
}

// Nothing to encrypt is sealed as well, and with no associated text.
static void test_aead_empty(void **state)
{
    const enum crypto_cipher ciphers[] = {CRYPTO_AES_256_GCM, CRYPTO_CHACHA20_POLY1305};
    for (size_t i = 0; i < 2; i++) {
        const uint8_t zeros[CRYPTO_AEAD_KEY_LEN] = {0};
        const struct crypto_aead aead = {.cipher = ciphers[i], .key = zeros, .nonce = zeros};
        char tag[CRYPTO_AEAD_TAG_LEN];
        crypto_machine.aead_seal(&aead, BYTES(""), tag);
        assert_true(crypto_machine.aead_open(&aead, bytes_make(tag, sizeof(tag)), tag));
        crypto_machine.aead_seal(&aead, BYTES(""), tag);
        tag[0] ^= 1;
        assert_false(crypto_machine.aead_open(&aead, bytes_make(tag, sizeof(tag)), tag));
    }
}

// RFC 5869, A.1 and A.3: the first block of output.
static void test_hkdf(void **state)
{
    static const uint8_t basic[] = {0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43, 0x4f,
                                    0x64, 0xd0, 0x36, 0x2f, 0x2a, 0x2d, 0x2d, 0x0a, 0x90, 0xcf, 0x1a,
                                    0x5a, 0x4c, 0x5d, 0xb0, 0x2d, 0x56, 0xec, 0xc4, 0xc5, 0xbf};
    static const uint8_t bare[] = {0x8d, 0xa4, 0xe7, 0x75, 0xa5, 0x63, 0xc1, 0x8f, 0x71, 0x5f, 0x80,
                                   0x2a, 0x06, 0x3c, 0x5a, 0x31, 0xb8, 0xa1, 0x1f, 0x5c, 0x5e, 0xe1,
                                   0x87, 0x9e, 0xc3, 0x45, 0x4e, 0x5f, 0x3c, 0x73, 0x8d, 0x2d};
    char secret[22], salt[13], info[10];
    memset(secret, 0x0b, sizeof(secret));
    for (int i = 0; i < 13; i++)
        salt[i] = (char)i;
    for (int i = 0; i < 10; i++)
        info[i] = (char)(0xf0 + i);
    uint8_t made[CRYPTO_SHA256_LEN];
    crypto_machine.hkdf_sha256(bytes_make(secret, sizeof(secret)), bytes_make(salt, sizeof(salt)),
                               bytes_make(info, sizeof(info)), made);
    assert_memory_equal(made, basic, sizeof(made));
    crypto_machine.hkdf_sha256(bytes_make(secret, sizeof(secret)), BYTES(""), BYTES(""), made);
    assert_memory_equal(made, bare, sizeof(made));
}

// What the kernel says of the page: no core dump has it, and where mlock() is the real one it is locked.
static void test_guard(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    crypto_machine.guard(memory + page + 100, 32);
    FILE *file = fopen("/proc/self/smaps", "re");
    assert_non_null(file);
    char line[512], place[32];
    snprintf(place, sizeof(place), "%lx-", (unsigned long)(uintptr_t)(memory + page));
    bool is_here = false, is_kept_out = false;
    while (fgets(line, sizeof(line), file)) {
        if (strchr(line, '-') && strncmp(line, place, strlen(place)) == 0)
            is_here = true;
        if (is_here && strncmp(line, "VmFlags:", 8) == 0) {
            is_kept_out = strstr(line, " dd") != NULL;
            break;
        }
    }
    fclose(file);
    munmap(memory, 3 * page);
    assert_true(is_kept_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bcrypt),       cmocka_unit_test(test_bcrypt_length), cmocka_unit_test(test_ed25519),
        cmocka_unit_test(test_ed25519_sign), cmocka_unit_test(test_sha256),        cmocka_unit_test(test_aead),
        cmocka_unit_test(test_aead_empty),   cmocka_unit_test(test_hkdf),          cmocka_unit_test(test_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
