// SPDX-License-Identifier: Apache-2.0
// Frames of the WebSocket protocol (RFC 6455) as a server sees them: masked ones come in, clear ones go out. Pure; safe on any
// input; nothing is copied but the payload of control frames.
//
// Messages are only a way to carry a stream of bytes (CO-T04), so text and binary are the same, and text is not checked to be
// UTF-8: the parser behind this one looks at every byte.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10,
};

// Of a server's frame, before its payload.
#define WEBSOCKET_HEADER_SIZE_MAX 10
// Of a control frame.
#define WEBSOCKET_CONTROL_SIZE_MAX 125

// Why a connection was closed (RFC 6455, 7.4.1).
enum websocket_status {
    WEBSOCKET_STATUS_NORMAL = 1000,
    WEBSOCKET_STATUS_GOING_AWAY = 1001,
    WEBSOCKET_STATUS_PROTOCOL_ERROR = 1002,
    WEBSOCKET_STATUS_NONE = 1005, // never sent: the frame had no status
    WEBSOCKET_STATUS_INVALID_DATA = 1007,
    WEBSOCKET_STATUS_POLICY_VIOLATION = 1008,
    WEBSOCKET_STATUS_TOO_BIG = 1009,
    WEBSOCKET_STATUS_INTERNAL_ERROR = 1011,
};

struct websocket_event {
    enum websocket_opcode opcode; // BINARY, CLOSE, PING or PONG
    // BINARY: a piece of a message as it came, masked; borrowed from the input. Others: the payload in the clear; borrowed
    // from the reader until its next call.
    struct bytes bytes;
    uint8_t mask[4]; // BINARY: for websocket_unmask() of `bytes`
    bool compressed; // BINARY: the message is deflated (RFC 7692)
    bool last;       // BINARY: the message ends with this piece
    uint16_t status; // CLOSE: what the peer says; WEBSOCKET_STATUS_NONE
};

// What is known of the frame under way. Embedded; all fields belong to the reader.
struct websocket_reader {
    bool allow_compressed;
    bool in_message; // a data message has begun and its last frame has not
    bool compressed; // that message is
    bool final;      // of the frame
    bool has_frame;  // its header is complete
    uint8_t opcode;  // of the frame
    uint8_t mask[4]; // of the next byte of payload
    uint8_t header_len;
    char header[14];
    uint64_t left; // payload bytes to come
    uint8_t control_len;
    char control[WEBSOCKET_CONTROL_SIZE_MAX];
};

// allow_compressed: permessage-deflate was agreed on.
void websocket_reader_init(struct websocket_reader *reader, bool allow_compressed);
// Reads from the front of *input, which it advances. ERR_AGAIN: all of it was taken and nothing is to be told. ERR_PROTOCOL: a
// broken frame; the connection cannot go on.
int websocket_reader_next(struct websocket_reader *reader, struct bytes *input,
                          struct websocket_event *ret_event) MUST_USE;

// Copies the bytes to `to`, in the clear. They may lie at the same address.
void websocket_unmask(char *to, struct bytes masked, const uint8_t mask[4]);

// The header of an unfragmented frame with `len` bytes of payload; returns its size.
size_t websocket_header_encode(char ret_header[WEBSOCKET_HEADER_SIZE_MAX], enum websocket_opcode opcode,
                               bool compressed, uint64_t len);
// The payload of a Close frame.
void websocket_status_encode(char ret_payload[2], enum websocket_status status);
