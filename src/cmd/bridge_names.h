// SPDX-License-Identifier: Apache-2.0
// The channels of a NATS Streaming server, as its monitoring port lists them (ST-H05).
#pragma once

#include "cmd/client_link.h"

struct bridge_names {
    const char *url; // http:// or https://HOST[:PORT], 8222 if there is none
    struct client_tls tls;
    int timeout_ms;
    size_t max; // channels
    // Called for each; the name is borrowed.
    void (*on_name)(void *owner, struct bytes name);
    void *owner;
    char error[CLIENT_LINK_ERROR_SIZE + 64];
};

// 0, or ERR_* and names->error. ERR_INVALID: no such URL. ERR_LIMIT: too many.
int bridge_names_fetch(struct bridge_names *names) MUST_USE;
