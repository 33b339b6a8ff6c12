// SPDX-License-Identifier: Apache-2.0
// Certificates for tests, made by the openssl command in a directory of its own: two authorities, certificates of each.
// Everything is valid for a day but what is called expired.
// tidy: prefix tls
#pragma once

#include <stddef.h>

// Once per program, as the fixtures of its group of tests; the directory is removed by tls_files_remove().
int tls_files_make(void **state);
int tls_files_remove(void **state);

// The path of a file there, in memory that is good until the sixth call from now: "ca.pem", "other-ca.pem", and with .pem and .key each
// "server" (DNS localhost, IP 127.0.0.1), "client" (O=Weir, OU=test, CN=client; with an email, a DNS name and a URI), "stranger" (signed
// by the other authority), "expired" (a client's), "locked.key" (server's, with a password), "garbage.pem", "both.pem" (server's and client's
// certificates as a chain).
const char *tls_files_path(const char *name);
