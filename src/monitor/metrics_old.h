// SPDX-License-Identifier: Apache-2.0
// Rows under the names and with the labels that prometheus-nats-exporter made of /jsz and /streaming/channelsz, as far as published dashboards ask
// for them (TL-30, TL-32). Whether they fit is metrics_rows' to tell.
#pragma once

#include "monitor/metrics_rows.h"

// With the columns of the channel.
void metrics_old_add_stream(struct metrics_rows *rows, const struct stan_channel_view *channel,
                            const uint64_t values[METRICS_COLUMNS_MAX]);
// A durable or a group.
void metrics_old_add_consumer(struct metrics_rows *rows, const struct stan_channel_view *channel,
                              const struct stan_consumer_view *consumer);
// `place`: where the list of the channel's subscriptions is; two of the same inbox and client are told apart by it.
void metrics_old_add_subscription(struct metrics_rows *rows, const struct stan_subscription_view *subscription,
                                  const struct stan_inspect_place *place);
