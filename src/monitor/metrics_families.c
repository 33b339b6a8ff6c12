// SPDX-License-Identifier: Apache-2.0
#include "monitor/metrics_families.h"

#define OLD_HELP "As prometheus-nats-exporter calls it."

// The last two are what dashboards of nats-streaming-server ask for (TL-30): no counters, though their names say so (TL-31).
static const struct metrics_family channel_families[] = {
    {METRIC_GAUGE, false, CHANNEL_MESSAGES, "weir_channel_messages", "Messages stored."},
    {METRIC_GAUGE, false, CHANNEL_BYTES, "weir_channel_bytes", "Bytes of the messages stored."},
    {METRIC_GAUGE, false, CHANNEL_FIRST, "weir_channel_first_sequence", "Sequence of the oldest message; 0: none yet."},
    {METRIC_GAUGE, false, CHANNEL_LAST, "weir_channel_last_sequence", "Sequence of the newest message."},
    {METRIC_GAUGE, false, CHANNEL_SUBSCRIPTIONS, "weir_channel_subscriptions",
     "Subscriptions, durables and durable groups that are offline included."},
    {METRIC_GAUGE, false, CHANNEL_PAUSED, "weir_channel_paused", "1: nothing of it is delivered."},
    {METRIC_COUNTER, false, CHANNEL_PUBLISHED, "weir_channel_published_messages",
     "Messages stored since the process began."},
    {METRIC_COUNTER, false, CHANNEL_PUBLISHED_BYTES, "weir_channel_published_bytes", "Bytes of these."},
    {METRIC_COUNTER, false, CHANNEL_DELIVERED, "weir_channel_deliveries", "Deliveries to all subscriptions."},
    {METRIC_COUNTER, false, CHANNEL_REDELIVERED, "weir_channel_redeliveries",
     "Deliveries that were not a message's first to that group."},
    {METRIC_COUNTER, false, CHANNEL_ACKED, "weir_channel_acks", "Acknowledgements."},
    {METRIC_COUNTER, false, CHANNEL_DEAD, "weir_channel_dead_letters", "Messages that died for a group."},
    {METRIC_UNKNOWN, false, CHANNEL_MESSAGES, "nss_chan_msgs_total", "weir_channel_messages under its old name."},
    {METRIC_UNKNOWN, false, CHANNEL_BYTES, "nss_chan_bytes_total", "weir_channel_bytes under its old name."},
};

static const struct metrics_family group_families[] = {
    {METRIC_GAUGE, false, GROUP_WAITING, "weir_group_waiting_messages", "Messages never delivered yet."},
    {METRIC_GAUGE, false, GROUP_WAITING_BYTES, "weir_group_waiting_bytes", "Bytes of these."},
    {METRIC_GAUGE, true, GROUP_OLDEST_WAITING, "weir_group_oldest_waiting_seconds",
     "Age of the oldest message never delivered yet; 0: there is none."},
    {METRIC_GAUGE, false, GROUP_IN_FLIGHT, "weir_group_in_flight_messages", "Messages delivered and not finished."},
    {METRIC_GAUGE, false, GROUP_IN_FLIGHT_BYTES, "weir_group_in_flight_bytes", "Bytes of these."},
    {METRIC_GAUGE, true, GROUP_OLDEST_UNACKED, "weir_group_oldest_unacked_seconds",
     "Age of the oldest message delivered and not finished, since it was published; 0: there is none."},
    {METRIC_GAUGE, false, GROUP_DEAD, "weir_group_dead_messages", "Dead messages that are still stored."},
    {METRIC_GAUGE, false, GROUP_DEAD_BYTES, "weir_group_dead_bytes", "Bytes of these."},
    {METRIC_GAUGE, false, GROUP_MEMBERS, "weir_group_members", "Subscriptions that are connected."},
    {METRIC_GAUGE, false, GROUP_PAUSED, "weir_group_paused", "1: nothing is delivered to it."},
    {METRIC_COUNTER, false, GROUP_DELIVERED, "weir_group_deliveries", "Deliveries since the process began."},
    {METRIC_COUNTER, false, GROUP_REDELIVERED, "weir_group_redeliveries",
     "Deliveries that were not a message's first."},
    {METRIC_COUNTER, false, GROUP_ACKED, "weir_group_acks", "Acknowledgements."},
    {METRIC_COUNTER, false, GROUP_DIED, "weir_group_dead_letters", "Messages that died."},
};

static const struct metrics_family old_stream_families[] = {
    {METRIC_UNKNOWN, false, CHANNEL_MESSAGES, "jetstream_stream_total_messages", OLD_HELP},
    {METRIC_UNKNOWN, false, CHANNEL_BYTES, "jetstream_stream_total_bytes", OLD_HELP},
    {METRIC_UNKNOWN, false, CHANNEL_FIRST, "jetstream_stream_first_seq", OLD_HELP},
    {METRIC_UNKNOWN, false, CHANNEL_LAST, "jetstream_stream_last_seq", OLD_HELP},
};

static const struct metrics_family old_consumer_families[] = {
    {METRIC_UNKNOWN, false, OLD_CONSUMER_PENDING, "jetstream_consumer_num_pending", OLD_HELP},
    {METRIC_UNKNOWN, false, OLD_CONSUMER_UNACKED, "jetstream_consumer_num_ack_pending", OLD_HELP},
    {METRIC_UNKNOWN, false, OLD_CONSUMER_DELIVERED, "jetstream_consumer_delivered_consumer_seq", OLD_HELP},
};

static const struct metrics_family old_subscription_families[] = {
    {METRIC_UNKNOWN, false, OLD_SUBSCRIPTION_PENDING, "nss_chan_subs_pending_count", OLD_HELP},
    {METRIC_UNKNOWN, false, OLD_SUBSCRIPTION_LAST, "nss_chan_subs_last_sent", OLD_HELP},
    {METRIC_UNKNOWN, false, OLD_SUBSCRIPTION_MAX, "nss_chan_subs_max_inflight", OLD_HELP},
};

#define TABLE_OF(families_)                                                                                            \
    {                                                                                                                  \
        .families = families_, .count = sizeof(families_) / sizeof(families_[0])                                       \
    }

const struct metrics_table metrics_families_tables[METRICS_KINDS] = {
    [METRICS_CHANNEL] = TABLE_OF(channel_families),
    [METRICS_GROUP] = TABLE_OF(group_families),
    [METRICS_OLD_STREAM] = TABLE_OF(old_stream_families),
    [METRICS_OLD_CONSUMER] = TABLE_OF(old_consumer_families),
    [METRICS_OLD_SUBSCRIPTION] = TABLE_OF(old_subscription_families),
};
