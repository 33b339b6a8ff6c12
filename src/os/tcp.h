// SPDX-License-Identifier: Apache-2.0
// Connections (env/net.h) on the worker's own non-blocking sockets. One read buffer for all of them, so that an idle
// connection costs `struct tcp_conn` and nothing else.
//
// Life: tcp_init ──► tcp_adopt* ──► tcp_close_all ──► (turns until tcp->count is 0) ──► tcp_deinit.
// One thread, the loop's. The last memory of connections goes in a later phase of the loop, at the latest in loop_deinit().
#pragma once

#include <uv.h>

#include "env/net.h"
#include "os/loop.h"

// What one recv() takes at most. Larger reads cost no less per byte; smaller ones cost turns.
#define TCP_READ_SIZE (128 * 1024)

struct tcp {
    struct loop *loop;   // borrowed
    char *read_buffer;   // owned, TCP_READ_SIZE
    struct list conns;   // struct tcp_conn, open or closing
    struct list closing; // struct tcp_conn whose on_close is due
    struct loop_task close_task;
    size_t count; // of connections whose on_close has not run
};

void tcp_init(struct tcp *tcp, struct loop *loop);
// All connections must be gone.
void tcp_deinit(struct tcp *tcp);

// Takes over a connected stream socket and offers it to the handler. The descriptor is closed when the handler refuses
// (ERR_CLOSED) or the loop cannot watch it (ERR_IO). Called within a turn.
int tcp_adopt(struct tcp *tcp, int fd, const struct net_handler *handler, const struct net_peer *peer);
// net_close() on every connection.
void tcp_close_all(struct tcp *tcp);
