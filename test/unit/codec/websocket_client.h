// SPDX-License-Identifier: Apache-2.0
// A client's frames, for tests of what reads them.
#pragma once

#include "base/buffer.h"
#include "codec/websocket.h"

static const uint8_t websocket_client_mask[4] = {0x37, 0xfa, 0x21, 0x3d};

// first: FIN, RSV and opcode.
static inline void websocket_client_append(struct buffer *to, int first, struct bytes payload)
{
    char header[WEBSOCKET_HEADER_SIZE_MAX];
    size_t len = websocket_header_encode(header, WEBSOCKET_BINARY, false, payload.len);
    header[0] = (char)first;
    header[1] = (char)(header[1] | 0x80);
    assert_int_equal(buffer_append(to, bytes_make(header, len)), 0);
    assert_int_equal(buffer_append(to, bytes_make(websocket_client_mask, 4)), 0);
    char *at = buffer_reserve(to, payload.len);
    websocket_unmask(at, payload, websocket_client_mask);
    buffer_commit(to, payload.len);
}
