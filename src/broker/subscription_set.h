// SPDX-License-Identifier: Apache-2.0
// The subscriptions of one connection, found by sid. Most connections have one or a few, some a million: up to SUBSCRIPTION_SET_FEW they
// stand in a row, beyond that in a hash table.
//
// It owns nothing but its storage. Embedded; all zero is an empty one.
#pragma once

#include "base/bytes.h"

struct subscription;
struct subscription_sid;
struct table;

#define SUBSCRIPTION_SET_FEW 8

struct subscription_set {
    union {
        struct subscription **row; // owned; NULL while cap is 0
        struct table *table;       // owned
    };
    uint32_t count;
    uint32_t cap; // of the row; SUBSCRIPTION_SET_HASHED: there is a table
};

#define SUBSCRIPTION_SET_HASHED UINT32_MAX

// `seed` of the hash is the same in all calls for one set, and not known to clients.
struct subscription *subscription_set_find(const struct subscription_set *set, uint64_t seed,
                                           const struct subscription_sid *sid);
// Its sid is not in the set.
void subscription_set_add(struct subscription_set *set, uint64_t seed, struct subscription *subscription);
// It is in the set.
void subscription_set_remove(struct subscription_set *set, uint64_t seed, const struct subscription *subscription);
// Takes one out, at next to no cost; NULL: it is empty.
struct subscription *subscription_set_pop(struct subscription_set *set);

// The next one from place *at on, which goes behind it; begin with 0. NULL: no more. In no promised order; the set must not change in
// between.
struct subscription *subscription_set_next(const struct subscription_set *set, uint32_t *at);

// Walks a set with subscription_set_next().
#define subscription_set_foreach(subscription, set)                                                                    \
    for (uint32_t subscription##_at_ = 0, subscription##_once_ = 1; subscription##_once_; subscription##_once_ = 0)    \
        for (struct subscription * subscription;                                                                       \
             (subscription = subscription_set_next((set), &subscription##_at_)) != NULL;)

// Asserts the invariants.
void subscription_set_check(const struct subscription_set *set, uint64_t seed);
