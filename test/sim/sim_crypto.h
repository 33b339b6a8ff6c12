// SPDX-License-Identifier: Apache-2.0
// Authenticated encryption for the simulator, made of hashes: fast, the same on every run, and as strict as the real one about what
// opens. Protects nothing. For tests only.
//
// It watches what the real one cannot: that no key ever encrypts two different texts with one nonce.
#pragma once

#include "env/crypto.h"
#include "env/random.h"
#include "store/store.h"

extern const struct crypto sim_crypto;

// Has a key been used twice with one nonce, for different texts, since the last call?
bool sim_crypto_nonce_reused(void);

// Keys for the stores of a test, and salts that never repeat.
struct store_encryption sim_crypto_encryption(enum crypto_cipher cipher, const char *key, const char *old_key);
// For every third seed, and with SEALED=1 in the environment for all; else none.
struct store_encryption sim_crypto_for_seed(uint64_t seed);
// Before each start of a store: other ciphers, none at times, and now and then the other key. So one directory has files of all kinds.
void sim_crypto_next_life(struct store_encryption *encryption);
