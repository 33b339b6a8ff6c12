// SPDX-License-Identifier: Apache-2.0
// The network as a worker sees it: connections that give bytes and take bytes. os/ implements it on sockets, the simulator
// in memory. All calls and callbacks happen on the worker's thread.
//
// Life of a connection:  on_accept ──► (on_data | on_writable)* ──► on_close, exactly once and always last.
// net_close() may be called at any time, also from within a callback of the same connection; on_close still follows, but
// never from inside net_close() or net_write().
//
// A connection can become a secure one, once:
//
//     CLEAR ── net_start_tls() ──► HANDSHAKE ── on_secure(failure NULL) ──► SECURE
//                                      └─────── on_secure(failure) ───────► FAILED
//
//   CLEAR      bytes are what they are.
//   HANDSHAKE  net_write() takes nothing; whoever was told so hears on_writable after on_secure. No on_data.
//   SECURE     the same calls and callbacks as in the clear, with the bytes encrypted on their way. What had arrived before
//              on_secure may still come as one on_data although on_secure paused reading.
//   FAILED     the handler closes: it must call net_close(). No on_data. Bytes are taken and dropped, except when the peer has
//              not begun to speak TLS (info->is_plain): then what is written leaves in the clear, to tell it so.
//
// The time a handshake may take is the handler's to limit, with net_close(). Listeners may be told to start TLS on every
// connection: those are in HANDSHAKE when on_accept is called.
#pragma once

#include "base/bytes.h"

struct net_conn; // the implementation's; borrowed by the handler from on_accept until on_close

enum net_transport { NET_PLAIN, NET_WEBSOCKET };

struct net_peer {
    char ip[46]; // text form, NUL-terminated
    uint16_t port;
    uint8_t transport; // enum net_transport
};

// Is it on this machine? What listens here for others, to end their TLS say, is too.
static inline bool net_peer_is_local(const struct net_peer *peer)
{
    struct bytes ip = bytes_from_string(peer->ip);
    if (bytes_starts_with(ip, BYTES("::ffff:")))
        ip = bytes_skip(ip, 7);
    return bytes_starts_with(ip, BYTES("127.")) || bytes_equal(ip, BYTES("::1"));
}

#define NET_SHA256_SIZE 32
// Of a certificate, and of a chain; what is beyond is left out.
#define NET_NAMES_MAX        32
#define NET_CERTIFICATES_MAX 8

struct net_certificate {
    struct bytes subject;                // distinguished name as in RFC 2253: "CN=worker,OU=jobs,O=Example"
    uint8_t key_sha256[NET_SHA256_SIZE]; // of the SubjectPublicKeyInfo
    uint8_t sha256[NET_SHA256_SIZE];     // of the whole certificate
};

// Subject alternative names of one kind.
struct net_names {
    struct bytes items[NET_NAMES_MAX];
    size_t count;
};

// What a handshake has come to. Everything is borrowed for the duration of the callback.
struct net_tls_info {
    const char *failure; // NULL: the connection is secure; else why not, for the log
    bool is_plain;       // with a failure: the peer's first bytes were not TLS, so it can still be told in the clear
    const char *version; // "1.2", "1.3"
    const char *cipher_suite; // the IANA name
    // What the peer showed, its own certificate first; verified. None when certificates were not asked for.
    struct net_certificate certificates[NET_CERTIFICATES_MAX];
    size_t certificate_count;
    // Of the first certificate.
    struct net_names emails;
    struct net_names dns_names;
    struct net_names uris;
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
    // The handshake has ended, exactly once unless the connection ended before. NULL: after a failure the implementation closes.
    void (*on_secure)(void *context, const struct net_tls_info *info);
    // A connection was accepted for this handler and ended before on_accept could be called: only to be counted. May be NULL.
    void (*on_lost)(void *owner);
};

