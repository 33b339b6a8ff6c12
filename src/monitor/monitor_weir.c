// SPDX-License-Identifier: Apache-2.0
// What only Weir has, as the member "weir" of /varz: storage, streams, NATS Streaming.
//
// How far things are durable: an entry of the log is appended, then synced, then committed (answers leave). Everything up to
// store.synced_index is proven to be on the disk, whatever the sync mode; store.unsynced_bytes is what a crash of the machine
// could take, acknowledgements of messages by consumers included.
#include "monitor/monitor_internal.h"

static void put_store(struct monitor *monitor, struct json_writer *json);
static void put_files(const struct store_stats *stats, struct json_writer *json);
static void put_streams(struct monitor *monitor, struct json_writer *json);
static void put_streaming(struct monitor *monitor, struct json_writer *json);

void monitor_weir(struct monitor *monitor, struct json_writer *json)
{
    json_writer_put_object(json, "weir");
    if (monitor->options.shard) {
        put_store(monitor, json);
        put_streams(monitor, json);
        put_streaming(monitor, json);
    }
    json_writer_end(json);
}

static void put_store(struct monitor *monitor, struct json_writer *json)
{
    struct store_stats stats;
    store_stats_get(shard_store(monitor->options.shard), &stats);
    json_writer_put_object(json, "store");
    json_writer_put_string(json, "type", bytes_from_string(monitor->options.store_type));
    json_writer_put_string(json, "sync", bytes_from_string(monitor->options.sync_mode));
    json_writer_put_bool(json, "failed", stats.failed);
    json_writer_put_bool(json, "admitting", stats.admitting);
    json_writer_put_u64(json, "appended_index", stats.appended_index);
    json_writer_put_u64(json, "synced_index", stats.synced_index);
    json_writer_put_u64(json, "committed_index", stats.committed_index);
    json_writer_put_u64(json, "appended_bytes", stats.appended_bytes);
    json_writer_put_u64(json, "synced_bytes", stats.synced_bytes);
    json_writer_put_u64(json, "unsynced_bytes", stats.appended_bytes - stats.synced_bytes);
    json_writer_put_u64(json, "inflight_bytes", stats.inflight_bytes);
    json_writer_put_u64(json, "batches", stats.batches);
    json_writer_put_u64(json, "sync_last_ns", stats.sync_ns_last);
    json_writer_put_u64(json, "sync_average_ns", stats.batches > 0 ? stats.sync_ns_total / stats.batches : 0);
    put_files(&stats, json);
    json_writer_put_u64(json, "damaged_areas", stats.damaged_areas);
    json_writer_end(json);
}

static void put_files(const struct store_stats *stats, struct json_writer *json)
{
    json_writer_put_u64(json, "log_files", stats->log_files);
    json_writer_put_u64(json, "log_bytes", stats->log_bytes);
    json_writer_put_u64(json, "segments", stats->segments);
    json_writer_put_u64(json, "segment_bytes", stats->segment_bytes);
    json_writer_put_u64(json, "checkpoints", stats->checkpoints);
    json_writer_put_u64(json, "checkpoint_index", stats->checkpoint_index);
    json_writer_put_u64(json, "index_bytes", stats->index_bytes);
    json_writer_put_u64(json, "cache_bytes", stats->cache_bytes);
}

static void put_streams(struct monitor *monitor, struct json_writer *json)
{
    struct engine_stats stats;
    engine_stats_get(shard_engine(monitor->options.shard), &stats);
    json_writer_put_object(json, "streams");
    json_writer_put_u64(json, "streams", stats.streams);
    json_writer_put_u64(json, "consumers", stats.consumers);
    json_writer_put_u64(json, "members", stats.members);
    json_writer_put_u64(json, "messages", stats.messages);
    json_writer_put_u64(json, "bytes", stats.bytes);
    json_writer_put_u64(json, "published", stats.published);
    json_writer_put_u64(json, "duplicates", stats.duplicates);
    json_writer_put_u64(json, "delivered", stats.delivered);
    json_writer_put_u64(json, "redelivered", stats.redelivered);
    json_writer_put_u64(json, "acked", stats.acked);
    json_writer_put_u64(json, "dead", stats.dead);
    json_writer_put_u64(json, "dead_not_copied", stats.not_copied);
    json_writer_put_u64(json, "pending", stats.pending);
    json_writer_put_u64(json, "ids", stats.ids);
    json_writer_end(json);
}

static void put_streaming(struct monitor *monitor, struct json_writer *json)
{
    struct stan_stats stats;
    stan_stats_get(monitor->options.stan, &stats);
    json_writer_put_object(json, "streaming");
    json_writer_put_string(json, "cluster_id", bytes_from_string(monitor->options.cluster_id));
    json_writer_put_u64(json, "clients", stats.clients);
    json_writer_put_u64(json, "subscriptions", stats.subscriptions);
    json_writer_put_u64(json, "in_msgs", stats.in_msgs);
    json_writer_put_u64(json, "in_bytes", stats.in_bytes);
    json_writer_put_u64(json, "out_msgs", stats.out_msgs);
    json_writer_put_u64(json, "out_bytes", stats.out_bytes);
    json_writer_end(json);
}
