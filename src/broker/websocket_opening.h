// SPDX-License-Identifier: Apache-2.0
// The HTTP request that opens a websocket, and what is answered (RFC 6455, section 4.2). Pure functions.
#pragma once

#include "base/buffer.h"
#include "broker/websocket.h"
#include "codec/http.h"

struct websocket_opening {
    bool compressed;       // permessage-deflate was agreed on
    char forwarded_ip[46]; // of the client, as the proxy in front of us says; empty: no proxy
};

// Judges a parsed request and appends the answer: 101, or an HTTP error with a line of text. 0, or ERR_PROTOCOL (400), ERR_PERMISSION
// (403: the page may not connect).
int websocket_opening_answer(const struct websocket_options *options, const struct http_request *request,
                             struct buffer *answer, struct websocket_opening *ret_opening) MUST_USE;
// The answer to what is not even a request; `error` of http_request_parse().
void websocket_opening_refuse(int error, struct buffer *answer);
