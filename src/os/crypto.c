// SPDX-License-Identifier: Apache-2.0
#include "os/crypto.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/must.h"

// Of a bcrypt hash: "$2a$10$", 22 characters of salt, 31 of hash.
#define BCRYPT_TEXT_LEN         60
#define BCRYPT_PASSWORD_LEN_MAX 72
#define AEAD_BYTES_MAX          (1u << 30)
#define HKDF_INFO_MAX           64

void crypto_ed25519_sign(const uint8_t *seed, struct bytes message, uint8_t ret_key[CRYPTO_ED25519_KEY_LEN],
                         uint8_t ret_signature[CRYPTO_ED25519_SIGNATURE_LEN])
{
    EVP_PKEY *private = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, CRYPTO_ED25519_KEY_LEN);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t key_len = CRYPTO_ED25519_KEY_LEN, signature_len = CRYPTO_ED25519_SIGNATURE_LEN;
    must(private && context && EVP_PKEY_get_raw_public_key(private, ret_key, &key_len) == 1);
    must(EVP_DigestSignInit(context, NULL, NULL, NULL, private) == 1 &&
         EVP_DigestSign(context, ret_signature, &signature_len, (const uint8_t *)message.ptr, message.len) == 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(private);
}

static bool bcrypt_matches(struct bytes hash, struct bytes password)
{
    // libcrypt knows more kinds of hashes than we take for passwords, and ends strings at a NUL.
    if (hash.len != BCRYPT_TEXT_LEN || !bytes_starts_with(hash, BYTES("$2")) || memchr(hash.ptr, '\0', hash.len) ||
        (password.len && memchr(password.ptr, '\0', password.len)))
        return false;
    // What counts; libcrypt refuses much longer ones.
    if (password.len > BCRYPT_PASSWORD_LEN_MAX)
        password.len = BCRYPT_PASSWORD_LEN_MAX;
    struct crypt_data *data = mem_alloc_zero(sizeof(*data));
    char *expected = mem_copy_string(hash), *given = mem_copy_string(password);
    // Not crypt_r(): the sanitizers have one of their own, and the linker then leaves out the library.
    const char *made = crypt_rn(given, expected, data, (int)sizeof(*data));
    bool equal = made && strlen(made) == BCRYPT_TEXT_LEN && CRYPTO_memcmp(made, expected, BCRYPT_TEXT_LEN) == 0;
    OPENSSL_cleanse(given, password.len);
    OPENSSL_cleanse(data, sizeof(*data));
    mem_free(given);
    mem_free(expected);
    mem_free(data);
    return equal;
}

static bool ed25519_verify(const uint8_t *key, const uint8_t *signature, struct bytes message)
{
    bool verified = false;
    EVP_PKEY *public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, CRYPTO_ED25519_KEY_LEN);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context);
    if (public && EVP_DigestVerifyInit(context, NULL, NULL, NULL, public) == 1)
        verified = EVP_DigestVerify(context, signature, CRYPTO_ED25519_SIGNATURE_LEN, (const uint8_t *)message.ptr,
                                    message.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public);
    return verified;
}

static void sha1(struct bytes input, uint8_t ret_digest[CRYPTO_SHA1_LEN])
{
    must(EVP_Digest(input.ptr, input.len, ret_digest, NULL, EVP_sha1(), NULL) == 1);
}

static void sha256(struct bytes input, uint8_t ret_digest[CRYPTO_SHA256_LEN])
{
    must(EVP_Digest(input.ptr, input.len, ret_digest, NULL, EVP_sha256(), NULL) == 1);
}

static const EVP_CIPHER *cipher_of(const struct crypto_aead *aead)
{
    return aead->cipher == CRYPTO_AES_256_GCM ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
}

