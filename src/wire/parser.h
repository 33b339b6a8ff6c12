// SPDX-License-Identifier: Apache-2.0
// Incremental parser of the NATS client protocol, both directions (CO-P01…P08), without copying.
//
// The caller reads a buffer and calls parser_next() until it returns 0; what is left in `*input` is then the tail of an
// unfinished operation. The caller keeps the tail and presents it again, at whatever address, with more bytes behind it.
// The parser remembers how far it looked, so nothing is scanned twice: a large payload costs nothing until it is
// complete, and parser_needed_bytes() tells how much room the whole operation takes.
//
//     while ((n = parser_next(&parser, &input, &op)) > 0)
//         handle(&op);
//     if (n < 0)
//         refuse(parser_error(&parser));   // and close: the parser stays in error
//     else
//         keep(input);                     // input.len bytes, fewer than parser_needed_bytes() if that is known
//
// An operation's bytes point into the caller's input and live as long as that does. Verbs are case-insensitive (CO-P07),
// arguments are separated by any run of blanks and tabs, a line ends with LF, CR before it is dropped, as nats-server
// accepts. Subjects are not validated here (see subject/subject.h): the server's rules differ by operation and mode.
//
// One parser per connection and direction; plain memory, nothing to release.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "wire/error.h"

enum wire_kind {
    WIRE_CONNECT, // text: the JSON
    WIRE_INFO,    // text: the JSON
    WIRE_PUB,     // PUB and HPUB: subject, reply, header, payload
    WIRE_SUB,     // subject, queue, sid
    WIRE_UNSUB,   // sid, max
    WIRE_MSG,     // MSG and HMSG: subject, sid, reply, header, payload
    WIRE_PING,
    WIRE_PONG,
    WIRE_PLUS_OK,   // "+OK"
    WIRE_MINUS_ERR, // text: without the quotes around it
};

// Only the fields named at the kind are set; optional ones that are absent have len 0.
struct wire_op {
    enum wire_kind kind;
    bool has_header; // PUB, MSG: it was an HPUB or HMSG; even then `header` may be empty
    struct bytes subject;
    struct bytes reply;
    struct bytes queue;
    struct bytes sid;     // opaque to the protocol, though clients send decimals
    struct bytes header;  // "NATS/1.0…\r\n\r\n"; not validated. Header and payload lie side by side in memory
    struct bytes payload; // without header and CRLF
    struct bytes text;
    uint64_t max; // UNSUB: messages until it ends by itself; 0: at once
};

enum parser_side {
    PARSER_SERVER, // reads what clients send: MSG and HMSG are unknown operations
    PARSER_CLIENT, // reads what servers send: CONNECT, PUB, HPUB, SUB and UNSUB are unknown operations
};

#define PARSER_CONTROL_LINE_DEFAULT 4096
#define PARSER_PAYLOAD_DEFAULT      (1024 * 1024)

struct parser_config {
    uint32_t control_line_max; // bytes of arguments of an operation; 0: the default. Not applied to INFO
    uint32_t info_line_max;    // bytes of an INFO or -ERR line; 0: 64 KiB
    uint32_t payload_max;      // header and payload together; 0: the default
};

// The last control line of a PUB or MSG: whoever sends the same line again, as publishers in a row do, has it compared instead of
// parsed. One may serve all parsers of a worker; it belongs to the one that wrote last. Zeroed by its owner. Private.
#define PARSER_MEMO_LINE_MAX 160
struct parser_memo {
    const struct parser *owner; // borrowed; NULL: empty
    uint32_t len;               // bytes of line
    char line[PARSER_MEMO_LINE_MAX];
};

// Embedded in the connection. Private.
struct parser {
    struct parser_config config; // with the defaults filled in
    struct parser_memo *memo;    // borrowed, may be NULL
    uint32_t line_size_max;      // no line of this side is longer, its LF included
    uint8_t side;                // enum parser_side
    uint8_t kind;                // of the operation whose payload is awaited
    bool in_payload;             // its control line has been parsed into the fields below
    bool has_header;
    uint16_t error;      // enum wire_error
    uint32_t scanned;    // bytes of the unfinished line known to hold no LF
    uint32_t line_len;   // bytes of the control line with its LF; the payload starts here
    uint32_t subject_at; // offsets and lengths from the start of the operation, which may move between calls
    uint32_t subject_len;
    uint32_t reply_at;
    uint32_t reply_len;
    uint32_t sid_at;
    uint32_t sid_len;
    uint32_t header_len;
    uint32_t total_len; // header and payload
};

// `config` NULL: all defaults.
void parser_init(struct parser *parser, enum parser_side side, const struct parser_config *config);

// Takes the next operation from the front of `*input`. 1: `*ret_op` is set and `*input` starts behind the operation;
// 0: more input is needed, `*input` is the tail to present again (it may be empty); ERR_PROTOCOL: parser_error() tells
// which, and all later calls fail the same way.
int parser_next(struct parser *parser, struct bytes *input, struct wire_op *ret_op) MUST_USE;

// Size of the whole unfinished operation if its control line is complete, else 0. At most control_line_max + payload_max
// + a few bytes.
size_t parser_needed_bytes(const struct parser *parser);

// The bytes to keep when it is not known: no unfinished operation is ever longer than this.
size_t parser_size_max_bytes(const struct parser *parser);

// Why the last parser_next() failed; WIRE_OK if none has. One of WIRE_UNKNOWN_OPERATION (also: no CRLF behind a payload),
// WIRE_PARSER_ERROR (wrong arguments or numbers), WIRE_MAX_CONTROL_LINE, WIRE_MAX_PAYLOAD.
enum wire_error parser_error(const struct parser *parser);

// Uses `memo`, which outlives the parser or is taken away with NULL. The parser must not move any more.
void parser_set_memo(struct parser *parser, struct parser_memo *memo);

// After reading the options of CONNECT or a reload: new limits from the next operation on.
void parser_set_limits(struct parser *parser, const struct parser_config *config);
