// SPDX-License-Identifier: Apache-2.0
#include "monitor/put_metrics.h"

#include "monitor/monitor_internal.h"
#include "wire/info.h"

#define LABELS_MAX 1024

static void gauge(struct metric_writer *writer, const char *name, const char *help, uint64_t value);
static void counter(struct metric_writer *writer, const char *name, const char *help, uint64_t value);
static void labelled(struct metric_writer *writer, const char *key, const char *label, uint64_t value);
static void put_build(struct metric_writer *writer);
static void put_process(struct monitor *monitor, const struct process_usage *usage, struct metric_writer *writer);
static void put_connections(struct monitor *monitor, struct metric_writer *writer);
static void put_requests(struct monitor *monitor, struct metric_writer *writer);
static void put_engine(const struct engine_stats *stats, struct metric_writer *writer);
static void put_streaming(struct monitor *monitor, struct metric_writer *writer);
static void put_log(struct monitor *monitor, const struct store_stats *stats, struct metric_writer *writer);
static void put_log_histograms(const struct store *store, struct metric_writer *writer);
static void put_disk(struct monitor *monitor, struct metric_writer *writer);
static void put_memory(struct monitor *monitor, const struct process_usage *usage, struct metric_writer *writer);

void put_metrics_server(struct monitor *monitor, struct metric_writer *writer, const struct metrics_rows *rows)
{
    struct process_usage usage; // read once: that takes its time where many files are open
    double percent = monitor_read_process(monitor, &usage);
    put_build(writer);
    put_process(monitor, &usage, writer);
    put_connections(monitor, writer);
    put_requests(monitor, writer);
    if (monitor->options.shard) {
        struct engine_stats engine;
        struct store_stats store;
        engine_stats_get(shard_engine(monitor->options.shard), &engine);
        store_stats_get(shard_store(monitor->options.shard), &store);
        put_engine(&engine, writer);
        put_streaming(monitor, writer);
        put_log(monitor, &store, writer);
        put_log_histograms(shard_store(monitor->options.shard), writer);
        put_disk(monitor, writer);
        gauge(writer, "weir_metrics_channels", "Channels on this page.", rows->lists[METRICS_CHANNEL].count);
        gauge(writer, "weir_metrics_groups", "Groups on this page.", rows->lists[METRICS_GROUP].count);
        gauge(writer, "weir_metrics_truncated", "1: channels or groups are missing on this page, because of its limit.",
              rows->truncated);
    }
    put_memory(monitor, &usage, writer);
    put_metrics_old(monitor, &usage, percent, writer);
}

static void gauge(struct metric_writer *writer, const char *name, const char *help, uint64_t value)
{
    metric_writer_family(writer, METRIC_GAUGE, name, help);
    metric_writer_u64(writer, (struct bytes){0}, value);
}

static void counter(struct metric_writer *writer, const char *name, const char *help, uint64_t value)
{
    metric_writer_family(writer, METRIC_COUNTER, name, help);
    metric_writer_u64(writer, (struct bytes){0}, value);
}

static void labelled(struct metric_writer *writer, const char *key, const char *label, uint64_t value)
{
    struct buffer labels;
    buffer_init(&labels, LABELS_MAX);
    if (metric_label_append(&labels, key, bytes_from_string(label)) == 0)
        metric_writer_u64(writer, buffer_bytes(&labels), value);
    buffer_deinit(&labels);
}

static void put_build(struct metric_writer *writer)
{
    struct buffer labels;
    buffer_init(&labels, LABELS_MAX);
    int error = metric_label_append(&labels, "version", BYTES(WEIR_VERSION));
    if (!error)
        error = metric_label_append(&labels, "nats_version", BYTES(INFO_NATS_VERSION));
    if (!error)
        error = metric_label_append(&labels, "compiler", BYTES("C " __VERSION__));
    metric_writer_family(writer, METRIC_INFO, "weir_build", "Which program this is.");
    if (!error)
        metric_writer_u64(writer, buffer_bytes(&labels), 1);
    buffer_deinit(&labels);
}

