// SPDX-License-Identifier: Apache-2.0
#include "os/tls_client.h"

#include <openssl/err.h>

#include "os/tls_internal.h"

int tls_client_load(struct tls *tls, const struct tls_client_config *config, char ret_message[TLS_MESSAGE_SIZE])
{
    ERR_clear_error();
    SSL_CTX *openssl = tls_openssl_new(TLS_client_method());
    int error = config->skip_verify ? 0 : tls_load_authorities(openssl, config->ca_file, ret_message);
    if (!error && config->cert_file)
        error = tls_load_identity(openssl, config->cert_file, config->key_file, ret_message);
    ERR_clear_error();
    if (error) {
        SSL_CTX_free(openssl);
        return error;
    }
    SSL_CTX_set_verify(openssl, config->skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    tls_install(tls, openssl, NULL, 0, false);
    return 0;
}
