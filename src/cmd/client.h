// SPDX-License-Identifier: Apache-2.0
// A small NATS client for our own commands (pub, sub, req, bench, backup, bridge), on wire/ and a socket, with TLS where it is wanted. One thread, no
// reconnect, no discovery: other people's programs use libweir or a NATS client library.
//
// client_connect ──► client_publish/client_subscribe (buffered) … client_flush, client_wait ──► client_close
#pragma once

#include "base/buffer.h"
#include "cmd/client_link.h"
#include "cmd/client_options.h"
#include "wire/parser.h"

enum { CLIENT_ERROR_MAX = CLIENT_LINK_ERROR_SIZE }; // bytes of an error text
// Of the nonce in INFO, which an nkey signs; servers make 16 characters.
enum { CLIENT_NONCE_MAX = 256 };

struct client {
    struct client_link link;
    struct parser parser;
    struct parser_memo parser_memo;
    struct buffer out;            // not yet written
    struct buffer in;             // read, and not yet a whole operation
    bool headers;                 // the server takes HPUB, as INFO said, as the next
    bool needs_tls;               // it goes on with nothing else
    bool may_tls;                 // or takes both
    char nonce[CLIENT_NONCE_MAX]; // with its NUL; empty: none
    uint64_t max_payload;         // bytes, as INFO said
    char error[CLIENT_ERROR_MAX]; // why the last call failed
    // Called for each MSG; the bytes are borrowed during the call. It may publish and subscribe.
    void (*on_message)(void *owner, const struct wire_op *message);
    void *owner;
    uint64_t pongs; // answers to our PINGs so far
    uint64_t pings_sent;
};

// Connects, secures the connection if the server or the options ask for it, and waits for the server to take CONNECT. 0, or ERR_* with client->error set; then nothing needs closing.
int client_connect(struct client *client, const struct client_options *options) MUST_USE;
void client_close(struct client *client);

// Buffered, nothing is sent before client_flush() or client_wait(); a message is its header block (len 0: none) and payload. ERR_TOO_BIG beyond the server's max_payload.
int client_publish(struct client *client, struct bytes subject, struct bytes reply, struct bytes headers,
                   struct bytes payload) MUST_USE;
void client_subscribe(struct client *client, struct bytes subject, struct bytes queue, uint64_t sid);
void client_unsubscribe(struct client *client, uint64_t sid, uint64_t max);
void client_ping(struct client *client);

// Writes what is buffered, reading meanwhile so that neither side waits for the other for ever.
int client_flush(struct client *client) MUST_USE;
// Reads what is there, waiting up to timeout_ms (-1: for ever) for the first byte; flushes what callbacks published. Returns 1 when
// something came, 0 on time-out, ERR_CLOSED, ERR_PROTOCOL or ERR_IO.
int client_wait(struct client *client, int timeout_ms) MUST_USE;
// For whoever waits for several connections: what poll() should wait for at client->link.fd, and then, without waiting, what can be
// written and read. 0, or what client_wait() gives as an error.
short client_events(const struct client *client);
int client_step(struct client *client) MUST_USE;
// PING and wait for its PONG: everything before is with the server. ERR_TIMEOUT.
int client_round_trip(struct client *client, int timeout_ms) MUST_USE;

// Bytes that wait to be written.
static inline size_t client_pending(const struct client *client)
{
    return client->out.len;
}

// For commands: says on standard error what an argument should have been. Returns the exit status of wrong usage.
int client_complain(const char *command, const char *what, const char *text);
// After getopt's own words for an option that is none; returns the exit code 2.
int client_refuse_options(const char *command);

uint64_t client_now_ns(void); // monotonic