static void put_process(struct monitor *monitor, const struct process_usage *usage, struct metric_writer *writer)
{
    metric_writer_family(writer, METRIC_COUNTER, "process_cpu_seconds", "Processor time used.");
    metric_writer_seconds(writer, (struct bytes){0}, usage->cpu_ns);
    metric_writer_family(writer, METRIC_GAUGE, "process_start_time_seconds", "When the process began, since 1970.");
    metric_writer_seconds(writer, (struct bytes){0}, monitor->start.wall_ns);
    gauge(writer, "process_resident_memory_bytes", "Memory that is there.", usage->resident_bytes);
    gauge(writer, "process_open_fds", "Open file descriptors.", usage->open_files);
    gauge(writer, "process_max_fds", "File descriptors that may be open.", usage->max_files);
    gauge(writer, "weir_cores", "Processors that may be used.", usage->cores);
}

static void put_connections(struct monitor *monitor, struct metric_writer *writer)
{
    struct broker_stats stats;
    monitor_stats(monitor, &stats);
    gauge(writer, "weir_connections", "Connections of clients.", stats.connections);
    gauge(writer, "weir_connections_max", "Connections that there may be.",
          monitor->options.broker_options->max_connections);
    counter(writer, "weir_connections_opened", "Connections that ever came.", stats.total_connections);
    gauge(writer, "weir_subscriptions", "Subscriptions of connections.", stats.subscriptions);
    counter(writer, "weir_slow_consumers", "Connections closed because they did not read.", stats.slow_consumers);
    counter(writer, "weir_stale_connections", "Connections closed because they did not answer pings.",
            stats.stale_connections);
    counter(writer, "weir_received_messages", "Messages from connections.", stats.in_msgs);
    counter(writer, "weir_received_bytes", "Bytes of these.", stats.in_bytes);
    counter(writer, "weir_sent_messages", "Messages to connections.", stats.out_msgs);
    counter(writer, "weir_sent_bytes", "Bytes of these.", stats.out_bytes);
    gauge(writer, "weir_outbound_bytes", "Bytes that wait to be read by clients.", stats.pending_bytes);
}

static void put_requests(struct monitor *monitor, struct metric_writer *writer)
{
    metric_writer_family(writer, METRIC_COUNTER, "weir_http_requests", "Requests for each monitoring page.");
    for (size_t i = 0; i < MONITOR_ROUTES; i++)
        labelled(writer, "path", monitor_routes[i].path, monitor->requests[i]);
}

static void put_engine(const struct engine_stats *stats, struct metric_writer *writer)
{
    gauge(writer, "weir_channels", "Channels.", stats->streams);
    gauge(writer, "weir_groups", "Queue groups, durables and plain subscriptions.", stats->consumers);
    gauge(writer, "weir_members", "Subscriptions that are connected.", stats->members);
    gauge(writer, "weir_messages", "Messages stored in all channels.", stats->messages);
    gauge(writer, "weir_message_bytes", "Bytes of these.", stats->bytes);
    gauge(writer, "weir_in_flight_messages", "Messages delivered and not finished, of all groups.", stats->pending);
    counter(writer, "weir_published_messages", "Messages stored since the process began.", stats->published);
    counter(writer, "weir_duplicate_messages", "Messages not stored because they were there already.",
            stats->duplicates);
    counter(writer, "weir_deliveries", "Deliveries to subscriptions.", stats->delivered);
    counter(writer, "weir_redeliveries", "Deliveries that were not a message's first.", stats->redelivered);
    counter(writer, "weir_acks", "Acknowledgements.", stats->acked);
    counter(writer, "weir_dead_letters", "Messages that died.", stats->dead);
    counter(writer, "weir_unreadable_messages", "Messages passed over because they are damaged.", stats->unreadable);
    gauge(writer, "weir_message_ids", "Ids remembered, by which duplicates are known.", stats->ids);
}

static void put_streaming(struct monitor *monitor, struct metric_writer *writer)
{
    struct stan_stats stats;
    stan_stats_get(monitor->options.stan, &stats);
    gauge(writer, "weir_streaming_clients", "Clients of NATS Streaming.", stats.clients);
    gauge(writer, "weir_streaming_subscriptions", "Their subscriptions.", stats.subscriptions);
}

