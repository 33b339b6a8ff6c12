// SPDX-License-Identifier: Apache-2.0
// The names that prometheus-nats-exporter made of a server's pages, for dashboards that know no others: TL-30 (nats-streaming-server), TL-32
// (streams) and TL-33 (core). What they call a total is what there is now (TL-31), so it is no counter here either.
// tidy: prefix put_metrics
#include "monitor/monitor_internal.h"
#include "monitor/put_metrics.h"

#define LABELS_MAX 1024

struct old {
    const char *name;
    uint64_t value;
};

static void put_all(struct metric_writer *writer, struct bytes labels, const struct old *all, size_t count);
static void put_core(struct monitor *monitor, const struct process_usage *usage, double percent,
                     struct metric_writer *writer, struct bytes labels);
static void put_streaming(struct monitor *monitor, struct metric_writer *writer, struct bytes labels);

void put_metrics_old(struct monitor *monitor, const struct process_usage *usage, double percent,
                     struct metric_writer *writer)
{
    struct buffer labels;
    buffer_init(&labels, LABELS_MAX);
    if (metric_label_append(&labels, "server_id", bytes_from_string(monitor->options.broker_options->server_id)) == 0) {
        put_core(monitor, usage, percent, writer, buffer_bytes(&labels));
        if (monitor->options.shard)
            put_streaming(monitor, writer, buffer_bytes(&labels));
    }
    buffer_deinit(&labels);
}

static void put_all(struct metric_writer *writer, struct bytes labels, const struct old *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        metric_writer_family(writer, METRIC_UNKNOWN, all[i].name, "As prometheus-nats-exporter calls it.");
        metric_writer_u64(writer, labels, all[i].value);
    }
}

static void put_core(struct monitor *monitor, const struct process_usage *usage, double percent,
                     struct metric_writer *writer, struct bytes labels)
{
    struct broker_stats stats;
    monitor_stats(monitor, &stats);
    const struct old all[] = {
        {"gnatsd_varz_cpu", (uint64_t)(percent + 0.5)},
        {"gnatsd_varz_mem", usage->resident_bytes},
        {"gnatsd_varz_connections", stats.connections},
        {"gnatsd_varz_subscriptions", stats.subscriptions},
        {"gnatsd_varz_slow_consumers", stats.slow_consumers},
        {"gnatsd_varz_in_msgs", stats.in_msgs},
        {"gnatsd_varz_in_bytes", stats.in_bytes},
        {"gnatsd_varz_out_msgs", stats.out_msgs},
        {"gnatsd_varz_out_bytes", stats.out_bytes},
    };
    put_all(writer, labels, all, sizeof(all) / sizeof(all[0]));
}

static void put_streaming(struct monitor *monitor, struct metric_writer *writer, struct bytes labels)
{
    struct engine_stats engine;
    struct stan_stats stan;
    engine_stats_get(shard_engine(monitor->options.shard), &engine);
    stan_stats_get(monitor->options.stan, &stan);
    const struct old all[] = {
        {"nss_server_bytes_total", engine.bytes},
        {"nss_server_msgs_total", engine.messages},
        {"nss_server_channels", engine.streams},
        {"nss_server_subscriptions", stan.subscriptions},
        {"nss_server_clients", stan.clients},
        {"nss_server_active", 1},
        {"nss_server_msgs_in", stan.in_msgs},
        {"nss_server_msgs_out", stan.out_msgs},
        {"nss_server_bytes_in", stan.in_bytes},
        {"nss_server_bytes_out", stan.out_bytes},
        {"gnatsd_varz_jetstream_stats_storage", engine.bytes},
        {"gnatsd_varz_jetstream_stats_memory", 0},
        {"gnatsd_varz_jetstream_config_max_storage", 0},
        {"gnatsd_varz_jetstream_config_max_memory", 0},
        {"jetstream_server_total_streams", engine.streams},
        {"jetstream_server_total_consumers", engine.consumers},
        {"jetstream_server_total_messages", engine.messages},
        {"jetstream_server_total_message_bytes", engine.bytes},
    };
    put_all(writer, labels, all, sizeof(all) / sizeof(all[0]));
}
