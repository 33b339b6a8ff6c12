// SPDX-License-Identifier: Apache-2.0
// The way back through a service import: for each request that crossed into another account there is a subject there,
// `_R_.<of this broker>.<random>`, under which whoever answers reaches the reply subject in the asking account.
//
//     account of the asker      PUB q.x  reply in.1                                        MSG in.1
//                                   │ import                                                   ▲
//     account of the service    MSG req.x  reply _R_.4f9aKq.cX0…  ──answer──► PUB _R_.4f9aKq.cX0…
//
// One ends with its first answer (singleton), with an empty one (stream, chunked), when an answer reaches nobody, or when for
// threshold_ms nothing came. There are at most broker_options.max_responses, of max_response_bytes; then requests find no responder.
// Each counts for the account that asked first, which may have as many as are still free: alone half of all, so that one account
// whose requests nobody answers never takes what another needs.
#pragma once

#include "auth/auth_config.h"
#include "broker/broker_internal.h"

struct import_target;
struct latency;

#define RESPONSE_PREFIX          "_R_."
#define RESPONSE_SUBJECT_LEN_MAX 40
#define RESPONSE_MARKS           UINT64_C(14776336) // 62 to the 4th
#define RESPONSE_WORKERS         UINT64_C(3844)     // 62 squared: more than there are
#define RESPONSE_SEED            0x5265706c79536564 // makes other numbers of the broker's seed
#define RESPONSE_THRESHOLD_MS    120000             // where the export says nothing

struct response {
    uint64_t id;           // unguessable; the key in broker.responses
    struct account *home;  // borrowed: where the answer is published
    struct account *asker; // borrowed: where it goes
    struct account *payer; // borrowed: for whom it counts
    struct list link;      // list link: broker.response_list
    struct wheel_timer expiry;
    struct latency *latency; // owned; NULL: it is not measured
    uint32_t threshold_ms;
    uint8_t type; // enum auth_response_type
    uint8_t busy; // answers that are on their way through it
    bool removed; // free it when it is not busy any more
    uint32_t subject_len;
    char subject[]; // to which the answer goes
};

// A message from `asker` to `home` with that reply subject. All is borrowed for the call; what it is, see struct response.
struct response_request {
    struct account *home, *asker, *payer;
    struct bytes reply;
    enum auth_response_type type;
    uint32_t threshold_ms;
};

// Writes the subject to answer to. ERR_LIMIT: too many.
int response_add(const struct response_request *request, char ret_subject[RESPONSE_SUBJECT_LEN_MAX], size_t *ret_len,
                 uint64_t *ret_id) MUST_USE;
// When it ends it is told; takes ownership.
void response_measure(struct broker *broker, uint64_t id, struct latency *latency);
// The request reached nobody. No-op if it has ended.
void response_remove(struct broker *broker, uint64_t id);
// All that come from or go to this account, or count for it.
void response_remove_all(struct account *account);
// An answer that was published in the target's account. True if somebody got it.
bool response_deliver(struct inlet_target *target, struct broker_message *message);
void response_check(const struct broker *broker);
