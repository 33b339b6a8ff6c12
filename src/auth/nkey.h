// SPDX-License-Identifier: Apache-2.0
// Public keys as nkeys write them (CO-S03): base32 of a prefix byte that says whose key it is, the 32 bytes of the Ed25519 key,
// and a CRC-16 (XMODEM, little-endian) of what stands before it. 56 characters; a user's begins with "U". Seeds, from which the pair
// of keys is made, have a prefix of two bytes: "S" and whose it is; 58 characters, a user's begins with "SU".
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

#define NKEY_TEXT_LEN 56
#define NKEY_KEY_LEN  32
#define NKEY_SEED_LEN 32

// A user's public key. ERR_INVALID: anything else, also a seed or the key of an account or a server.
int nkey_decode_user(struct bytes text, uint8_t ret_key[NKEY_KEY_LEN]) MUST_USE;
// Writes NKEY_TEXT_LEN characters, no NUL.
void nkey_encode_user(const uint8_t key[NKEY_KEY_LEN], char ret_text[NKEY_TEXT_LEN]);
// A user's seed, which is a secret. ERR_INVALID: anything else.
int nkey_decode_user_seed(struct bytes text, uint8_t ret_seed[NKEY_SEED_LEN]) MUST_USE;
