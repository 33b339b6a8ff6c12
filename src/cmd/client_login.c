// SPDX-License-Identifier: Apache-2.0
#include "cmd/client_login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "codec/base64.h"
#include "os/crypto.h"

#define SEED_LINE_SIZE 256

static int sign(struct client_login *login, const char *file, struct bytes nonce, struct wire_connect *connect,
                char *message, size_t size);

int client_login_fill(struct client_login *login, const struct client_options *options, const struct nats_url *url,
                      struct bytes nonce, struct wire_connect *connect, char *ret_message, size_t size)
{
    if (options->nkey_file)
        return sign(login, options->nkey_file, nonce, connect, ret_message, size);
    if (options->user || options->token) {
        connect->user = bytes_from_string(options->user);
        connect->pass = bytes_from_string(options->password);
        connect->auth_token = bytes_from_string(options->token);
        return 0;
    }
    connect->user = bytes_from_string(url->user);
    connect->pass = bytes_from_string(url->password);
    connect->auth_token = bytes_from_string(url->token);
    return 0;
}

// The first line that is one: tools write comments around it.
int client_login_read_seed(const char *file, uint8_t ret_seed[NKEY_SEED_LEN], char *message, size_t size)
{
    FILE *in = fopen(file, "re");
    if (!in) {
        snprintf(message, size, "cannot read the nkey file %s: %s", file, strerror(errno));
        return ERR_NOT_FOUND;
    }
    char line[SEED_LINE_SIZE], block[BUFSIZ];
    setvbuf(in, block, _IOFBF, sizeof(block));
    int error = ERR_INVALID;
    while (error && fgets(line, sizeof(line), in)) {
        const char *begin = line + strspn(line, " \t");
        error = nkey_decode_user_seed(bytes_make(begin, strcspn(begin, " \t\r\n")), ret_seed);
    }
    fclose(in);
    explicit_bzero(line, sizeof(line));
    explicit_bzero(block, sizeof(block));
    if (error)
        snprintf(message, size, "%s holds no seed of a user's nkey: 58 characters that begin with SU", file);
    return error;
}

// CO-S03: the nonce is signed as it stands in INFO.
static int sign(struct client_login *login, const char *file, struct bytes nonce, struct wire_connect *connect,
                char *message, size_t size)
{
    uint8_t seed[NKEY_SEED_LEN], key[CRYPTO_ED25519_KEY_LEN], signature[CRYPTO_ED25519_SIGNATURE_LEN];
    if (nonce.len == 0) {
        snprintf(message, size, "the server does not take nkeys");
        return ERR_UNSUPPORTED;
    }
    int error = client_login_read_seed(file, seed, message, size);
    if (error)
        return error;
    crypto_ed25519_sign(seed, nonce, key, signature);
    explicit_bzero(seed, sizeof(seed));
    nkey_encode_user(key, login->nkey);
    size_t len;
    must(base64_encode(bytes_make(signature, sizeof(signature)), BASE64_RAW_URL, login->signature,
                       sizeof(login->signature), &len) == 0);
    connect->nkey = bytes_make(login->nkey, sizeof(login->nkey));
    connect->sig = bytes_make(login->signature, len);
    return 0;
}
