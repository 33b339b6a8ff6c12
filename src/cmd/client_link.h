// SPDX-License-Identifier: Apache-2.0
// The bytes between our own client and a server: a socket, in the clear first, secure when asked. Non-blocking but for opening and
// for the handshake, which wait.
//
// client_link_open ──► client_link_secure (at once, or when the server's greeting is there) ──► client_link_receive/_send ──► close
#pragma once

#include "base/buffer.h"
#include "codec/nats_url.h"
#include "os/tls_session.h"

enum { CLIENT_LINK_ERROR_SIZE = 512 + TLS_MESSAGE_SIZE, CLIENT_LINK_READ_SIZE = 256 << 10 };

// How a connection becomes secure. Strings are borrowed.
struct client_tls {
    const char *ca_file, *cert_file, *key_file; // see os/tls_client.h
    bool skip_verify;
};

struct client_link {
    int fd;
    struct tls *tls;                    // owned; NULL: in the clear
    struct tls_io io;                   // of its one session; io.out holds records until the kernel has taken them
    struct tls_session session;         //
    char *cipher;                       // owned with `tls`: the read buffer
    char error[CLIENT_LINK_ERROR_SIZE]; // why the last call failed
};

// All zeroes but for fd -1 is a closed one. 0, or ERR_* with link->error set; then it is closed.
int client_link_open(struct client_link *link, const struct nats_url *url, int timeout_ms) MUST_USE;
// Harmless on a closed one.
void client_link_close(struct client_link *link);

// The handshake, as the side that connects, to its end. `host` is whose certificate it must be. What the server says behind it goes to
// `in`. ERR_INVALID: a file; ERR_TIMEOUT, ERR_CLOSED, ERR_IO, ERR_PROTOCOL: no trust, no certificate of ours, no TLS.
int client_link_secure(struct client_link *link, const struct client_tls *config, const char *host, int timeout_ms,
                       struct buffer *in) MUST_USE;

// Appends what one read gives to `in`. 1: something came, be it only half a record. 0: nothing. ERR_CLOSED, ERR_IO, ERR_PROTOCOL, ERR_TOO_BIG.
int client_link_receive(struct client_link *link, struct buffer *in) MUST_USE;
// Takes bytes from the front of `out`, and gives the kernel what it takes. 0, or ERR_IO.
int client_link_send(struct client_link *link, struct buffer *out) MUST_USE;
// Does client_link_send() have more to do, with nothing new in `out`?
bool client_link_owes(const struct client_link *link);
