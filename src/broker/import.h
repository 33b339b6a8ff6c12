// SPDX-License-Identifier: Apache-2.0
// What one account gets from another (CO-S08). An import is a target in a trie, like a subscription; what it is delivered, it
// routes in the other account under the mapped subject:
//
//     stream    in the trie of the exporter: messages go on to whoever subscribes in the importer
//     service   in the trie of the importer: requests go on to whoever answers in the exporter, with the reply subject
//               mapped (broker/response.h) and a header that says who asks (broker/request_info.h)
//
// A stream's message is not imported once more from the importer, as nats-server has it; a request goes on through the
// exporter's own imports of services. Cycles are refused by the configuration; a message passes IMPORT_HOPS_MAX accounts at most.
#pragma once

#include "auth/auth_config.h"
#include "broker/broker_internal.h"

struct transform;

#define IMPORT_HOPS_MAX 16

struct import_target {
    struct target target;                // first
    struct list link;                    // list link: account.imports of the importer
    struct account *importer, *exporter; // borrowed: both live as long as the import
    struct transform *transform;         // owned
    bool is_service;
    bool is_sharing;              // the exporter is told in detail who asks
    bool is_named;                // by its export: INLET_STANDING_EXPORTED
    uint8_t response;             // enum auth_response_type
    uint32_t threshold_ms;        // how long an answer may take
    int32_t latency_sampling;     // as auth_export
    struct bytes latency_subject; // owned; len 0: nothing is measured
};

// Can this view's imports be opened? ERR_INVALID: a mapping makes no sense; ERR_LIMIT: a subject has too many tokens.
int import_check_all(const struct auth_view *view) MUST_USE;
// Takes all imports of all accounts away.
void import_remove_all(struct broker *broker);
// Those of the view. Every account of it exists; import_check_all() found nothing.
void import_open_all(struct broker *broker, const struct auth_view *view);
// True if somebody got it.
bool import_deliver(struct import_target *import, struct broker_message *message);
void import_free(struct import_target *import);
