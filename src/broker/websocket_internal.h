// SPDX-License-Identifier: Apache-2.0
// What the files websocket*.c share.
#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "broker/websocket.h"
#include "codec/deflate.h"
#include "codec/websocket.h"
#include "env/log_quota.h"

// Payload of one frame that we send, at most; longer writes become several.
#define WEBSOCKET_FRAME_MAX (64 * 1024)
// Shorter frames are sent as they are, which is as small.
#define WEBSOCKET_DEFLATE_MIN 64

struct websocket {
    struct websocket_options options;
    struct net_handler handler;
    uint64_t now_ms;
    struct list opening; // struct websocket_conn.link, oldest first
    struct list resumed; // struct websocket_conn.link: something of the input may be left
    size_t count;        // of connections
    uint64_t unopened;   // that have ended without having been handed over
    uint32_t opening_count;
    uint32_t begun; // accepted until second_ends_ms, against the rate limit
    uint64_t second_ends_ms;
    struct log_quota handshake_lines; // of failed TLS handshakes
    bool stopping;
    bool called;                     // the inner handler's on_data(), since the turn's end began
    struct buffer scratch;           // input in the clear, during a call
    struct buffer deflated;          // output, during a call
    struct deflater *deflater;       // owned; NULL until needed
    struct inflater *spare_inflater; // owned; NULL: none
};

enum websocket_state { WEBSOCKET_OPENING, WEBSOCKET_OPEN, WEBSOCKET_CLOSING };

struct websocket_conn {
    struct net_conn net;    // what the inner handler sees
    struct net_conn *lower; // borrowed until on_close
    struct websocket *websocket;
    void *context;    // the inner handler's; NULL: not handed over
    struct list link; // list link: websocket.opening, or .resumed
    struct net_peer peer;
    char forwarded_ip[46];    // what a proxy says of the client; empty: nothing
    uint64_t deadline_ms;     // OPENING
    const char *close_reason; // static, borrowed: what the peer is told at the end; NULL: nothing
    uint16_t close_status;    // 0: NORMAL
    enum websocket_state state;
    bool is_secure;            // its TLS handshake is done
    bool was_offered;          // to the inner handler
    bool compressed;           // permessage-deflate was agreed on
    bool paused;               // the inner handler wants nothing
    bool lower_blocked;        // the last write below took less than offered
    bool inner_blocked;        // we took less than offered: on_writable is owed
    bool packed_last;          // the message ends with `packed`
    struct buffer in;          // OPENING: the request; OPEN: what came behind a pause
    struct buffer packed;      // of a compressed message, in the clear, not inflated yet
    struct inflater *inflater; // owned; of the compressed message under way; NULL: none
    struct buffer out;         // the rest of frames that were cut by the kernel
    struct websocket_reader reader;
};

// Closes without a word.
void websocket_conn_end(struct websocket_conn *conn);
// OPEN: reads what came; keeps what lies behind a pause.
void websocket_input(struct websocket_conn *conn, struct bytes data);
// After a pause: the rest of the input, then new input.
void websocket_conn_resume(struct websocket_conn *conn);
void websocket_conn_release_inflater(struct websocket_conn *conn);

// As net_write().
size_t websocket_output(struct websocket_conn *conn, const struct bytes *parts, size_t count);
// A control frame. It is left out while much waits to be sent.
void websocket_output_control(struct websocket_conn *conn, enum websocket_opcode opcode, struct bytes payload);
// `reason`: as much of it as fits into such a frame; NULL: none.
void websocket_output_status(struct websocket_conn *conn, enum websocket_status status, const char *reason);
void websocket_on_writable(void *context);
