// SPDX-License-Identifier: Apache-2.0
// Who the other side of a TLS connection is: OpenSSL's certificates as struct net_tls_info. Names with a NUL in them are left
// out: they have been used to look like others.
#pragma once

#include "env/net.h"

// Calls show() with version, suite and what the peer showed; everything is gone when it returns. `openssl` is an SSL after its handshake.
void tls_peer_describe(void *openssl, void *owner, void (*show)(void *owner, const struct net_tls_info *info));
// SHA-256 of an X509's SubjectPublicKeyInfo. False: there is none.
bool tls_peer_key_sha256(void *certificate, uint8_t ret_sha256[NET_SHA256_SIZE]);
