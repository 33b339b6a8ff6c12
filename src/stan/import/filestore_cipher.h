// SPDX-License-Identifier: Apache-2.0
// Payloads that a NATS Streaming store encrypted (section 6.3 of the reference): of a message only its data, and that carries a byte
// for the cipher, a nonce, the encrypted bytes and a tag. Anything else in its place is clear text, since a store may have been
// encrypted from some day on.
#pragma once

#include "base/buffer.h"
#include "base/error.h"
#include "env/crypto.h"

struct filestore_cipher {
    const struct crypto *crypto; // borrowed
    uint8_t user[CRYPTO_SHA256_LEN];
    uint8_t key[CRYPTO_AEAD_KEY_LEN]; // of the channel
    bool has_key;
};

// `key`: the user's, as given to the old server; len 0: none, then nothing is decrypted.
void filestore_cipher_init(struct filestore_cipher *cipher, const struct crypto *crypto, struct bytes key);
// What follows is of this channel.
void filestore_cipher_set_channel(struct filestore_cipher *cipher, struct bytes channel);
// Whether it has the form of an encrypted payload.
bool filestore_cipher_is_sealed(struct bytes data);
// Decrypts into `scratch` (cleared first) and gives the clear text in *ret_clear, or `data` itself if it is not sealed, or if there is
// no key. ERR_PERMISSION: sealed under another key, or damaged; ERR_TOO_BIG: scratch has no room.
int filestore_cipher_open(const struct filestore_cipher *cipher, struct bytes data, struct buffer *scratch,
                          struct bytes *ret_clear) MUST_USE;
