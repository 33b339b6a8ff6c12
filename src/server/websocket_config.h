// SPDX-License-Identifier: Apache-2.0
// What a `websocket {}` block says (CO-T04), as plain data with nats-server's defaults. Pointers are borrowed from whoever read the
// configuration file. Its users and token, if any, count for websocket connections alone.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "server/tls_options.h"

#define WEBSOCKET_CONFIG_ORIGINS_MAX 64

struct websocket_config {
    bool on;                   // there is a block, with a port
    const char *host;          // "0.0.0.0"
    int32_t port;              // -1: any free one
    const char *advertise;     // HOST[:PORT] that clients are told (INFO's ws_connect_urls); NULL: host and port
    bool no_tls;               // `no_tls`: plain text; without it `tls` is required
    struct tls_options tls;    // of this listener; use is TLS_OPTIONS_ON when the block has a `tls`
    bool same_origin;          // a browser's page must come from the host it connects to
    bool compression;          // permessage-deflate for clients that offer it
    uint64_t handshake_ns;     // for the HTTP handshake, 2 s
    uint64_t ping_interval_ns; // 0: as other connections
    const char *user;          // `authorization` within the block; NULL: that of the server
    const char *password;      // never shown
    const char *token;         // never shown
    const char *no_auth_user;  // NULL: the server's
    uint64_t auth_timeout_ns;  // 0: the server's
    struct bytes origins[WEBSOCKET_CONFIG_ORIGINS_MAX]; // pages allowed to connect; none: all
    size_t origin_count;
};

void websocket_config_default(struct websocket_config *config);

// What does not go together or is missing: NULL, or a static text that says what is wrong.
const char *websocket_config_check(const struct websocket_config *config);
