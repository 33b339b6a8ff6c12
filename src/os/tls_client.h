// SPDX-License-Identifier: Apache-2.0
// The side of TLS that connects, as files and options describe it: for our own clients and for connections that the server makes
// to others. It fills a `struct tls` (os/tls.h), which is used like a server's: shared by loops and threads, loaded again at will.
//
//     tls_new ──► tls_client_load ──► per connection: tls_session_init ──► tls_session_connect ──► bytes both ways (os/tls_session.h)
//
// The other side's certificate must be signed by whom we trust and made for the name that tls_session_connect() is given, as Go's library
// checks it: the common name counts for nothing, an IP address is looked for among the certificate's addresses.
#pragma once

#include "os/tls.h"

// Everything is borrowed for the duration of tls_client_load().
struct tls_client_config {
    const char *ca_file;   // PEM, who signs servers' certificates; NULL: the system's. Not read with skip_verify
    const char *cert_file; // PEM, shown to servers that ask, with its chain; NULL: none
    const char *key_file;  // PEM, without a password; with cert_file
    bool skip_verify;      // any certificate will do: encrypted, but with whoever answers
};

// Reads the files; sessions that connect from now on use them. On failure ERR_INVALID, everything stays as it was, and the message says in
// one line which file and why.
int tls_client_load(struct tls *tls, const struct tls_client_config *config,
                    char ret_message[TLS_MESSAGE_SIZE]) MUST_USE;
