// SPDX-License-Identifier: Apache-2.0
// TLS of one connection, between bytes and bytes: it reads and writes no socket. What it works in (the bytes that came in, the
// records that are to go out, room for one record) belongs to the worker, so that an idle session holds OpenSSL's state
// and nothing else.
//
//     EMPTY ── bytes that look like TLS, or tls_session_connect() ──► HANDSHAKE ──► SECURE
//       └── others ──► FAILED (is_plain)                                  └──► FAILED
//
// EMPTY costs no more than this struct: a client that connects and says nothing gets no memory of OpenSSL's. A session is the side
// that was connected to, unless tls_session_connect() makes it the other.
#pragma once

#include "base/buffer.h"
#include "env/net.h"
#include "os/tls.h"

// Payload of one record at most, as the protocol has it.
#define TLS_SESSION_RECORD_SIZE (16 * 1024)
// Plain bytes encrypted before they are given to the kernel; what it does not take of them is kept for the connection.
#define TLS_SESSION_BATCH_SIZE (4 * TLS_SESSION_RECORD_SIZE)
// Held at most: a read, or records that wait for the kernel: a batch, and
// what the protocol itself has to say.
#define TLS_SESSION_HELD_MAX (2 * TLS_SESSION_BATCH_SIZE)

enum tls_session_state { TLS_SESSION_EMPTY, TLS_SESSION_HANDSHAKE, TLS_SESSION_SECURE, TLS_SESSION_FAILED };

// Shared by the sessions of one worker.
struct tls_io {
    struct bytes in;   // borrowed: not yet read by the session that is being served
    struct buffer out; // records that the last call made; whoever called takes them
    char *record;      // owned, TLS_SESSION_RECORD_SIZE: small parts are gathered here
    void *bio;         // owned: OpenSSL's door to `in` and `out`, of all sessions: it knows nothing of any of them
    void *method;      // owned: what is behind that door
};

struct tls_session {
    struct tls_io *io;           // borrowed
    struct tls *tls;             // borrowed
    struct tls_context *context; // owned reference from HANDSHAKE on
    void *openssl;               // owned from HANDSHAKE on
    struct buffer
        held;       // EMPTY: bytes that came before they could be served; later: records that the kernel did not take
    size_t owed;    // plain bytes in `held` that the writer does not yet know to be taken
    uint8_t state;  // enum tls_session_state
    bool is_plain;  // FAILED: the peer does not speak TLS
    bool is_client; // the side that connects
    const char *failure; // FAILED, or broken later: why, static text
};

void tls_io_init(struct tls_io *io);
// All sessions must be gone. Harmless on all zeroes.
void tls_io_deinit(struct tls_io *io);

void tls_session_init(struct tls_session *session, struct tls *tls, struct tls_io *io);
void tls_session_deinit(struct tls_session *session);

// EMPTY ──► HANDSHAKE, as the side that connects; the first words are in io->out. `tls` is one of tls_client_load(). `server_name` is the
// host name or the IP address that the other side's certificate must be for. ERR_PROTOCOL: FAILED now, nothing is loaded.
// SECURE does not mean that the other side likes our certificate: with TLS 1.3 it says so later, and receiving fails.
int tls_session_connect(struct tls_session *session, const char *server_name) MUST_USE;

// Takes in what the peer sent, all of it, and writes what it says to `plain`, which must have room for cipher.len and a record. Answers
// are in io->out, also after a failure (the alert). 0; ERR_CLOSED: the peer ended in good order; ERR_PROTOCOL: it is
// broken: before SECURE the state is FAILED now.
int tls_session_receive(struct tls_session *session, struct bytes cipher, char *plain, size_t size,
                        size_t *ret_len) MUST_USE;

// SECURE: encrypts from the front of the parts, `skip` bytes into the first, at most a batch, into io->out. Returns how many
// bytes; 0 with something to write: the session is broken.
size_t tls_session_send(struct tls_session *session, const struct bytes *parts, size_t count, size_t skip);

// SECURE: the words of farewell, into io->out.
void tls_session_end(struct tls_session *session);

// Calls show() with what there is to know: SECURE, or FAILED.
void tls_session_describe(const struct tls_session *session, void *owner,
                          void (*show)(void *owner, const struct net_tls_info *info));
