// SPDX-License-Identifier: Apache-2.0
// The header `Nats-Request-Info` that every request carries through a service import: JSON that says which account asks, and with
// `share` which client.
#pragma once

#include "broker/broker_internal.h"

struct connection;
struct json_writer;

#define REQUEST_INFO_HEADER "Nats-Request-Info"

// Who asks, as it is told.
struct request_info {
    const struct account *account;       // the one that asked first
    const struct account *service;       // the last one it came through; NULL: it came directly
    const struct connection *connection; // NULL: from inside the process
    bool is_detailed;                    // tell about the client
    uint64_t stop_ns;                    // wall clock: when it left; 0: it has not
    bool with_server;                    // tell the server's name
};

// An object, on one line.
void request_info_write(const struct request_info *info, struct json_writer *writer);
// The header block of a message with the info in place of any that was there. Must be given to buffer_deinit().
void request_info_add(const struct request_info *info, struct bytes header, struct buffer *ret_header);