// Feeds the associated text. Without any, nothing: OpenSSL would take a NULL of length 0 for the end of the message.
static bool aead_associate(EVP_CIPHER_CTX *context, const struct crypto_aead *aead)
{
    int used;
    return aead->associated.len == 0 || EVP_CipherUpdate(context, NULL, &used, (const uint8_t *)aead->associated.ptr,
                                                         (int)aead->associated.len) == 1;
}

static void aead_seal(const struct crypto_aead *aead, struct bytes clear, char *to)
{
    must(clear.len <= AEAD_BYTES_MAX && aead->associated.len <= AEAD_BYTES_MAX);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int used = 0;
    uint8_t *out = (uint8_t *)to;
    must(context && EVP_EncryptInit_ex(context, cipher_of(aead), NULL, aead->key, aead->nonce) == 1);
    must(aead_associate(context, aead));
    must(clear.len == 0 || EVP_EncryptUpdate(context, out, &used, (const uint8_t *)clear.ptr, (int)clear.len) == 1);
    must((size_t)used == clear.len && EVP_EncryptFinal_ex(context, out + used, &used) == 1 && used == 0);
    must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, CRYPTO_AEAD_TAG_LEN, out + clear.len) == 1);
    EVP_CIPHER_CTX_free(context);
}

static bool aead_open(const struct crypto_aead *aead, struct bytes sealed, char *to)
{
    if (sealed.len < CRYPTO_AEAD_TAG_LEN || sealed.len > AEAD_BYTES_MAX)
        return false;
    uint8_t tag[CRYPTO_AEAD_TAG_LEN], *out = (uint8_t *)to;
    size_t len = sealed.len - CRYPTO_AEAD_TAG_LEN;
    memcpy(tag, sealed.ptr + len, sizeof(tag));
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int used = 0;
    must(context && EVP_DecryptInit_ex(context, cipher_of(aead), NULL, aead->key, aead->nonce) == 1);
    must(aead_associate(context, aead));
    must(len == 0 || EVP_DecryptUpdate(context, out, &used, (const uint8_t *)sealed.ptr, (int)len) == 1);
    must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) == 1);
    bool genuine = EVP_DecryptFinal_ex(context, out + used, &used) == 1;
    EVP_CIPHER_CTX_free(context);
    return genuine;
}

static void hkdf_sha256(struct bytes secret, struct bytes salt, struct bytes info, uint8_t ret_key[CRYPTO_SHA256_LEN])
{
    static const uint8_t no_salt[CRYPTO_SHA256_LEN];
    uint8_t extracted[CRYPTO_SHA256_LEN], text[HKDF_INFO_MAX + 1];
    must(secret.len <= INT32_MAX && salt.len <= INT32_MAX && info.len <= HKDF_INFO_MAX);
    const void *key = salt.len ? (const void *)salt.ptr : no_salt;
    int key_len = salt.len ? (int)salt.len : CRYPTO_SHA256_LEN;
    must(HMAC(EVP_sha256(), key, key_len, (const uint8_t *)secret.ptr, secret.len, extracted, NULL));
    if (info.len)
        memcpy(text, info.ptr, info.len);
    text[info.len] = 1;
    must(HMAC(EVP_sha256(), extracted, sizeof(extracted), text, info.len + 1, ret_key, NULL));
    OPENSSL_cleanse(extracted, sizeof(extracted));
}

// Whole pages: what else is on them stays in memory, too.
static void guard(void *memory, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)memory / page * page;
    size_t len = ((uintptr_t)memory + size - begin + page - 1) / page * page;
    (void)!mlock((void *)begin, len); // beyond RLIMIT_MEMLOCK it is refused
    (void)!madvise((void *)begin, len, MADV_DONTDUMP);
}

const struct crypto crypto_machine = {
    .bcrypt_matches = bcrypt_matches,
    .ed25519_verify = ed25519_verify,
    .sha256 = sha256,
    .sha1 = sha1,
    .aead_seal = aead_seal,
    .aead_open = aead_open,
    .hkdf_sha256 = hkdf_sha256,
    .guard = guard,
};
