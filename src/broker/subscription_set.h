// SPDX-License-Identifier: Apache-2.0
// The subscriptions of one connection, found by sid. Most connections have one or a few, some a million: up to SUBSCRIPTION_SET_FEW they
// stand in a row, beyond that in a hash table of pointers (linear probing, at most three quarters full, deletion by shifting back).
//
// It owns nothing but its slots. Embedded; all zero is an empty one.
#pragma once

#include "base/bytes.h"

struct subscription;

#define SUBSCRIPTION_SET_FEW 8

struct subscription_set {
    struct subscription **slots; // owned; NULL while cap is 0
    uint32_t count;
    uint32_t cap; // up to SUBSCRIPTION_SET_FEW: a row; more: a power of two, hashed
};

// `seed` of the hash is the same in all calls for one set, and not known to clients.
struct subscription *subscription_set_find(const struct subscription_set *set, uint64_t seed, struct bytes sid);
// Its sid is not in the set.
void subscription_set_add(struct subscription_set *set, uint64_t seed, struct subscription *subscription);
// It is in the set.
void subscription_set_remove(struct subscription_set *set, uint64_t seed, const struct subscription *subscription);

// The next one from place *at on, which goes behind it; begin with 0. NULL: no more. In no promised order; the set must not change in
// between.
struct subscription *subscription_set_next(const struct subscription_set *set, uint32_t *at);

// Walks a set with subscription_set_next().
#define subscription_set_foreach(subscription, set)                                                                    \
    for (uint32_t subscription##_at_ = 0, subscription##_once_ = 1; subscription##_once_; subscription##_once_ = 0)    \
        for (struct subscription * subscription;                                                                       \
             (subscription = subscription_set_next((set), &subscription##_at_)) != NULL;)

// Empties the set and calls `each` for what was in it, which may be freed in there.
void subscription_set_drain(struct subscription_set *set, void (*each)(struct subscription *subscription));

// Asserts the invariants.
void subscription_set_check(const struct subscription_set *set, uint64_t seed);
