// SPDX-License-Identifier: Apache-2.0
// tidy: prefix admin
// SERVER.*: the server as a whole.
#include "admin/admin_internal.h"
#include "base/metrics.h"

static bool render(struct admin_api *api, struct admin_ask *ask, struct buffer *out);
static void put_log(struct admin_api *api, struct json_writer *json);
static void put_disk(struct admin_api *api, struct json_writer *json);
static void put_totals(struct admin_api *api, const struct admin_ask *ask, struct json_writer *json);

// The sums over all groups are taken in steps; ask->stream is where it has come.
enum admin_step admin_server_info(struct admin_api *api, struct admin_ask *ask)
{
    size_t visits = 0;
    struct stream *stream;
    while ((stream = engine_stream_after(api->engine, ask->stream))) {
        if (visits > ADMIN_VISITS_MAX)
            return ADMIN_LATER;
        for (struct consumer *each = stream_consumer_next(stream, NULL); each;
             each = stream_consumer_next(stream, each), visits++)
            admin_object_add(&ask->sums, each);
        ask->stream = stream_id(stream);
        visits++;
    }
    return admin_show(ask, render);
}

static bool render(struct admin_api *api, struct admin_ask *ask, struct buffer *out)
{
    const struct admin_api_options *options = &api->options;
    const struct {
        const char *key, *value;
    } texts[] = {
        {"server_id", options->server_id},
        {"name", options->server_name},
        {"version", options->version},
        {"cluster_id", options->cluster_id},
    };
    struct json_writer json;
    json_writer_init_compact(&json, out);
    json_writer_begin_object(&json);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        json_writer_put_string(&json, texts[i].key, bytes_from_string(texts[i].value));
    admin_object_put_time(&json, "time", api->now.wall_ns);
    admin_object_put_time(&json, "start", api->start_ns);
    json_writer_put_u64(&json, "uptime_ms",
                        api->now.wall_ns > api->start_ns ? (api->now.wall_ns - api->start_ns) / 1000000 : 0);
    json_writer_put_string(&json, "store", bytes_from_string(options->store));
    json_writer_put_string(&json, "sync", bytes_from_string(options->sync));
    put_log(api, &json);
    put_disk(api, &json);
    put_totals(api, ask, &json);
    json_writer_end(&json);
    return admin_object_finish(&json, ask);
}

static void put_log(struct admin_api *api, struct json_writer *json)
{
    struct store_stats stats;
    const struct histogram *syncs = store_sync_times(api->store);
    store_stats_get(api->store, &stats);
    const char *state = stats.failed ? "failed" : stats.admitting ? "serving" : "full";
    json_writer_put_object(json, "log");
    json_writer_put_string(json, "state", bytes_from_string(state));
    json_writer_put_u64(json, "bytes", stats.log_bytes + stats.segment_bytes);
    json_writer_put_u64(json, "free_bytes", stats.free_bytes);
    if (syncs) {
        json_writer_put_u64(json, "sync_p50_us", histogram_quantile(syncs, 0.5) / 1000);
        json_writer_put_u64(json, "sync_p99_us", histogram_quantile(syncs, 0.99) / 1000);
    }
    json_writer_end(json);
}

static void put_disk(struct admin_api *api, struct json_writer *json)
{
    const struct process_source *process = api->options.process;
    struct process_disk disk;
    if (!process || !process->read_disk || !api->options.store_dir ||
        !process->read_disk(process->owner, api->options.store_dir, &disk))
        return;
    json_writer_put_object(json, "disk");
    json_writer_put_u64(json, "free_bytes", disk.free_bytes);
    json_writer_put_u64(json, "size_bytes", disk.size_bytes);
    json_writer_end(json);
}

static void put_totals(struct admin_api *api, const struct admin_ask *ask, struct json_writer *json)
{
    struct engine_stats engine;
    struct stan_stats stan;
    engine_stats_get(api->engine, &engine);
    stan_stats_get(api->options.stan, &stan);
    json_writer_put_object(json, "totals");
    json_writer_put_u64(json, "channels", engine.streams);
    json_writer_put_u64(json, "groups", engine.consumers);
    json_writer_put_u64(json, "members", engine.members);
    json_writer_put_u64(json, "clients", stan.clients);
    if (api->options.connections)
        json_writer_put_u64(json, "connections", api->options.connections(api->options.owner));
    json_writer_put_u64(json, "messages", engine.messages);
    json_writer_put_u64(json, "bytes", engine.bytes);
    admin_object_put_sums(json, &ask->sums);
    json_writer_put_u64(json, "published", engine.published);
    json_writer_put_u64(json, "delivered", engine.delivered);
    json_writer_put_u64(json, "redelivered", engine.redelivered);
    json_writer_put_u64(json, "acked", engine.acked);
    json_writer_end(json);
}
