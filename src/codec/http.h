// SPDX-License-Identifier: Apache-2.0
// As much HTTP/1.x as monitoring and the opening of a websocket need: GET and HEAD without a body, POST with one whose length is told
// before, keep-alive, query strings; strict, because a request that two programs read differently is an attack. Pure functions over borrowed bytes; safe on any input.
#pragma once

#include "base/buffer.h"

// Of a request's first line and header fields together, the empty line included.
#define HTTP_HEAD_SIZE_MAX 8192

// All bytes are borrowed from the input.
struct http_request {
    struct bytes path;   // begins with '/'; as sent, not percent-decoded
    struct bytes query;  // what follows '?'; len 0: none
    struct bytes fields; // the lines of the header, checked: for http_field_find()
    struct bytes body;   // of POST
    bool post;
    bool head;       // HEAD: the answer has no body
    bool keep_alive; // by version and Connection field
    bool has_host;   // a Host field; two are malformed
};

// Reads the request at the front of `data`, and how many bytes it took. ERR_AGAIN: not all there yet. Otherwise the
// connection cannot go on: http_error_status() says what to answer. ERR_TOO_BIG: longer than HTTP_HEAD_SIZE_MAX. ERR_LIMIT: a body of more than
// `body_max` bytes (0: POST is not served at all). ERR_UNSUPPORTED: another method, another version, or a body in another way.
// ERR_PROTOCOL: malformed.
int http_request_parse(struct bytes data, size_t body_max, struct http_request *ret_request, size_t *ret_used) MUST_USE;
// The value of the first field of that name (`name` without capitals). False when there is none.
bool http_field_find(struct bytes fields, struct bytes name, struct bytes *ret_value);
// Whether a comma-separated list, which may be spread over several fields of that name, has the word (both without capitals).
bool http_field_has(struct bytes fields, struct bytes name, struct bytes word);
// How much a client wants a kind of content, in thousandths, by the first Accept field of a request: of the entry that names it
// ("text/plain"), or else its family or everything. Entries with a version other than one of these (comma-separated) do not count; `named`: only
// an entry that names it does. 1000 without such a field, unless `named`.
uint32_t http_accept_weight(struct bytes fields, struct bytes type, struct bytes versions, bool named);
// 400, 405, 413, 431: the status for an error of http_request_parse().
int http_error_status(int error);

// The first value of a query parameter, percent-decoded ('+' is a blank), NUL-terminated. ERR_NOT_FOUND; ERR_TOO_BIG: size is
// too small; ERR_INVALID: bad escape, or a NUL in it.
int http_query_find(struct bytes query, struct bytes name, char *ret_value, size_t size) MUST_USE;

struct http_response {
    int status; // 200, 204, 301, 400, 401, 403, 404, 405, 409, 413, 415, 429, 431, 500, 503, 507
    struct bytes content_type;
    struct bytes body;
    struct bytes fields; // more lines of the header, each with its line end
    uint64_t date_ns;    // wall clock; 0: without a Date
    bool head;           // send the fields for the body, but not the body
    bool keep_alive;
};

// Appends the response. ERR_TOO_BIG: does not fit the buffer's maximum.
int http_response_append(struct buffer *out, const struct http_response *response) MUST_USE;
