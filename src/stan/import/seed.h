// SPDX-License-Identifier: Apache-2.0
// What was in a NATS Streaming store, put into a shard as if it had been served here (IM-10 … IM-13): clients, channels, and
// subscriptions with their positions. Proposals only; they count when the shard has made them durable.
#pragma once

#include "stan/import/filestore_clients.h"
#include "stan/import/filestore_subs.h"
#include "stan/stan.h"

struct seed_counts {
    uint64_t clients;
    uint64_t durables;       // plain ones
    uint64_t durable_groups; // of queue subscriptions
    uint64_t groups;         // not durable
    uint64_t subscriptions;  // neither durable nor in a group
    uint64_t members;        // subscriptions of clients that are there: of any kind
    uint64_t pending;        // messages sent and not acknowledged
    uint64_t pending_gone;   // of those: the channel has the message no more
    uint64_t without_client; // subscriptions that died with their client
    uint64_t unusable;       // subscriptions with names that are too long, or no text
    uint64_t beyond_the_end; // positions behind the last message that there is; they are taken back to it
};

// One client; its number is kept for its subscriptions. ERR_INVALID: it has no id, or a long one; ERR_EXISTS: its connection id is
// another's; errors of registry_add(). `stan` NULL: only looks and counts, as below.
int seed_client(struct stan *stan, struct filestore_registered *registered, struct seed_counts *counts) MUST_USE;

// A channel without limits: those of the server's configuration hold from its first start on. Errors of engine_stream_create().
int seed_channel(struct stan *stan, struct bytes name, struct engine_time now, struct stream **ret_stream) MUST_USE;

// The channel that the subscriptions are of.
struct seed_channel_state {
    struct stream *stream;   // NULL with no `stan`
    uint64_t first_sequence; // of its oldest message; last + 1: it has none
    uint64_t last_sequence;
};

// All of a channel, after its messages and all clients. Errors of the engine.
int seed_subscriptions(struct stan *stan, const struct seed_channel_state *channel,
                       const struct filestore_clients *clients, const struct filestore_subs *subs,
                       struct engine_time now, struct seed_counts *counts) MUST_USE;
