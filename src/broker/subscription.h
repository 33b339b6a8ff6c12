// SPDX-License-Identifier: Apache-2.0
// A connection's interest in a subject (CO-P05, CO-P09, CO-P11), and the writing of messages to it.
//
// A subscription to a literal subject carries the ready beginning of its deliveries, "HMSG <subject> <sid> "; one with
// wildcards only its sid.
#pragma once

#include "broker/broker_internal.h"

struct connection;

struct subscription {
    struct target target;          // first: what the trie gives back
    struct connection *connection; // borrowed; not to be used once target.dead
    uint64_t delivered;            // messages, since it began
    uint64_t max;                  // ends by itself after so many; 0: never
    uint16_t sid_len;
    char text[]; // with a literal subject the beginning of a delivery, else the sid alone
};

#define SUBSCRIPTION_SID_LEN_MAX UINT16_MAX

// By sid; NULL: there is none.
struct subscription *subscription_find(const struct connection *connection, struct bytes sid);
// What SUB asks; the sid is not in use. ERR_INVALID: bad subject; ERR_LIMIT: too many tokens.
int subscription_add(struct connection *connection, struct bytes subject, struct bytes queue,
                     struct bytes sid) MUST_USE;
// It is gone at once for all later messages, also for those being routed.
void subscription_remove(struct subscription *subscription);
// Ends after `max` messages since its beginning, which may be at once; 0: at once.
void subscription_limit(struct subscription *subscription, uint64_t max);
// Queues the message to the connection. False when it does not want it (closing, own message without echo).
bool subscription_deliver(struct subscription *subscription, struct broker_message *message);
// Its pattern; valid until the next use of broker.scratch.
struct bytes subscription_pattern(const struct subscription *subscription);

static inline struct bytes subscription_sid(const struct subscription *subscription)
{
    size_t at = subscription->target.literal_len ? sizeof("HMSG ") - 1 + subscription->target.literal_len + 1 : 0;
    return bytes_make(subscription->text + at, subscription->sid_len);
}
