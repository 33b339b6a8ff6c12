// SPDX-License-Identifier: Apache-2.0
#include "stan/import/filestore_cipher.h"

#include "base/must.h"
#include "stan/channel.h"

enum { HEAD_SIZE = 1 + CRYPTO_AEAD_NONCE_LEN };

void filestore_cipher_init(struct filestore_cipher *cipher, const struct crypto *crypto, struct bytes key)
{
    *cipher = (struct filestore_cipher){.crypto = crypto, .has_key = key.len > 0};
    if (cipher->has_key)
        crypto->sha256(key, cipher->user);
}

// The key is the hash of as many zero bytes as the text has, and then the text: digest of the user's key, a dot, the channel's name.
void filestore_cipher_set_channel(struct filestore_cipher *cipher, struct bytes channel)
{
    if (!cipher->has_key)
        return;
    char text[2 * (CRYPTO_SHA256_LEN + 1 + CHANNEL_NAME_MAX)];
    must(channel.len <= CHANNEL_NAME_MAX);
    size_t len = CRYPTO_SHA256_LEN + 1 + channel.len;
    memset(text, 0, len);
    memcpy(text + len, cipher->user, CRYPTO_SHA256_LEN);
    text[len + CRYPTO_SHA256_LEN] = '.';
    memcpy(text + len + CRYPTO_SHA256_LEN + 1, channel.ptr, channel.len);
    cipher->crypto->sha256(bytes_make(text, 2 * len), cipher->key);
}

bool filestore_cipher_is_sealed(struct bytes data)
{
    return data.len >= HEAD_SIZE + CRYPTO_AEAD_TAG_LEN &&
           (data.ptr[0] == CRYPTO_AES_256_GCM || data.ptr[0] == CRYPTO_CHACHA20_POLY1305);
}

int filestore_cipher_open(const struct filestore_cipher *cipher, struct bytes data, struct buffer *scratch,
                          struct bytes *ret_clear)
{
    if (!cipher->has_key || !filestore_cipher_is_sealed(data)) {
        *ret_clear = data;
        return 0;
    }
    buffer_clear(scratch);
    struct bytes sealed = bytes_skip(data, HEAD_SIZE);
    char *to = buffer_reserve(scratch, sealed.len);
    if (!to)
        return ERR_TOO_BIG;
    const struct crypto_aead aead = {
        .cipher = (enum crypto_cipher)data.ptr[0],
        .key = cipher->key,
        .nonce = (const uint8_t *)data.ptr + 1,
    };
    if (!cipher->crypto->aead_open(&aead, sealed, to))
        return ERR_PERMISSION;
    *ret_clear = bytes_make(to, sealed.len - CRYPTO_AEAD_TAG_LEN);
    return 0;
}
