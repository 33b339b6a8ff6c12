// SPDX-License-Identifier: Apache-2.0
// The real cryptography (env/crypto.h): OpenSSL, and libcrypt for bcrypt.
#pragma once

#include "env/crypto.h"

// Static, any thread.
extern const struct crypto crypto_machine;

// The side that proves who it is: only our own connections to others have a private key. `seed` is 32 bytes (RFC 8032's private key).
void crypto_ed25519_sign(const uint8_t *seed, struct bytes message, uint8_t ret_key[CRYPTO_ED25519_KEY_LEN],
                         uint8_t ret_signature[CRYPTO_ED25519_SIGNATURE_LEN]);
