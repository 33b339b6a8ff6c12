// SPDX-License-Identifier: Apache-2.0
// What one set of permissions lets its users publish and subscribe (CO-S06), made ready for the hot path: the last subject is
// compared first, then a cache of recent ones, then the rules. One per set and worker, shared by the connections of its users.
// One thread; counted; keeps the config alive that the permissions are of.
//
// The rules are those of nats-server, with two exceptions, both of them stricter: a rule for `foo.*` is none for a subscription to
// `foo.>`; and messages are filtered for every subscription that overlaps a denied subject, not only for those that contain it.
#pragma once

#include "auth/auth_config.h"

struct permit;

// One reference, the caller's. hash_seed: unpredictable to clients. permissions are those of a user of the config.
struct permit *permit_new(struct auth_config *config, const struct auth_permissions *permissions, uint64_t hash_seed);
struct permit *permit_ref(struct permit *permit);
void permit_unref(struct permit *permit); // NULL is fine

// More than one reference.
bool permit_is_shared(const struct permit *permit);

const struct auth_permissions *permit_permissions(const struct permit *permit);

// May a message be sent to the subject? Answers that allow_responses would let through are not looked at: auth/replies.h.
bool permit_publish(struct permit *permit, struct bytes subject);
// May a message be sent to the subject because a rule says so whose first token is spelt out, so not by `>` or for lack of rules? NULL: no.
// Walks the rules: for what is asked seldom. Answers that allow_responses would let through are not looked at here either.
bool permit_names(const struct auth_permissions *permissions, struct bytes subject);
// May one subscribe to the pattern, as a member of the queue group (len 0: of none)?
bool permit_subscribe(const struct permit *permit, struct bytes pattern, struct bytes queue);
// May a subscription to the pattern, which permit_subscribe() allows, get messages that are denied?
bool permit_filters(const struct permit *permit, struct bytes pattern);
// Then: may this message be delivered to it?
bool permit_deliver(struct permit *permit, struct bytes subject);
