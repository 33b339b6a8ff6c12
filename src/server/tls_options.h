// SPDX-License-Identifier: Apache-2.0
// What a `tls {}` block or the --tls… flags say (CO-S01, CO-X04), as plain data with nats-server's defaults. One of these for client
// connections (monitoring over https uses the same certificate), another for the websocket listener. Nothing is read from
// files here: os/tls.h makes a context of it.
//
// Pointers are borrowed: from the command line or from whoever read the configuration file.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

#define TLS_OPTIONS_SUITES_MAX 32 // `cipher_suites`
#define TLS_OPTIONS_CURVES_MAX 8  // `curve_preferences`
#define TLS_OPTIONS_PINNED_MAX 4096
#define TLS_OPTIONS_PIN_SIZE   32 // bytes of a SHA-256

enum tls_options_use {
    TLS_OPTIONS_UNSET, // nobody said; a certificate, a key, a CA or `verify` turns it on
    TLS_OPTIONS_OFF,   // --tls=false, which wins over the configuration file
    TLS_OPTIONS_ON,    // --tls, or a `tls` block
};

// `handshake_first`: who speaks first.
enum tls_options_first {
    TLS_OPTIONS_INFO_FIRST,      // false, "off", "disable": INFO in the clear, then the handshake
    TLS_OPTIONS_HANDSHAKE_FIRST, // true, "on", "enable", "immediate": INFO only after the handshake
    TLS_OPTIONS_AUTO,            // "auto", or a duration: INFO when the client has sent nothing for fallback_ns
};

struct tls_options {
    uint32_t use;          // enum tls_options_use
    const char *cert_file; // `cert_file`, --tlscert: PEM, the chain behind the certificate
    const char *key_file;  // `key_file`, --tlskey: PEM
    const char *ca_file;   // `ca_file`, --tlscacert: who signs client certificates; NULL: the system's
    bool verify;           // `verify`, --tlsverify: clients must show a certificate
    bool verify_and_map;   // `verify_and_map`: and it says which user they are; implies verify
    bool allow_plain;      // `allow_non_tls`, beside the block: clients without TLS are served too
    uint32_t first;        // `handshake_first`: enum tls_options_first
    uint64_t fallback_ns;  // of TLS_OPTIONS_AUTO: 50 ms
    uint64_t timeout_ns;   // `timeout`: for the handshake, 2 s
    uint32_t min_version;  // `min_version` "1.2" or "1.3": 12 (the default) or 13
    uint32_t
        rate_limit; // `connection_rate_limit`: handshakes a second, beyond which clients are sent away; 0: any number
    const char *where;    // "FILE:LINE:COLUMN" of the block, for messages; NULL: there is none, only flags
    bool pins_configured; // `pinned_certs` was given, if only as an empty list

    // `cipher_suites`, by tls_options_add_suite(): IANA names, static; none: the default list.
    const char *suites[TLS_OPTIONS_SUITES_MAX];
    size_t suite_count;
    // `curve_preferences`, by tls_options_add_curve(): OpenSSL's names, static; none: the default list.
    const char *curves[TLS_OPTIONS_CURVES_MAX];
    size_t curve_count;
    // `pinned_certs`: SHA-256 of the public keys (SubjectPublicKeyInfo) that clients may have; needs verify.
    const uint8_t (*pins)[TLS_OPTIONS_PIN_SIZE];
    size_t pin_count;
};

void tls_options_default(struct tls_options *options);
bool tls_options_is_on(const struct tls_options *options);

// A name as nats-server's configuration knows it ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"; "CurveP256", "X25519").
// ERR_NOT_FOUND: no such name; ERR_UNSUPPORTED: known, and refused here (an insecure suite, a curve that the TLS library does
// not have); ERR_LIMIT: too many.
int tls_options_add_suite(struct tls_options *options, struct bytes name) MUST_USE;
int tls_options_add_curve(struct tls_options *options, struct bytes name) MUST_USE;
// 64 hexadecimal digits. ERR_INVALID.
int tls_options_read_pin(struct bytes text, uint8_t ret_pin[TLS_OPTIONS_PIN_SIZE]) MUST_USE;

// What does not go together or is missing: NULL, or a static text that says what is wrong ("tls: cert_file is missing …").
const char *tls_options_check(const struct tls_options *options);
