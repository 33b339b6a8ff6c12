// SPDX-License-Identifier: Apache-2.0
// Who our own client is, as CONNECT says it.
#pragma once

#include "auth/nkey.h"
#include "cmd/client_options.h"
#include "codec/nats_url.h"
#include "env/crypto.h"
#include "wire/connect.h"

// What the strings of CONNECT are borrowed from.
struct client_login {
    char nkey[NKEY_TEXT_LEN];
    char signature[2 * CRYPTO_ED25519_SIGNATURE_LEN];
};

// Fills in user, password, token, key and signature: options first, then the URL. The seed is read, used and wiped. `nonce` is what INFO
// had. On failure (ERR_NOT_FOUND, ERR_INVALID, ERR_UNSUPPORTED: the server gave no nonce) the message says why.
int client_login_fill(struct client_login *login, const struct client_options *options, const struct nats_url *url,
                      struct bytes nonce, struct wire_connect *connect, char *ret_message, size_t size) MUST_USE;

// A secret: the caller wipes it. ERR_NOT_FOUND, ERR_INVALID: the message says why, and nothing of what is in the file.
int client_login_read_seed(const char *file, uint8_t ret_seed[NKEY_SEED_LEN], char *message, size_t size) MUST_USE;
