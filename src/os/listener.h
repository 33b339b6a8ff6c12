// SPDX-License-Identifier: Apache-2.0
// A listening socket: accepts and hands connections to a tcp (os/tcp.h). When descriptors run out it pauses: who comes then waits in
// the kernel, as with nats-server, and is served when somebody leaves. The last of them are not given to clients at all: a log
// that cannot open its next file has failed, and that is worse than a client who waits.
//
//   accepting ──► [no descriptor for one more] ──► paused ──┐ every LISTENER_PAUSE_MS
//       ▲                                            ▲      ▼
//       └──────────── [there is one] ────────────────┴── look again
//
// While it is paused the socket is not watched, so a loop whose clients wait sleeps. The log says when it pauses, and that it goes on
// when nobody waits any more; of what comes and goes more often than LISTENER_TELL_MS only the first.
//
// One thread, the loop's. listener_open ──► listener_start ──► listener_close; the memory may go after loop_deinit().
//
// Opening reserves the port, and knows it, before there is anything to connect to: clients are refused until the start.
#pragma once

#include <uv.h>

#include "base/error.h"
#include "env/log.h"
#include "env/net.h"
#include "os/tcp.h"

// Pending connections in the kernel; it cuts this to net.core.somaxconn.
#define LISTENER_BACKLOG 4096
// Accepted in one turn at most, so that a flood of connects does not starve the connected.
#define LISTENER_ACCEPTS_PER_TURN 64
// Descriptors kept for files; of a small limit, a quarter. Somebody who looks what is going on (monitoring) may have half of them.
#define LISTENER_FILES_RESERVED 256
// How long accepting pauses when descriptors have run out.
#define LISTENER_PAUSE_MS 100
// Between two pauses that the log tells of: clients at the limit could fill it otherwise.
#define LISTENER_TELL_MS (60 * 1000)

struct listener {
    struct tcp *tcp;                   // borrowed
    const struct net_handler *handler; // borrowed
    const struct logger *logger;       // borrowed, may be NULL
    // Set by the owner before listener_start(); NULL: all stay here. Told of each new connection, within a turn; true: it is his, and he
    // hands it to another loop.
    bool (*place)(void *owner, struct listener *listener, int fd, const struct net_peer *peer);
    void *place_owner;
    bool
        may_use_reserve; // half of LISTENER_FILES_RESERVED is for its connections; the owner sets it before listener_start()
    struct tcp_security security; // of its connections; the owner sets it before listener_start(), plain by default
    uv_poll_t poll;
    uv_timer_t pause; // ends a pause
    int fd;           // owned
    int closing_left; // handles that libuv still holds
    int fd_limit;     // connections get lower descriptors than this
    uint16_t port;    // the one that was bound
    uint64_t pauses;  // begun for want of descriptors since the start
    uint64_t told_ms; // of the loop's time: when the log was told of a pause; 0: never
    bool is_short;    // clients wait for descriptors, or did when it paused
    bool is_told;     // and the log was told
    bool open;        // libuv may still use the memory
};

// Binds. `address` is an IP address or a name; empty or NULL: all IPv4 addresses. Port 0 or -1: the system picks, see
// listener->port. ERR_IN_USE, ERR_PERMISSION, ERR_NOT_FOUND (no such address here), ERR_INVALID (no address, or a port out
// of range), ERR_LIMIT, ERR_IO.
int listener_open(struct listener *listener, struct tcp *tcp, const char *address, int port) MUST_USE;
// Listens: from now on connections go to the handler. ERR_IN_USE: another process was faster.
int listener_start(struct listener *listener, const struct net_handler *handler, const struct logger *logger) MUST_USE;
// Stops accepting; the port is free at once. Connections stay. Harmless when it is not open (all zeroes).
void listener_close(struct listener *listener);
