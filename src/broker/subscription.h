// SPDX-License-Identifier: Apache-2.0
// A connection's interest in a subject (CO-P05, CO-P09, CO-P11), and the writing of messages to it.
//
// There may be millions, so it holds what nobody else does: the trie has the subject, and a sid is nearly always a small number.
#pragma once

#include "base/number.h"
#include "broker/broker_internal.h"

struct connection;

struct subscription {
    struct target target;          // first: what the trie gives back
    struct connection *connection; // borrowed; not to be used once target.dead
    uint64_t delivered;            // messages, since it began
    uint64_t max;                  // ends by itself after so many; 0: never
    char text[];                   // target.has_text: the length of the sid (2 bytes), and the sid
};

#define SUBSCRIPTION_SID_LEN_MAX UINT16_MAX

// What stands for a subscription in the client's world: any word.
struct subscription_sid {
    bool is_number;    // written as any program writes it, and of 32 bits
    uint32_t number;   // 0 if it is none
    struct bytes text; // borrowed: as it came
};

struct subscription_sid subscription_sid_of(struct bytes text);
// As it came: in `room`, or borrowed from the subscription.
struct bytes subscription_sid_text(const struct subscription *subscription, char room[NUMBER_MAX_DIGITS]);
bool subscription_has_sid(const struct subscription *subscription, const struct subscription_sid *sid);
// A subscription with nothing but its sid: the rest is the caller's to fill in.
struct subscription *subscription_new(const struct subscription_sid *sid);

// By sid; NULL: there is none.
struct subscription *subscription_find(const struct connection *connection, struct bytes sid);
// What SUB asks; the sid is not in use. ERR_INVALID: bad subject; ERR_LIMIT: too many tokens.
int subscription_add(struct connection *connection, struct bytes subject, struct bytes queue,
                     struct bytes sid) MUST_USE;
// It is gone at once for all later messages, also for those being routed.
void subscription_remove(struct subscription *subscription);
// The same for one that its connection's set does not have any more, and that is counted no more.
void subscription_end(struct subscription *subscription);
// Ends after `max` messages since its beginning, which may be at once; 0: at once.
void subscription_limit(struct subscription *subscription, uint64_t max);
// Queues the message to the connection. False when it does not want it (closing, own message without echo).
bool subscription_deliver(struct subscription *subscription, struct broker_message *message);
// Its pattern; valid until the next use of broker.scratch.
struct bytes subscription_pattern(const struct subscription *subscription);
