// SPDX-License-Identifier: Apache-2.0
// What people do by hand to channels, subscriptions and clients, where NATS Streaming has a word in it. Within a turn; what is proposed counts
// when its index is durable.
#pragma once

#include "stan/stan.h"

// ERR_INVALID: no name for a channel; ERR_EXISTS; ERR_LIMIT; ERR_IN_USE: one of this name is being removed; admission errors.
int stan_control_create_channel(struct stan *stan, struct bytes name, struct stream **ret_stream,
                                uint64_t *ret_index) MUST_USE;
// With its messages and subscriptions; their clients are not told. ERR_NOT_FOUND, admission errors.
int stan_control_remove_channel(struct stan *stan, struct stream *stream, uint64_t *ret_index) MUST_USE;
// May a channel have this name?
bool stan_control_is_name(struct bytes name);
// What the configuration says for a channel of this name. Borrows the name, and from the configuration.
void stan_control_config(const struct stan *stan, struct bytes name, struct stream_edit *ret_edit);
// An edit is durable: max_inactivity of it counts.
void stan_control_edited(struct stan *stan);
// A durable, a queue group or a subscription goes with all its members, who are not told. ERR_NOT_FOUND, admission errors.
int stan_control_remove_group(struct stan *stan, struct consumer *consumer, uint64_t *ret_index) MUST_USE;
// As if the client had closed. ERR_NOT_FOUND, admission errors.
int stan_control_close_client(struct stan *stan, struct bytes client_id, uint64_t *ret_index) MUST_USE;
