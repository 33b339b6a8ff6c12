// SPDX-License-Identifier: Apache-2.0
// The subscriptions of one channel, as its subs.dat tells them (IM-05): a file of changes, whose replay is the state. What was sent and
// not acknowledged is a set per subscription; for a queue group the sets of its members count together, and the highest last_sent.
// tidy: prefix filestore
#pragma once

#include "base/list.h"
#include "base/map_u64.h"
#include "stan/import/filestore_frame.h"
#include "stan/import/filestore_record.h"

struct filestore_subscription {
    struct filestore_sub
        state;     // its texts lie in `storage`; last_sent is that of the record and of all that was pending since
    char *storage; // owned
    struct map_u64 pending; // sequence -> the subscription
    struct list link;       // filestore_subs.list
};

struct filestore_subs {
    struct map_u64 by_id;
    struct list list;     // filestore_subscription, in the order of their creation
    size_t pending_count; // of all
    size_t pending_max;
};

// At most so many subscriptions, and pending messages of all together.
void filestore_subs_init(struct filestore_subs *subs, size_t max, size_t pending_max);
// Forgets all of them; it can be used again.
void filestore_subs_clear(struct filestore_subs *subs);
// Replays one record. ERR_PROTOCOL: its payload is none; ERR_UNSUPPORTED: a type nobody wrote yet; ERR_LIMIT. A change to a subscription
// that is not there is nothing, as it was to the old server.
int filestore_subs_apply(struct filestore_subs *subs, const struct filestore_frame *frame) MUST_USE;

static inline size_t filestore_subs_count(const struct filestore_subs *subs)
{
    return map_u64_count(&subs->by_id);
}
