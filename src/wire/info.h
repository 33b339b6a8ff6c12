// SPDX-License-Identifier: Apache-2.0
// The server's greeting: INFO {json} (CO-P01), written by the server, read by our own client.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

// The nats-server release whose client protocol is met, which is what clients compare against.
#define INFO_NATS_VERSION "2.15.0"

// Strings are borrowed when encoding and borrowed from `owned` after parsing; empty ones are left out of the JSON.
struct wire_info {
    struct bytes server_id;
    struct bytes server_name;
    struct bytes version;      // empty when encoding: INFO_NATS_VERSION
    struct bytes weir_version; // empty when encoding: WEIR_VERSION; empty when parsed: not a Weir server
    struct bytes git_commit;
    struct bytes go; // nats-server names its compiler here; empty when encoding: ours
    struct bytes host;
    struct bytes client_ip;
    struct bytes nonce;
    struct bytes cluster;
    struct bytes connect_urls; // parsed only: HOST:PORT of other servers of its cluster, joined by commas (CO-P18)
    int proto;                 // 0 when encoding: 1
    uint16_t port;
    uint64_t client_id;
    int64_t max_payload; // bytes
    bool headers;
    bool auth_required;
    bool tls_required;
    bool tls_verify;
    bool tls_available;
    bool jetstream;
    bool lame_duck; // "ldm" (CO-P17)
    char *owned;    // owned after parsing: memory of all strings; NULL otherwise
};

// Enough for info_encode() with strings of a sane length.
#define INFO_LINE_SIZE_MAX 4096

// Writes the whole line "INFO {…}\r\n" and its length. ERR_TOO_BIG, ERR_INVALID (a string is not UTF-8).
int info_encode(const struct wire_info *info, char *ret_line, size_t size, size_t *ret_len) MUST_USE;

// Reads the JSON of an INFO operation. Unknown fields are ignored. ERR_INVALID: no JSON object, or a field of the wrong
// type; then nothing needs releasing. Otherwise release with info_deinit().
int info_parse(struct bytes json, struct wire_info *ret_info) MUST_USE;
void info_deinit(struct wire_info *info);