struct net_ops {
    size_t (*write)(struct net_conn *conn, const struct bytes *parts, size_t count);
    void (*read_pause)(struct net_conn *conn);
    void (*read_resume)(struct net_conn *conn);
    void (*close)(struct net_conn *conn);
    // NULL: no connection of this kind can become secure, as far as the handler is concerned.
    bool (*may_start_tls)(const struct net_conn *conn);
    void (*start_tls)(struct net_conn *conn, struct bytes received);
    // NULL: none is.
    bool (*describe_tls)(struct net_conn *conn, void *owner,
                         void (*show)(void *owner, const struct net_tls_info *info));
    // NULL: nobody says so of any.
    const char *(*forwarded_ip)(const struct net_conn *conn);
    // NULL: nobody can be told so.
    void (*explain_close)(struct net_conn *conn, uint16_t status, const char *reason);
};

// Every implementation embeds this as the first member of its connection.
struct net_conn {
    const struct net_ops *ops; // borrowed, static
};

// Hands bytes to the peer, without blocking: returns how many were taken, from the front. When fewer than all,
// on_writable follows once, and what was not taken is to be offered again, unchanged, before anything else: on a secure
// connection it may be on its way already. On a broken connection everything counts as taken and on_close follows.
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

// What net_close(), which must follow, tells a peer that can be told: a status of RFC 6455, 7.4.1, and a static text.
static inline void net_explain_close(struct net_conn *conn, uint16_t status, const char *reason)
{
    if (conn->ops->explain_close)
        conn->ops->explain_close(conn, status, reason);
}

// False: this connection cannot become a secure one: its listener has no certificates, or it is made of another connection.
static inline bool net_may_start_tls(const struct net_conn *conn)
{
    return conn->ops->may_start_tls && conn->ops->may_start_tls(conn);
}

// CLEAR ──► HANDSHAKE, as the side that was connected to, or that has connected (struct net_dial). Everything net_write() took so far has left in the clear; every byte
// from the peer that on_data has not given, and `received` in front of them (bytes that it did give, copied), belong to the handshake. Reading
// may be paused: the handshake goes on when it is resumed. Only if net_may_start_tls().
// on_secure follows, never from inside this call.
static inline void net_start_tls(struct net_conn *conn, struct bytes received)
{
    conn->ops->start_tls(conn, received);
}

// Calls show() with what on_secure told, for monitoring and for whoever decides on users later. False: not SECURE.
static inline bool net_describe_tls(struct net_conn *conn, void *owner,
                                    void (*show)(void *owner, const struct net_tls_info *info))
{
    return conn->ops->describe_tls && conn->ops->describe_tls(conn, owner, show);
}

// The address of the client as a proxy in front of us says it: any client may say what it likes, so it is for people to read, beside
// the peer's own address. NULL: no proxy.
static inline const char *net_forwarded_ip(const struct net_conn *conn)
{
    return conn->ops->forwarded_ip ? conn->ops->forwarded_ip(conn) : NULL;
}

// --- connections to others -------------------------------------------------------------------------------------------

// One attempt to connect. Embedded by its owner; stays in place, with what it borrows, from net_dial_start() until it ended: with
// handler->on_accept (whose peer is whom we have reached; from then on the connection is one as any other), with on_failed, or with
// net_dial_stop(). Neither callback comes from inside net_dial_start(). An attempt has no end by itself within any time that somebody would wait.
struct net_dial {
    const char *host; // borrowed: a name or an address, without brackets
    const char *port; // borrowed
    const char *
        tls_name; // borrowed until the connection is gone: whom its certificate must name once net_start_tls() is called
    const struct net_handler *handler;                         // borrowed
    void (*on_failed)(struct net_dial *dial, const char *why); // `why` for the log, valid during the call
    void *implementation;                                      // NULL: not under way
};

// Every implementation embeds this as its first member.
struct net_dialer {
    void (*start)(struct net_dialer *dialer, struct net_dial *dial);
    void (*stop)(struct net_dialer *dialer, struct net_dial *dial);
};

static inline void net_dial_start(struct net_dialer *dialer, struct net_dial *dial)
{
    dialer->start(dialer, dial);
}

// Harmless when it is not under way.
static inline void net_dial_stop(struct net_dialer *dialer, struct net_dial *dial)
{
    dialer->stop(dialer, dial);
}
