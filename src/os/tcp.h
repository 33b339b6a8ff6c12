// SPDX-License-Identifier: Apache-2.0
// Connections (env/net.h) on the worker's own non-blocking sockets. One read buffer for all of them, so that an idle
// connection costs `struct tcp_conn` and nothing else.
//
// Life: tcp_init ──► tcp_adopt* ──► tcp_close_all ──► (turns until tcp->count is 0) ──► tcp_deinit.
//
// On connections that become secure (net_start_tls) handshakes begin a few per turn, in the order in which clients began to speak, and
// only so many are under way at once, of all and of one address: they cost a thousand times what a message does. Who waits is not read.
//
// One thread, the loop's. The last memory of connections goes in a later phase of the loop, at the latest in loop_deinit().
#pragma once

#include <uv.h>

#include "env/net.h"
#include "os/loop.h"
#include "os/tcp_shares.h"
#include "os/tls_session.h"

// What one recv() takes at most. Larger reads cost no less per byte; smaller ones cost turns.
#define TCP_READ_SIZE (128 * 1024)

// Handshakes begun per turn: a few milliseconds of work at most, so that a flood of them does not starve the connected.
#define TCP_HANDSHAKES_PER_TURN 4
// Under way at once; each takes some 50 KiB until it is done.
#define TCP_HANDSHAKES_MAX 1024
// Of these, of one address (os/tcp_shares.h): a flood from one place leaves room for others.
#define TCP_HANDSHAKES_PER_ADDRESS (TCP_HANDSHAKES_MAX / 4)

// What a listener knows of TLS for its connections.
struct tcp_security {
    struct tls *tls; // borrowed, for longer than the connections live; NULL: net_start_tls() is not allowed
    bool at_once;    // connections begin with the handshake
    // Borrowed for as long as the connection lives: we have connected, to who must show a certificate for this name. NULL: the other
    // side has.
    const char *server_name;
};

struct tcp {
    struct loop *loop;   // borrowed
    char *read_buffer;   // owned, TCP_READ_SIZE
    struct list conns;   // struct tcp_conn, open or closing
    struct list closing; // struct tcp_conn whose on_close is due
    struct loop_task close_task;
    size_t count; // of connections whose on_close has not run

    struct tls_io tls_io;   // all zeroes until the first secure connection, as the next
    char *plain_buffer;     // owned: what was decrypted of a read
    struct list handshakes; // struct tcp_conn.handshake_link: those that wait to begin, let in by `shares`
    struct tcp_shares shares;
    struct loop_task handshake_task;
    size_t handshaking; // under way
};

void tcp_init(struct tcp *tcp, struct loop *loop);
// All connections must be gone.
void tcp_deinit(struct tcp *tcp);

// Takes over a connected stream socket and offers it to the handler. `security` may be NULL. The descriptor is closed when the handler refuses
// (ERR_CLOSED) or the loop cannot watch it (ERR_IO; on_lost). Called within a turn.
int tcp_adopt(struct tcp *tcp, int fd, const struct net_handler *handler, const struct net_peer *peer,
              const struct tcp_security *security);
// net_close() on every connection.
void tcp_close_all(struct tcp *tcp);

// Address and port of the other side, as text. An IPv4 address in IPv6's clothes is written as what it is.
void tcp_describe_peer(const struct sockaddr_storage *address, struct net_peer *ret_peer);
