// SPDX-License-Identifier: Apache-2.0
// NATS Streaming on Weir: decodes STAN requests that arrive through broker inlets, proposes to the shard, and answers when the
// record is durable. Facts: ST-P, ST-M, ST-E, ST-B of the protocol reference. A channel is a stream, a durable or a queue group
// a consumer, a subscription a member. The client registry is a machine on the shard's log (records RECORD_CLIENT_*).
//
// Pure, one thread, on one broker and one shard.
#pragma once

#include "base/buffer.h"
#include "broker/broker.h"
#include "env/clock.h"
#include "shard/shard.h"
#include "stan/channel_limits.h"

struct stan;

struct stan_options {
    struct bytes cluster_id;          // borrowed for life; ST-C01
    struct bytes discover_prefix;     // "_STAN.discover"; borrowed
    uint32_t max_channels;            // 100 (ST-C09); 0: unlimited
    struct channel_limit channel;     // for channels that no rule counts for
    const struct channel_rule *rules; // borrowed during stan_new()
    size_t rule_count;
    uint64_t heartbeat_interval_ns; // 30 s (ST-C16)
    uint64_t heartbeat_timeout_ns;  // 10 s (ST-C17)
    uint32_t heartbeat_fail_count;  // 10 (ST-C18)
    uint32_t max_clients;           // 65,536
    bool replace_durable;           // who subscribes to a durable in use takes it over (ST-C21)
    const struct logger *logger;    // borrowed for life
};

void stan_options_default(struct stan_options *options);

// Before shard_open(), at its time: registers its machine and adapter. Serves nothing yet.
struct stan *stan_new(const struct stan_options *options, struct broker *broker, struct shard *shard,
                      struct moment now);
// After shard_open(): opens the inlets. 0 or ERR_INVALID (bad cluster id).
int stan_start(struct stan *stan, struct moment now);
// Removes the inlets.
void stan_stop(struct stan *stan);
void stan_free(struct stan *stan);

// The time all callbacks of this turn see; then heartbeats, probes and grace periods that are due. Call broker_turn_begin()
// before and shard_turn_end(), broker_turn_end() after stan_turn_end().
void stan_turn_begin(struct stan *stan, struct moment now);
void stan_turn_end(struct stan *stan);
// The log takes publishes again (shard_options.admitting).
void stan_admitting(struct stan *stan);
uint64_t stan_next_deadline_ms(const struct stan *stan);

// Within a turn: other limits, for channels that are there as for those to come; what they are given of the options of stan_new().
void stan_limits_set(struct stan *stan, const struct channel_limit *channel, const struct channel_rule *rules,
                     size_t rule_count);

// For a backup: appends the numbers of all clients, 4 bytes each. Then, in turns to come, of each one that is durable and still there its
// image (registry.h), framed and padded.
void stan_list_clients(const struct stan *stan, struct buffer *ret_numbers);
void stan_save_client(const struct stan *stan, uint32_t number, struct buffer *out);
// Proposes the client of such an image, which must not be there yet. *ret_number: its number here; 0: it was closing, and is left out.
// ERR_CORRUPT; errors of registry_add().
int stan_restore_client(struct stan *stan, const struct record *image, uint32_t *ret_number) MUST_USE;

// What a start asks first where others may serve the same clients (ST-P01): a connect request, which another server with this cluster id would
// answer. Made of the options alone; appended.
void stan_make_probe(const struct stan_options *options, struct buffer *subject, struct buffer *payload);

// Who answers "+INFO" on an ack inbox, which a subscriber asks about its own subscription: appends what is to be said of the member, or
// nothing. NULL: nobody.
void stan_describe_with(struct stan *stan, void (*describe)(void *owner, uint32_t member, struct buffer *out),
                        void *owner);

struct stan_stats {
    uint64_t clients, subscriptions;
    uint64_t in_msgs, in_bytes, out_msgs, out_bytes; // messages published and delivered, payload bytes
};
void stan_stats_get(const struct stan *stan, struct stan_stats *ret_stats);
