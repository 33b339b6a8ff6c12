// SPDX-License-Identifier: Apache-2.0
// What tcp.c and tcp_secure.c share: the connection.
#pragma once

#include <sys/types.h>

#include "os/tcp.h"

// Parts given to one sendmsg(); more than a few dozen no longer help, and IOV_MAX is the limit.
#define TCP_PARTS_MAX 256

struct tcp_conn {
    struct net_conn net;               // first: what the handler knows
    struct tcp *tcp;                   // borrowed
    const struct net_handler *handler; // borrowed
    void *context;                     // the handler's
    struct tls *tls;                   // borrowed; NULL: its listener has no certificates
    const char *server_name;           // borrowed; NULL: the other side has connected
    struct tls_session *session;       // owned; NULL: in the clear
    uv_poll_t poll;
    struct list link;           // list link: tcp->conns
    struct list closing_link;   // list link: tcp->closing
    struct list handshake_link; // list link: tcp->handshakes, or in line at tcp->shares
    uint64_t address;           // what it counts as there
    int fd;                     // owned
    int error;                  // what on_close will be told
    uint8_t watched;            // uv_poll events asked for now
    bool paused;                // reading, by the handler
    bool blocked;               // the handler was told that less was taken than it offered
    bool closing;
    bool let_in;  // by tcp->shares
    bool counted; // in tcp->handshaking
};

// One send of the first parts, from `skip` bytes into the first on. Negative: see errno, never EINTR.
ssize_t tcp_send(struct tcp_conn *conn, const struct bytes *parts, size_t count, size_t skip);
// After errno of a send: is it only that the kernel is full?
bool tcp_is_full(void);
// Brings the loop's watcher in line with what is wanted; a system call follows only when that changed.
void tcp_watch(struct tcp_conn *conn);
// The end of a connection begins here, whoever wants it. The first reason stays.
void tcp_fail(struct tcp_conn *conn, int error);
// After a failed send.
void tcp_fail_send(struct tcp_conn *conn);

// One recv(), and what follows from it.
void tcp_read(struct tcp_conn *conn);

// --- tcp_secure.c: with a session, unless a comment says otherwise ---------------------------------------------------

// Without one yet: begins it.
void tcp_secure_start(struct tcp_conn *conn, struct bytes received);
// With or without.
bool tcp_secure_describe(const struct tcp_conn *conn, void *owner,
                         void (*show)(void *owner, const struct net_tls_info *info));
// Bytes from the socket.
void tcp_secure_receive(struct tcp_conn *conn, struct bytes data);
// `total` bytes in the parts. Not closing, not blocked.
size_t tcp_secure_write(struct tcp_conn *conn, const struct bytes *parts, size_t count, size_t total);
// Reading was resumed.
void tcp_secure_resume(struct tcp_conn *conn);
// The socket can be written: goes on with records that it did not take. True: the handler is to be told.
bool tcp_secure_on_writable(struct tcp_conn *conn);
// What is wanted of the socket at this stage, unless paused.
bool tcp_secure_wants_read(const struct tcp_conn *conn);
bool tcp_secure_wants_write(const struct tcp_conn *conn);
// Before reading: a handshake begins when its turn has come, see tcp.h. False: no need to wait.
bool tcp_secure_must_wait(struct tcp_conn *conn);
// The task that begins them.
void tcp_secure_run_handshakes(struct loop_task *task);
// Says farewell if `in_order`, and frees the session.
void tcp_secure_end(struct tcp_conn *conn, bool in_order);
