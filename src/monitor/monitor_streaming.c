// SPDX-License-Identifier: Apache-2.0
// What NATS Streaming is as a whole (ST-H01 … H03, H07): its pages, the server, its store.
#include "base/must.h"
#include "codec/duration.h"
#include "monitor/monitor_copy.h"
#include "monitor/monitor_internal.h"
#include "monitor/put.h"
#include "monitor/put_streaming.h"

#define STREAMING_VERSION "0.25.6" // of nats-streaming-server, whose pages these are

struct serverz {
    struct monitor_copy copy; // first
    uint32_t channel;         // counted up to here
    uint64_t channels, offline;
};

static bool count(struct monitor_copy *copy);
static void release(struct monitor_copy *copy);
static void write_server(struct serverz *serverz);
static void put_totals(struct json_writer *json, const struct engine_stats *engine);
static bool is_served(const struct monitor *monitor, struct page *page);

void monitor_streaming(struct monitor *monitor, struct page *page)
{
    static const char *const pages[][2] = {
        {"serverz", "server"}, {"storez", "store"}, {"clientsz", "clients"}, {"channelsz", "channels"}};
    const char *base = monitor->options.http_base_path ? monitor->options.http_base_path : "";
    if (!is_served(monitor, page))
        return;
    page->content_type = BYTES("text/html; charset=utf-8");
    must(buffer_printf(
             page->body,
             "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>NATS Streaming</title></head>\n"
             "<body style=\"font-family: sans-serif\"><h1>NATS Streaming on Weir</h1>\n<ul>\n") == 0);
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        must(buffer_printf(page->body, "<li><a href=\"%s/streaming/%s\">%s</a></li>\n", base, pages[i][0],
                           pages[i][1]) == 0);
    must(buffer_append(page->body, BYTES("</ul>\n</body></html>\n")) == 0);
}

void monitor_serverz(struct monitor *monitor, struct page *page)
{
    if (is_served(monitor, page))
        monitor_copy_start(monitor_copy_new_steps(sizeof(struct serverz), monitor, page, count, release));
}

void monitor_storez(struct monitor *monitor, struct page *page)
{
    struct json_writer writer;
    struct json_writer *json = &writer;
    struct engine_stats engine;
    uint32_t max_channels;
    if (!is_served(monitor, page))
        return;
    const struct channel_limit *limit = stan_inspect_limits(monitor->options.stan, &max_channels);
    engine_stats_get(shard_engine(monitor->options.shard), &engine);
    put_streaming_begin(monitor, page, json, false);
    put_time(json, "now", monitor->now.wall_ns);
    json_writer_put_string(json, "type", bytes_from_string(monitor->options.store_type));
    json_writer_put_object(json, "limits");
    json_writer_put_u64(json, "max_channels", max_channels);
    json_writer_put_u64(json, "max_msgs", limit->max_msgs);
    json_writer_put_u64(json, "max_bytes", limit->max_bytes);
    json_writer_put_u64(json, "max_age", limit->max_age_ns);
    json_writer_put_u64(json, "max_subscriptions", limit->max_subscriptions);
    json_writer_put_u64(json, "max_inactivity", limit->max_inactivity_ns);
    json_writer_end(json);
    put_totals(json, &engine);
    json_writer_end(json);
    monitor_finish_json(json, page);
}

// A server by itself is neither the active nor the standby one of several; what it says without words is what nats-streaming-server says then.
void monitor_ft_active(struct monitor *monitor, struct page *page)
{
    if (is_served(monitor, page))
        page->status = 204;
}

// Durables that are offline count as subscriptions, and nobody knows their number without looking.
static bool count(struct monitor_copy *copy)
{
    struct serverz *serverz = (struct serverz *)copy;
    struct stan_channel_view channel;
    for (size_t left = STREAMING_STEP_NAMES; left > 0;) {
        if (!stan_inspect_channel_next(copy->monitor->options.stan, serverz->channel, &channel)) {
            write_server(serverz);
            return true;
        }
        serverz->channel = channel.id;
        serverz->channels++;
        serverz->offline += channel.offline;
        left = left > channel.state.consumers ? left - channel.state.consumers - 1 : 0;
    }
    return false;
}

static void release(struct monitor_copy *copy)
{
    (void)copy;
}

static void write_server(struct serverz *serverz)
{
    struct monitor *monitor = serverz->copy.monitor;
    struct json_writer writer;
    struct json_writer *json = &writer;
    struct stan_stats stats;
    struct engine_stats engine;
    struct process_usage usage = {0};
    const struct process_source *source = monitor->options.process;
    stan_stats_get(monitor->options.stan, &stats);
    engine_stats_get(shard_engine(monitor->options.shard), &engine);
    if (source)
        source->read(source->owner, &usage);
    put_streaming_begin(monitor, serverz->copy.page, json, false);
    json_writer_put_string(json, "version", BYTES(STREAMING_VERSION));
    json_writer_put_string(json, "go", BYTES("C " __VERSION__));
    json_writer_put_string(json, "state", BYTES("STANDALONE"));
    put_time(json, "now", monitor->now.wall_ns);
    put_time(json, "start_time", monitor->start.wall_ns);
    char uptime[DURATION_TEXT_SIZE];
    duration_format(monitor->now.mono_ns - monitor->start.mono_ns, uptime);
    json_writer_put_string(json, "uptime", bytes_from_string(uptime));
    json_writer_put_u64(json, "clients", stats.clients);
    json_writer_put_u64(json, "subscriptions", stats.subscriptions + serverz->offline);
    json_writer_put_u64(json, "channels", serverz->channels);
    put_totals(json, &engine);
    json_writer_put_u64(json, "in_msgs", stats.in_msgs);
    json_writer_put_u64(json, "in_bytes", stats.in_bytes);
    json_writer_put_u64(json, "out_msgs", stats.out_msgs);
    json_writer_put_u64(json, "out_bytes", stats.out_bytes);
    json_writer_put_u64(json, "open_fds", usage.open_files);
    json_writer_put_u64(json, "max_fds", usage.max_files);
    json_writer_put_u64(json, "unacked_msgs", engine.pending);
    json_writer_put_u64(json, "redeliveries", engine.redelivered);
    json_writer_put_u64(json, "dead_ever", engine.dead);
    json_writer_end(json);
    monitor_finish_json(json, serverz->copy.page);
}

static void put_totals(struct json_writer *json, const struct engine_stats *engine)
{
    json_writer_put_u64(json, "total_msgs", engine->messages);
    json_writer_put_u64(json, "total_bytes", engine->bytes);
}

// As nats-server knows no such pages.
static bool is_served(const struct monitor *monitor, struct page *page)
{
    if (!monitor->options.stan)
        monitor_say(page, 404, "404 page not found; / lists the pages");
    return monitor->options.stan;
}
