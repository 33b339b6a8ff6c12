// SPDX-License-Identifier: Apache-2.0
#include "auth/secret.h"

#include "base/must.h"

// "$2a$" and two digits of cost and "$".
#define BCRYPT_SETTINGS_LEN 7

bool secret_equal(struct auth_secret secret, struct bytes given)
{
    must(secret.kind != AUTH_SECRET_BCRYPT);
    struct bytes text = secret.kind == AUTH_SECRET_PLAIN ? secret.text : (struct bytes){0};
    // No early way out, and nothing the compiler could make one of.
    volatile unsigned char differences = text.len != given.len;
    for (size_t i = 0; i < given.len; i++)
        differences |= (unsigned char)(given.ptr[i] ^ (text.len ? text.ptr[i % text.len] : 0));
    return differences == 0;
}

enum auth_secret_kind secret_kind(struct bytes text)
{
    bool is_bcrypt = text.len >= BCRYPT_SETTINGS_LEN && bytes_starts_with(text, BYTES("$2")) &&
                     memchr("abxy", text.ptr[2], 4) && text.ptr[3] == '$' && text.ptr[4] >= '0' && text.ptr[4] <= '9' &&
                     text.ptr[5] >= '0' && text.ptr[5] <= '9' && text.ptr[6] == '$';
    return is_bcrypt ? AUTH_SECRET_BCRYPT : AUTH_SECRET_PLAIN;
}

int secret_cost(struct bytes hash)
{
    must(secret_kind(hash) == AUTH_SECRET_BCRYPT);
    return (hash.ptr[4] - '0') * 10 + hash.ptr[5] - '0';
}

void secret_decoy(struct bytes hash, char ret_text[SECRET_DECOY_LEN])
{
    must(secret_kind(hash) == AUTH_SECRET_BCRYPT);
    // Any salt and any hash: the comparison computes one before it finds that they differ.
    static const char rest[] = "abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234";
    _Static_assert(sizeof(rest) - 1 == SECRET_DECOY_LEN - BCRYPT_SETTINGS_LEN, "salt and hash");
    memcpy(ret_text, hash.ptr, BCRYPT_SETTINGS_LEN);
    memcpy(ret_text + BCRYPT_SETTINGS_LEN, rest, sizeof(rest) - 1);
}
