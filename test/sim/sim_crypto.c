// SPDX-License-Identifier: Apache-2.0
#include "sim_crypto.h"

#include <stdlib.h>

#include "base/endian.h"
#include "base/hash.h"

enum { SEEN_MAX = 1 << 16 }; // what was sealed lately: (key, nonce) and text; a place is used again

struct seen {
    uint64_t use;  // hash of key and nonce
    uint64_t text; // hash of the clear text and what is associated
};

// Of the process: a key may be used by two stores of one test, one after the other.
static struct seen seen[SEEN_MAX];
static bool reused;
static uint64_t salts;

static uint64_t use_of(const struct crypto_aead *aead)
{
    uint64_t key = hash_bytes(bytes_make((const char *)aead->key, CRYPTO_AEAD_KEY_LEN), aead->cipher);
    return hash_bytes(bytes_make((const char *)aead->nonce, CRYPTO_AEAD_NONCE_LEN), key);
}

static void note_use(uint64_t use, uint64_t text)
{
    struct seen *at = &seen[use % SEEN_MAX];
    reused |= at->use == use && at->text != text;
    *at = (struct seen){use, text};
}

static void apply_stream(uint64_t use, const char *from, size_t len, char *to)
{
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = 0, mask = (use + i) * UINT64_C(0x9e3779b97f4a7c15);
        size_t part = len - i < 8 ? len - i : 8;
        memcpy(&word, from + i, part);
        word ^= mask ^ mask >> 29;
        memcpy(to + i, &word, part);
    }
}

static void tag_of(const struct crypto_aead *aead, uint64_t use, struct bytes sealed, char ret_tag[CRYPTO_AEAD_TAG_LEN])
{
    struct hash128 hash = hash128_bytes(sealed, hash_bytes(aead->associated, use));
    put_u64(ret_tag, hash.lo);
    put_u64(ret_tag + 8, hash.hi);
}

static void aead_seal(const struct crypto_aead *aead, struct bytes clear, char *to)
{
    uint64_t use = use_of(aead);
    note_use(use, hash_bytes(clear, hash_bytes(aead->associated, 0)));
    apply_stream(use, clear.ptr, clear.len, to);
    tag_of(aead, use, bytes_make(to, clear.len), to + clear.len);
}

static bool aead_open(const struct crypto_aead *aead, struct bytes sealed, char *to)
{
    char tag[CRYPTO_AEAD_TAG_LEN];
    uint64_t use = use_of(aead);
    size_t len = sealed.len - CRYPTO_AEAD_TAG_LEN;
    if (sealed.len < CRYPTO_AEAD_TAG_LEN)
        return false;
    tag_of(aead, use, bytes_make(sealed.ptr, len), tag);
    bool genuine = memcmp(tag, sealed.ptr + len, sizeof(tag)) == 0;
    apply_stream(use, sealed.ptr, len, to);
    return genuine;
}

static void hkdf_sha256(struct bytes secret, struct bytes salt, struct bytes info, uint8_t ret_key[CRYPTO_SHA256_LEN])
{
    uint64_t seed = hash_bytes(info, hash_bytes(salt, 1));
    for (uint64_t i = 0; i < CRYPTO_SHA256_LEN; i += 8)
        put_u64(ret_key + i, hash_bytes(secret, seed + i));
}

static uint64_t next_salt(void *owner)
{
    return ++*(uint64_t *)owner * UINT64_C(0xd6e8feb86659fd93);
}

static const struct random_source sim_salts = {.owner = &salts, .next = next_salt};

const struct crypto sim_crypto = {.aead_seal = aead_seal, .aead_open = aead_open, .hkdf_sha256 = hkdf_sha256};

bool sim_crypto_nonce_reused(void)
{
    bool result = reused;
    reused = false;
    return result;
}

struct store_encryption sim_crypto_encryption(enum crypto_cipher cipher, const char *key, const char *old_key)
{
    return (struct store_encryption){.cipher = cipher,
                                     .key = bytes_from_string(key),
                                     .old_key = bytes_from_string(old_key),
                                     .crypto = &sim_crypto,
                                     .random = &sim_salts};
}

struct store_encryption sim_crypto_for_seed(uint64_t seed)
{
    const char *all = getenv("SEALED");
    salts = seed << 32;
    memset(seen, 0, sizeof(seen));
    if (all ? strcmp(all, "1") != 0 : seed % 3 != 0)
        return (struct store_encryption){0};
    return sim_crypto_encryption(CRYPTO_AES_256_GCM, "one secret", "another secret");
}

void sim_crypto_next_life(struct store_encryption *encryption)
{
    static const uint32_t ciphers[] = {CRYPTO_AES_256_GCM, CRYPTO_CHACHA20_POLY1305, CRYPTO_AES_256_GCM, 0,
                                       CRYPTO_CHACHA20_POLY1305};
    if (!encryption->key.len)
        return;
    uint64_t choice = hash_bytes(bytes_make((const char *)&salts, sizeof(salts)), 0);
    encryption->cipher = ciphers[choice % 5];
    if (choice / 8 % 4 == 0) {
        struct bytes key = encryption->key;
        encryption->key = encryption->old_key;
        encryption->old_key = key;
    }
}
