// SPDX-License-Identifier: Apache-2.0
// Websocket connections (RFC 6455, CO-T04) made into plain ones: it stands between a listener and the broker, env/net to both
// sides. Browsers' NATS clients come this way. What is in the messages is a stream of bytes; where one message ends means nothing.
//
//               on_accept             the request is fine: 101, inner on_accept
//     (none) ─────────────► OPENING ────────────────────────────────────────────► OPEN
//                              │ bad request (HTTP status), timeout                │ Close frame, broken frame, net_close()
//                              └──────────────────► CLOSING ◄──────────────────────┘
//                                                      │ on_close: inner on_close, freed
//
// What a connection sends is inflated a megabyte at a time, one per turn: a little can be very much, and others are to be served.
//
// Turns: websocket_turn_begin(), callbacks, websocket_turn_end() behind those of the inner handler's owner. One thread.
#pragma once

#include "base/bytes.h"
#include "env/clock.h"
#include "env/log.h"
#include "env/net.h"

struct websocket;

// Of a website that may connect, as the Origin field of a browser says it: "https://example.org:8080".
#define WEBSOCKET_ORIGINS_MAX 64

struct websocket_options {
    const struct net_handler *inner; // borrowed for life: gets the plain connections
    // Borrowed, stateless: SHA-1, which only the opening handshake needs.
    void (*sha1)(struct bytes data, uint8_t ret_digest[20]);
    bool compression;            // permessage-deflate for clients that offer it, without context takeover
    bool same_origin;            // a browser's page must come from the host it connects to
    bool is_tls;                 // the listener speaks TLS: for what same_origin means, and what is logged
    const struct bytes *origins; // borrowed for life: pages allowed to connect; none: all
    size_t origin_count;         // at most WEBSOCKET_ORIGINS_MAX
    uint32_t opening_ms;         // from accept to the end of the handshake, 2,000
    uint64_t message_size_max;   // of a message when inflated, bytes
    uint32_t connections_max;    // that are opening; more are refused
    uint32_t rate_limit;         // accepted within a second; more are refused; 0: any number
    const struct logger *logger; // borrowed for life, may be NULL
};

// Defaults for everything but inner and sha1.
void websocket_options_default(struct websocket_options *options);

struct websocket *websocket_new(const struct websocket_options *options, struct moment now);
// All connections must have been closed (on_close) before.
void websocket_free(struct websocket *websocket);

// What the listener hands connections to.
const struct net_handler *websocket_net_handler(struct websocket *websocket);

void websocket_turn_begin(struct websocket *websocket, struct moment now);
// Returns true when something is left to do at once.
bool websocket_turn_end(struct websocket *websocket);
// UINT64_MAX: none.
uint64_t websocket_next_deadline_ms(const struct websocket *websocket);
// Connections that have ended without having been handed over, ever.
uint64_t websocket_unopened(const struct websocket *websocket);
// No new connections, and those that are opening are closed. The open ones are the inner handler's to close.
void websocket_shutdown(struct websocket *websocket);
