// SPDX-License-Identifier: Apache-2.0
// What tls.c and tls_client.c share: a context in the making. Files that are wrong: ERR_INVALID and a line in `message`.
#pragma once

#include <openssl/ssl.h>

#include "os/tls.h"

// A new one with what holds for both sides: no renegotiation, no compression, no resumption, the default curves and suites.
SSL_CTX *tls_openssl_new(const SSL_METHOD *method);
// What we show.
int tls_load_identity(SSL_CTX *openssl, const char *cert_file, const char *key_file, char *message) MUST_USE;
// Whom we trust; NULL: the system's.
int tls_load_authorities(SSL_CTX *openssl, const char *ca_file, char *message) MUST_USE;
// Takes over a finished one: it is the current one from now on.
void tls_install(struct tls *tls, SSL_CTX *openssl, const uint8_t (*pins)[NET_SHA256_SIZE], size_t pin_count,
                 bool has_pins);
