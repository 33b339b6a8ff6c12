// SPDX-License-Identifier: Apache-2.0
// Cryptography as functions: os/ has the real ones (OpenSSL, libcrypt), tests and the simulator may have cheap ones. No state;
// any thread may call any of them at any time.
#pragma once

#include "base/bytes.h"

#define CRYPTO_SHA1_LEN              20
#define CRYPTO_SHA256_LEN            32
#define CRYPTO_ED25519_KEY_LEN       32
#define CRYPTO_ED25519_SIGNATURE_LEN 64
#define CRYPTO_AEAD_KEY_LEN          32
#define CRYPTO_AEAD_NONCE_LEN        12
#define CRYPTO_AEAD_TAG_LEN          16

// Authenticated encryption. Numbers are kept in files and are never used twice.
enum crypto_cipher { CRYPTO_AES_256_GCM = 1, CRYPTO_CHACHA20_POLY1305 = 2 };

// What both directions need. All borrowed; the arrays have the lengths above.
struct crypto_aead {
    enum crypto_cipher cipher;
    const uint8_t *key;
    const uint8_t *nonce;    // never twice with one key
    struct bytes associated; // authenticated, not encrypted; len 0: none
};

struct crypto {
    // Is `hash` ("$2a$…", as bcrypt tools print it) that of `password`? Slow on purpose, up to seconds: on the offload pool
    // only. A password with a NUL fits no hash; only its first 72 bytes count, as everywhere with bcrypt.
    bool (*bcrypt_matches)(struct bytes hash, struct bytes password);
    // Is it the signature of `message` under the public key? About 0.1 ms. Both arrays have the lengths above.
    bool (*ed25519_verify)(const uint8_t *key, const uint8_t *signature, struct bytes message);
    void (*sha256)(struct bytes input, uint8_t ret_digest[CRYPTO_SHA256_LEN]);
    // Protects nothing: the opening handshake of websockets asks for it.
    void (*sha1)(struct bytes input, uint8_t ret_digest[CRYPTO_SHA1_LEN]);
    // Writes clear.len encrypted bytes and the tag behind them. `to` may be where the clear text is. At most 1 GiB at once.
    void (*aead_seal)(const struct crypto_aead *aead, struct bytes clear, char *to);
    // The reverse: writes sealed.len - CRYPTO_AEAD_TAG_LEN bytes; `to` may be sealed.ptr. False: too short, or not what this key,
    // nonce and associated text made; then what is at `to` means nothing.
    bool (*aead_open)(const struct crypto_aead *aead, struct bytes sealed, char *to);
    // HKDF-SHA-256 (RFC 5869) with one block of output: a key for one purpose (`info`, at most 64 bytes) from a secret.
    void (*hkdf_sha256)(struct bytes secret, struct bytes salt, struct bytes info, uint8_t ret_key[CRYPTO_SHA256_LEN]);
    // Memory that holds keys: kept out of swap and core dumps, as far as the machine lets us; nothing depends on it. NULL: nobody does.
    void (*guard)(void *memory, size_t size);
};