static void put_log(struct monitor *monitor, const struct store_stats *stats, struct metric_writer *writer)
{
    metric_writer_family(writer, METRIC_INFO, "weir_store", "How messages are stored.");
    struct buffer labels;
    buffer_init(&labels, LABELS_MAX);
    if (metric_label_append(&labels, "type", bytes_from_string(monitor->options.store_type)) == 0 &&
        metric_label_append(&labels, "sync", bytes_from_string(monitor->options.sync_mode)) == 0)
        metric_writer_u64(writer, buffer_bytes(&labels), 1);
    buffer_deinit(&labels);
    gauge(writer, "weir_log_accepting", "1: the log takes messages; 0: it is full, behind, or has failed.",
          stats->admitting);
    gauge(writer, "weir_log_failed", "1: a write or sync failed, and nothing is stored until the next start.",
          stats->failed);
    counter(writer, "weir_log_appended_bytes", "Bytes written to the log.", stats->appended_bytes);
    counter(writer, "weir_log_synced_bytes", "Bytes of these that are known to be on the disk.", stats->synced_bytes);
    gauge(writer, "weir_log_waiting_bytes", "Bytes that wait to be written and synced.", stats->inflight_bytes);
    gauge(writer, "weir_log_files", "Files of the log.", stats->log_files);
    gauge(writer, "weir_log_bytes", "Bytes that these take.", stats->log_bytes);
    gauge(writer, "weir_log_free_bytes", "Bytes that can be written to them without new space.", stats->free_bytes);
    gauge(writer, "weir_segments", "Files of older messages.", stats->segments);
    gauge(writer, "weir_segment_bytes", "Bytes that these take.", stats->segment_bytes);
    counter(writer, "weir_checkpoints", "Checkpoints written.", stats->checkpoints);
    gauge(writer, "weir_damaged_areas", "Damaged areas found on the disk.", stats->damaged_areas);
}

static void put_log_histograms(const struct store *store, struct metric_writer *writer)
{
    static const uint64_t times[] = {100000,    250000,    500000,     1000000,    2500000,
                                     5000000,   10000000,  25000000,   50000000,   100000000,
                                     250000000, 500000000, 1000000000, 2500000000, 10000000000};
    static const uint64_t sizes[] = {4096, 16384, 65536, 262144, 1048576, 4194304, 8388608};
    if (!store_sync_times(store))
        return;
    metric_writer_family(writer, METRIC_HISTOGRAM, "weir_log_sync_seconds", "Time that a sync of the log takes.");
    metric_writer_histogram(writer, store_sync_times(store), times, sizeof(times) / sizeof(times[0]), true);
    metric_writer_family(writer, METRIC_HISTOGRAM, "weir_log_batch_bytes", "Bytes written to the log at once.");
    metric_writer_histogram(writer, store_batch_sizes(store), sizes, sizeof(sizes) / sizeof(sizes[0]), false);
}

static void put_disk(struct monitor *monitor, struct metric_writer *writer)
{
    const struct process_source *source = monitor->options.process;
    struct process_disk disk;
    if (!source || !source->read_disk || monitor->options.store_dir[0] == '\0' ||
        !source->read_disk(source->owner, monitor->options.store_dir, &disk))
        return;
    gauge(writer, "weir_disk_free_bytes", "Free space where the data directory is.", disk.free_bytes);
    gauge(writer, "weir_disk_size_bytes", "All space there.", disk.size_bytes);
}

// By what there is of each thing, without counting where memory is taken.
static void put_memory(struct monitor *monitor, const struct process_usage *usage, struct metric_writer *writer)
{
    struct broker_stats broker;
    struct engine_stats engine = {0};
    struct store_stats store = {0};
    monitor_stats(monitor, &broker);
    if (monitor->options.shard) {
        engine_stats_get(shard_engine(monitor->options.shard), &engine);
        store_stats_get(shard_store(monitor->options.shard), &store);
    }
    uint64_t pages = http_server_waiting(monitor->http) + writer->out->cap;
    const struct {
        const char *owner;
        uint64_t bytes;
    } owners[] = {
        {"log", store.cache_bytes},       {"index", store.index_bytes},       {"message_ids", engine.ids_bytes},
        {"in_flight", engine.pool_bytes}, {"outbound", broker.pending_bytes}, {"monitoring", pages},
    };
    uint64_t sum = 0;
    metric_writer_family(writer, METRIC_GAUGE, "weir_memory_bytes", "Memory, by what it is for.");
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        labelled(writer, "owner", owners[i].owner, owners[i].bytes);
        sum += owners[i].bytes;
    }
    labelled(writer, "owner", "other", usage->resident_bytes > sum ? usage->resident_bytes - sum : 0);
}
