// SPDX-License-Identifier: Apache-2.0
// A tcp over a test's loop with certificates, and clients: OpenSSL between two pieces of memory, whose bytes the test carries over a
// socket pair, in pieces of any size.
// tidy: prefix tls
#pragma once

#include "os_test.h"

#include <openssl/ssl.h>

#include "base/buffer.h"
#include "os/tcp.h"

struct tls_fixture {
    struct os_test_loop test;
    struct tcp tcp;
    struct tls *tls;
    struct net_handler handler;
    struct net_conn *conn; // of the last accepted, NULL after on_close
    struct buffer got;
    const char *peer_ip; // of the next connection
    bool starts_late;    // net_start_tls() from the first on_data, with what it gave
    bool pauses_first;   // reading is paused when the handshake starts
    bool keeps_failure;  // net_close() is left to the test
    unsigned writables, closes, secured;
    int close_error;
    char failure[128];
    bool is_plain;
    char text[1024]; // what on_secure told
    uint8_t key_sha256[NET_SHA256_SIZE];
};

struct tls_client {
    struct tls_fixture *rig;
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    int fd;
    size_t cut;            // bytes per send; 0: all
    uint64_t cipher_bytes; // received
    bool eof;
};

// For cmocka.
int tls_fixture_setup(void **state);
int tls_fixture_teardown(void **state);
// Loads NAME.pem and NAME.key, with ca.pem as the clients' authority. `pin` NULL: none.
void tls_fixture_load(struct tls_fixture *rig, const char *name, bool verify, const uint8_t (*pin)[NET_SHA256_SIZE]);
// A few turns of the loop, whatever happens.
void tls_fixture_turns(struct tls_fixture *rig);
// No connection is left.
bool tls_fixture_is_idle(void *context);
// The server's side is adopted, within a turn of its own; returns the other end.
int tls_fixture_connect(struct tls_fixture *rig, bool at_once);
// Remembers what on_secure told, as net_describe_tls() does.
void tls_fixture_show(void *owner, const struct net_tls_info *info);

// `certificate` NULL: shows none. TLS from the start, unless the fixture starts late.
void tls_client_open(struct tls_client *client, struct tls_fixture *rig, const char *certificate);
void tls_client_close(struct tls_client *client);
// Both ways, once.
void tls_client_carry(struct tls_client *client);
// Only from the server, as far as it is in the kernel.
void tls_client_receive(struct tls_client *client);
// 1, or what SSL_get_error() says.
int tls_client_handshake(struct tls_client *client);
void tls_client_say(struct tls_client *client, const char *text, size_t len);
// What there is, at most `size` bytes.
size_t tls_client_hear(struct tls_client *client, char *text, size_t size);
// Something goes to the server, and something else comes back.
void tls_client_expect_echo(struct tls_client *client);
