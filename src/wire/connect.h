// SPDX-License-Identifier: Apache-2.0
// The client's answer to INFO: CONNECT {json} (CO-P02), read by the server, written by our own client.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

// Strings are borrowed when encoding and borrowed from `owned` after parsing; empty means absent.
struct wire_connect {
    struct bytes user;
    struct bytes pass;
    struct bytes auth_token;
    struct bytes nkey;
    struct bytes jwt;
    struct bytes sig;
    struct bytes name;
    struct bytes lang;
    struct bytes version;
    struct bytes account;
    int protocol;  // 0: INFO only once; 1: INFO may be pushed later (CO-P18)
    bool verbose;  // +OK after each operation (CO-P13)
    bool pedantic; // check publish subjects (CO-P13)
    bool echo;     // deliver to the publishing connection as well (CO-P12)
    bool tls_required;
    bool headers;
    bool no_responders; // 503 instead of silence (CO-P10); valid only with headers
    char *owned;        // owned after parsing: memory of all strings; NULL otherwise
};

// nats-server's defaults for what CONNECT leaves out, and for a client that never sends one: verbose, pedantic and echo
// true, protocol 0, the rest false. (Every client library sends all three.)
void connect_init(struct wire_connect *connect);

// Reads the JSON of a CONNECT operation over connect_init(). Unknown fields are ignored; null leaves the default, also in place of the object.
// ERR_INVALID: no JSON object or a field of the wrong type, which nats-server refuses with a parser error; then nothing needs
// releasing.
int connect_parse(struct bytes json, struct wire_connect *ret_connect) MUST_USE;
// The same over what is in *connect, which owns nothing; on failure it is unspecified.
int connect_parse_over(struct bytes json, struct wire_connect *connect) MUST_USE;
// False: a negative or unknown `protocol` (WIRE_INVALID_CLIENT_PROTOCOL). That is looked at after who it is.
bool connect_is_supported(const struct wire_connect *connect);
void connect_deinit(struct wire_connect *connect);

#define CONNECT_LINE_SIZE_MAX 4096
// Writes the whole line "CONNECT {…}\r\n" and its length. ERR_TOO_BIG, ERR_INVALID (a string is not UTF-8).
int connect_encode(const struct wire_connect *connect, char *ret_line, size_t size, size_t *ret_len) MUST_USE;
