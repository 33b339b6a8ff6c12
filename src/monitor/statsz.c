// SPDX-License-Identifier: Apache-2.0
#include "monitor/statsz.h"

#include "base/must.h"
#include "monitor/monitor_internal.h"
#include "monitor/put.h"
#include "wire/info.h"

static void write_page(struct monitor *monitor, struct page *page);
static void put_figures(struct json_writer *json, struct monitor *monitor);
static void put_traffic(struct json_writer *json, const char *key, uint64_t msgs, uint64_t bytes);

void statsz_write(struct monitor *monitor, struct buffer *out)
{
    struct json_writer json;
    must(buffer_append(out, BYTES("{\"server\":")) == 0);
    statsz_server(monitor, out);
    must(buffer_append(out, BYTES(",\"statsz\":")) == 0);
    json_writer_init(&json, out);
    put_figures(&json, monitor);
    must(json_writer_finish(&json) == 0);
    must(buffer_append(out, BYTES("}")) == 0);
}

void statsz_server(struct monitor *monitor, struct buffer *out)
{
    const struct broker_options *broker = monitor->options.broker_options;
    struct json_writer json;
    json_writer_init(&json, out);
    json_writer_begin_object(&json);
    json_writer_put_string(&json, "name", bytes_from_string(broker->server_name));
    json_writer_put_string(&json, "host", bytes_from_string(broker->host));
    json_writer_put_string(&json, "id", bytes_from_string(broker->server_id));
    json_writer_put_string(&json, "ver", BYTES(INFO_NATS_VERSION));
    json_writer_put_u64(&json, "seq", ++monitor->sys_sequence);
    json_writer_put_bool(&json, "jetstream", false);
    put_time(&json, "time", monitor->now.wall_ns);
    json_writer_end(&json);
    must(json_writer_finish(&json) == 0);
}

void statsz_error(int code, struct bytes text, struct buffer *out)
{
    struct json_writer json;
    must(buffer_append(out, BYTES(",\"error\":")) == 0);
    json_writer_init(&json, out);
    json_writer_begin_object(&json);
    json_writer_put_u64(&json, "code", (uint64_t)code);
    json_writer_put_string(&json, "description", text);
    json_writer_end(&json);
    must(json_writer_finish(&json) == 0);
}

void statsz_page(struct monitor *monitor, struct page *page)
{
    monitor_collect_stats(monitor, page, write_page);
}

static void write_page(struct monitor *monitor, struct page *page)
{
    struct json_writer json;
    json_writer_init(&json, page->body);
    put_figures(&json, monitor);
    page->sys_key = "statsz";
    monitor_finish_json(&json, page);
}

void statsz_idz(struct monitor *monitor, struct page *page)
{
    const struct broker_options *broker = monitor->options.broker_options;
    struct json_writer json;
    json_writer_init(&json, page->body);
    json_writer_begin_object(&json);
    json_writer_put_string(&json, "name", bytes_from_string(broker->server_name));
    json_writer_put_string(&json, "host", bytes_from_string(broker->host));
    json_writer_put_string(&json, "id", bytes_from_string(broker->server_id));
    json_writer_end(&json);
    monitor_finish_json(&json, page);
}

static void put_figures(struct json_writer *json, struct monitor *monitor)
{
    struct broker_stats stats;
    monitor_stats(monitor, &stats);
    json_writer_begin_object(json);
    put_time(json, "start", monitor->start.wall_ns);
    monitor_put_process(monitor, json);
    json_writer_put_u64(json, "connections", stats.connections);
    json_writer_put_u64(json, "total_connections", stats.total_connections);
    json_writer_put_u64(json, "active_accounts", monitor->active_accounts);
    json_writer_put_u64(json, "subscriptions", stats.subscriptions);
    put_traffic(json, "sent", stats.out_msgs, stats.out_bytes);
    put_traffic(json, "received", stats.in_msgs, stats.in_bytes);
    json_writer_put_u64(json, "slow_consumers", stats.slow_consumers);
    json_writer_put_u64(json, "active_servers", 1);
    json_writer_end(json);
}

static void put_traffic(struct json_writer *json, const char *key, uint64_t msgs, uint64_t bytes)
{
    json_writer_put_object(json, key);
    json_writer_put_u64(json, "msgs", msgs);
    json_writer_put_u64(json, "bytes", bytes);
    json_writer_end(json);
}
