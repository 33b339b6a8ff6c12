// SPDX-License-Identifier: Apache-2.0
// How long services take (CO-S08): an export with `latency` gets, for a share of its requests, one message in the exporter's
// account: who asked, who answered, the times. JSON as nats-server's io.nats.server.metric.v1.service_latency.
//
// Only of answers of one message (singleton). Times are those of the worker's turns, which is what a client waits for; so the part of
// the server itself ("system") is 0.
#pragma once

#include "broker/broker_internal.h"

struct connection;
struct import_target;
struct request_info;

// One request that is measured.
struct latency;

enum latency_status {
    LATENCY_ANSWERED = 200,
    LATENCY_BAD_REQUEST = 400, // it names no reply subject
    LATENCY_NO_RESPONDER = 503,
    LATENCY_TIMEOUT = 504,
};

// Is this request one of those that are measured? NULL: no. Else the caller's, for latency_end() or mem_free().
struct latency *latency_begin(const struct import_target *import, const struct broker_message *message,
                              const struct request_info *info);
// Publishes, and frees it. Who answered: NULL: nobody, or somebody who is no connection of this worker, of whom only the account is
// told. A NULL latency is fine.
void latency_end(struct latency *latency, enum latency_status status, const struct connection *responder);
