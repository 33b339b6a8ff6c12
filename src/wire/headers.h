// SPDX-License-Identifier: Apache-2.0
// The header block of a message (CO-P04): "NATS/1.0[ status[ description]]\r\n" then "Name: value\r\n"… then "\r\n".
//
// Names are compared exactly, as nats-server and its Go client do; a name may occur more than once. Reading borrows from the
// block and copies nothing; it is safe on any bytes. Writing goes into the caller's memory.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#define HEADERS_VERSION              "NATS/1.0"
#define HEADERS_STATUS_NO_RESPONDERS 503
// The block that answers a request nobody listens to (CO-P10), without the Nats-Subject field.
#define HEADERS_NO_RESPONDERS "NATS/1.0 503\r\n\r\n"

struct headers {
    int status;               // 0: none
    struct bytes description; // of the status; borrowed from the block
    struct bytes fields;      // the lines, each with its CRLF; borrowed from the block
};

struct headers_field {
    struct bytes name;  // not empty; borrowed from the block
    struct bytes value; // without blanks around it; borrowed from the block
};

// Checks the whole block: version line, CRLF line ends, a colon and a name in each line, the empty line at the very end.
// ERR_INVALID otherwise.
int headers_parse(struct bytes block, struct headers *ret_headers) MUST_USE;

// Iterates: start with `rest` = headers.fields. False at the end.
bool headers_next(struct bytes *rest, struct headers_field *ret_field);

// First field of that name in a block not yet parsed (a damaged block has none behind the damage). ERR_NOT_FOUND.
int headers_find(struct bytes block, struct bytes name, struct bytes *ret_value) MUST_USE;

// Builds a block in the caller's memory. Overflow and invalid pieces are remembered and reported by headers_end().
struct headers_builder {
    char *ptr; // borrowed
    size_t size;
    size_t len;
    int error;
};

// status 0: no status. A description needs a status.
void headers_begin(struct headers_builder *builder, char *ptr, size_t size, int status, struct bytes description);
// A name without colon, blank or control character, a value without CR, LF and NUL; else headers_end() fails.
void headers_add(struct headers_builder *builder, struct bytes name, struct bytes value);
// Closes the block. ERR_TOO_BIG or ERR_INVALID; then the block must not be used.
int headers_end(struct headers_builder *builder, struct bytes *ret_block) MUST_USE;
