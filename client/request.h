// SPDX-License-Identifier: Apache-2.0
// The requests of NATS Streaming that are not made for every message (ST-M05 … ST-M11), through protobuf-c. Each waits for its answer.
// None knows what a client or a subscription is.
#pragma once

#include "client/envelope.h"
#include "client/error.h"

struct weir_request_connect {
    const char *subject; // discover prefix and cluster id
    const char *client_id, *connection_id, *heartbeat_inbox;
    int32_t ping_interval_s, ping_max_out;
};

// What the server said at connect: subjects, owned.
struct weir_request_subjects {
    char *publish_prefix, *subscribe, *unsubscribe, *close_sub, *close, *ping;
};

// WEIR_ERR_NO_CLUSTER, _TIMEOUT, _REFUSED, _PROTOCOL, _UNREACHABLE.
int weir_request_connect(natsConnection *nc, const struct weir_request_connect *request, int64_t timeout_ms,
                         struct weir_request_subjects *ret_subjects, struct weir_error *ret_error) WEIR_MUST_USE;
void weir_request_subjects_deinit(struct weir_request_subjects *subjects);

struct weir_request_subscribe {
    const char *client_id, *channel, *inbox;
    const char *group, *durable; // NULL: none
    int32_t max_in_flight, ack_wait_s;
    enum weir_start start;
    uint64_t start_sequence;
    int64_t start_ago_ns;
};

// *ret_ack_inbox: owned by the caller.
int weir_request_subscribe(natsConnection *nc, const char *subject, const struct weir_request_subscribe *request,
                           int64_t timeout_ms, char **ret_ack_inbox, struct weir_error *ret_error) WEIR_MUST_USE;

// Unsubscribe and close of a subscription: they differ by subject. `durable` may be NULL. With a timeout of 0 no answer is waited for.
int weir_request_end_sub(natsConnection *nc, const char *subject, const char *client_id, const char *channel,
                         const char *ack_inbox, const char *durable, int64_t timeout_ms, struct weir_error *ret_error);

int weir_request_close(natsConnection *nc, const char *subject, const char *client_id, int64_t timeout_ms,
                       struct weir_error *ret_error);

// Sends a ping (ST-P08) whose answer comes to `reply`.
natsStatus weir_request_ping(natsConnection *nc, const char *subject, const char *reply, const char *connection_id);
// The error in the answer to a ping, or "" (ST-E19). The caller frees it; NULL: out of memory.
char *weir_request_ping_error(const char *answer, size_t answer_len);
