// SPDX-License-Identifier: Apache-2.0
// The network as a worker sees it: connections that give bytes and take bytes. os/ implements it on sockets, the simulator
// in memory. All calls and callbacks happen on the worker's thread.
//
// Life of a connection:  on_accept ──► (on_data | on_writable)* ──► on_close, exactly once and always last.
// net_close() may be called at any time, also from within a callback of the same connection; on_close still follows, but
// never from inside net_close() or net_write().
#pragma once

#include "base/bytes.h"

struct net_conn; // the implementation's; borrowed by the handler from on_accept until on_close

struct net_peer {
    char ip[46]; // text form, NUL-terminated
    uint16_t port;
};

// What the pure side implements. `owner` is net_handler.owner, `context` what on_accept returned.
struct net_handler {
    void *owner;
    // A new connection. Returns its context, or NULL to refuse it: then it is closed and no callback follows.
    void *(*on_accept)(void *owner, struct net_conn *conn, const struct net_peer *peer);
    // Bytes arrived. They are the implementation's read buffer: valid, and writable by nobody else, during the call only.
    void (*on_data)(void *context, struct bytes data);
    // After net_write() took less than it was given: there is room again.
    void (*on_writable)(void *context);
    // The connection is gone (0: the peer or we closed it; else ERR_*). `context` is not used afterwards.
    void (*on_close)(void *context, int error);
};

struct net_ops {
    size_t (*write)(struct net_conn *conn, const struct bytes *parts, size_t count);
    void (*read_pause)(struct net_conn *conn);
    void (*read_resume)(struct net_conn *conn);
    void (*close)(struct net_conn *conn);
};

// Every implementation embeds this as the first member of its connection.
struct net_conn {
    const struct net_ops *ops; // borrowed, static
};

// Hands bytes to the peer, without blocking: returns how many were taken, from the front. When fewer than all,
// on_writable follows once. On a broken connection everything counts as taken and on_close follows.
static inline size_t net_write(struct net_conn *conn, const struct bytes *parts, size_t count)
{
    return conn->ops->write(conn, parts, count);
}

// Stops on_data (bytes stay with the peer, TCP pushes back) until net_read_resume(). Both may be called repeatedly.
static inline void net_read_pause(struct net_conn *conn)
{
    conn->ops->read_pause(conn);
}

static inline void net_read_resume(struct net_conn *conn)
{
    conn->ops->read_resume(conn);
}

// Ends the connection; what net_write() took is still sent by the kernel. on_close follows on a later turn.
static inline void net_close(struct net_conn *conn)
{
    conn->ops->close(conn);
}
