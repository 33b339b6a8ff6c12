// SPDX-License-Identifier: Apache-2.0
// Which metrics there are of channels, groups and what else has rows (metrics_rows.h): a table for each kind of row, a family of metrics for
// each of its columns.
#pragma once

#include "codec/metric_writer.h"

// The last three have the names that prometheus-nats-exporter made of /jsz and /streaming/channelsz (TL-22, TL-25), for dashboards that ask for
// them (TL-30, TL-32); only who says so gets them.
enum metrics_kind {
    METRICS_CHANNEL,
    METRICS_GROUP,
    METRICS_OLD_STREAM, // with the columns of a channel
    METRICS_OLD_CONSUMER,
    METRICS_OLD_SUBSCRIPTION,
    METRICS_KINDS
};

enum channel_column {
    CHANNEL_MESSAGES,
    CHANNEL_BYTES,
    CHANNEL_FIRST,
    CHANNEL_LAST,
    CHANNEL_SUBSCRIPTIONS,
    CHANNEL_PUBLISHED,
    CHANNEL_PUBLISHED_BYTES,
    CHANNEL_DELIVERED,
    CHANNEL_REDELIVERED,
    CHANNEL_ACKED,
    CHANNEL_DEAD,
    CHANNEL_PAUSED,
};

enum group_column {
    GROUP_WAITING,
    GROUP_WAITING_BYTES,
    GROUP_OLDEST_WAITING,
    GROUP_IN_FLIGHT,
    GROUP_IN_FLIGHT_BYTES,
    GROUP_OLDEST_UNACKED,
    GROUP_DEAD,
    GROUP_DEAD_BYTES,
    GROUP_MEMBERS,
    GROUP_DELIVERED,
    GROUP_REDELIVERED,
    GROUP_ACKED,
    GROUP_DIED,
    GROUP_PAUSED,
    GROUP_COLUMNS,
};

enum old_consumer_column { OLD_CONSUMER_PENDING, OLD_CONSUMER_UNACKED, OLD_CONSUMER_DELIVERED };

enum old_subscription_column { OLD_SUBSCRIPTION_PENDING, OLD_SUBSCRIPTION_LAST, OLD_SUBSCRIPTION_MAX };

// The kind with most columns has so many.
#define METRICS_COLUMNS_MAX GROUP_COLUMNS

struct metrics_family {
    enum metric_type type;
    bool seconds; // the values are nanoseconds
    uint8_t column;
    const char *name, *help;
};

struct metrics_table {
    const struct metrics_family *families;
    size_t count;
};

extern const struct metrics_table metrics_families_tables[METRICS_KINDS];
