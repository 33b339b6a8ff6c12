// SPDX-License-Identifier: Apache-2.0
// The server's side of TLS as files describe it (CO-S01): certificate, key, who signs clients, what is allowed. Made at start and
// again at a reload; connections that exist keep the context with which they began.
//
// One of these may serve several loops on several threads: all functions may be called on any thread while somebody holds a
// reference. What a connection does with it is os/tls_session.h.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "env/net.h"

// Longest message of tls_load(), with its NUL.
#define TLS_MESSAGE_SIZE 512

struct tls;
struct tls_context; // one load of the files; immutable, reference-counted

// Everything is borrowed for the duration of tls_load().
struct tls_config {
    const char *cert_file;     // PEM, the chain behind the certificate
    const char *key_file;      // PEM, without a password
    const char *ca_file;       // PEM, who signs clients' certificates; NULL: the system's. Read only with `verify`
    bool verify;               // clients must show a certificate
    bool has_pins;             // and one of these keys must be in it
    int min_version;           // 12 or 13
    const char *const *suites; // IANA names; none: the default list
    size_t suite_count;        //
    const char *const *curves; // OpenSSL's names; none: the default list
    size_t curve_count;        //
    const uint8_t (*pins)[NET_SHA256_SIZE]; // of a SubjectPublicKeyInfo
    size_t pin_count;
};

// Without certificates: handshakes fail until tls_load(). One reference, the caller's.
struct tls *tls_new(void);
struct tls *tls_ref(struct tls *tls);
void tls_unref(struct tls *tls);

// Reads the files; handshakes that begin from now on use them. On failure ERR_INVALID, everything stays as it was, and the message
// says in one line which file and why.
int tls_load(struct tls *tls, const struct tls_config *config, char ret_message[TLS_MESSAGE_SIZE]) MUST_USE;
// Takes over what `from` has loaded, or that it has nothing; `from` has nothing afterwards. So several can change together.
void tls_move(struct tls *tls, struct tls *from);
// Forgets the certificates: as after tls_new().
void tls_unload(struct tls *tls);
// When the certificate that is loaded expires, in seconds since 1970; 0: none is loaded.
int64_t tls_not_after(struct tls *tls);

// For sessions: the context of now, with a reference of the caller's; NULL: none is loaded.
struct tls_context *tls_context_take(struct tls *tls);
void tls_context_unref(struct tls_context *context);
// Opaque to all but sessions: the SSL_CTX, whose app data is the context.
void *tls_context_openssl(struct tls_context *context);
// The same for sessions that have shaken hands in TLS 1.3, of which `openssl` is one: a context of that version alone, without keys
// or authorities; borrowed from the context. From any thread.
void *tls_context_settled(struct tls_context *context, const void *openssl);
// Whether a client's certificate with this public key is welcome. True without pins.
bool tls_context_knows_key(const struct tls_context *context, const uint8_t key_sha256[NET_SHA256_SIZE]);
