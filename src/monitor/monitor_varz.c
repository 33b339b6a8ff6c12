// SPDX-License-Identifier: Apache-2.0
// What the server is and does, as nats-server 2.15 shows it (CO-H02): the same names, types and, where a thing exists here,
// the same meaning. Figures of things that do not exist (routes, leaf nodes) are 0, so that dashboards find them.
#include "codec/duration.h"
#include "codec/json_writer.h"
#include "codec/timestamp.h"
#include "monitor/monitor_internal.h"
#include "wire/info.h"

static void write_page(struct monitor *monitor, struct page *page);
static void put_tags(struct monitor *monitor, struct json_writer *json);
static void put_identity(struct monitor *monitor, struct json_writer *json);
static void put_websocket(struct json_writer *json, const struct monitor_websocket *websocket);
static void put_limits(struct monitor *monitor, struct json_writer *json);
static void put_time(struct monitor *monitor, struct json_writer *json, const char *key, struct moment when);
static void put_traffic(struct monitor *monitor, struct json_writer *json);
static void put_kinds(struct json_writer *json, const char *key, uint64_t of_clients);
static void put_requests(struct monitor *monitor, struct json_writer *json);

void monitor_varz(struct monitor *monitor, struct page *page)
{
    monitor_collect_stats(monitor, page, write_page);
}

static void write_page(struct monitor *monitor, struct page *page)
{
    struct json_writer writer;
    struct json_writer *json = &writer;
    json_writer_init(json, page->body);
    json_writer_begin_object(json);
    put_identity(monitor, json);
    put_limits(monitor, json);
    put_time(monitor, json, "start", monitor->start);
    put_time(monitor, json, "now", monitor->now);
    char uptime[DURATION_TEXT_SIZE];
    duration_format(monitor->now.mono_ns - monitor->start.mono_ns, uptime);
    json_writer_put_string(json, "uptime", bytes_from_string(uptime));
    monitor_put_process(monitor, json);
    put_traffic(monitor, json);
    put_requests(monitor, json);
    put_time(monitor, json, "config_load_time", monitor->config_loaded);
    if (monitor->config_digest[0])
        json_writer_put_string(json, "config_digest", bytes_from_string(monitor->config_digest));
    put_tags(monitor, json);
    json_writer_put_string(json, "system_account", BYTES("$SYS"));
    monitor_weir(monitor, json);
    json_writer_end(json);
    monitor_finish_json(json, page);
}

static void put_tags(struct monitor *monitor, struct json_writer *json)
{
    const struct monitor_options *options = &monitor->options;
    if (options->tag_count == 0)
        return;
    json_writer_key(json, "tags");
    json_writer_begin_array(json);
    for (size_t i = 0; i < options->tag_count; i++)
        json_writer_string(json, bytes_from_string(options->tags[i]));
    json_writer_end(json);
}

static void put_identity(struct monitor *monitor, struct json_writer *json)
{
    const struct monitor_options *options = &monitor->options;
    const struct broker_options *broker = options->broker_options;
    json_writer_put_string(json, "server_id", bytes_from_string(broker->server_id));
    json_writer_put_string(json, "server_name", bytes_from_string(broker->server_name));
    json_writer_put_string(json, "version", BYTES(INFO_NATS_VERSION));
    json_writer_put_string(json, "weir_version", BYTES(WEIR_VERSION));
    json_writer_put_u64(json, "proto", 1);
    json_writer_put_string(json, "go", BYTES("C " __VERSION__));
    json_writer_put_string(json, "host", bytes_from_string(broker->host));
    json_writer_put_u64(json, "port", broker->port);
    if (auth_config_view(broker_auth(options->broker))->client.required)
        json_writer_put_bool(json, "auth_required", true);
    if (broker->tls.enabled && !broker->tls.allow_plain)
        json_writer_put_bool(json, "tls_required", true);
    if (broker->tls.verify)
        json_writer_put_bool(json, "tls_verify", true);
    json_writer_put_string(json, "http_host", bytes_from_string(options->http_host));
    json_writer_put_u64(json, "http_port", options->http_port);
    json_writer_put_string(json, "http_base_path", bytes_from_string(options->http_base_path));
    json_writer_put_u64(json, "https_port", options->https_port);
}

static void put_limits(struct monitor *monitor, struct json_writer *json)
{
    const struct broker_options *broker = monitor->options.broker_options;
    json_writer_put_u64(json, "max_connections", broker->max_connections);
    if (broker->max_subscriptions > 0)
        json_writer_put_u64(json, "max_subscriptions", broker->max_subscriptions);
    json_writer_put_u64(json, "ping_interval", broker->ping_interval_ms * 1000000ULL);
    json_writer_put_u64(json, "ping_max", broker->ping_max);
    json_writer_put_double(json, "auth_timeout",
                           auth_config_view(broker_auth(monitor->options.broker))->client.timeout_ms / 1000.0);
    json_writer_put_u64(json, "max_control_line", broker->max_control_line);
    json_writer_put_u64(json, "max_payload", broker->max_payload);
    json_writer_put_u64(json, "max_pending", broker->max_pending);
    static const char *const absent[] = {"cluster", "gateway", "leaf", "mqtt", "jetstream"};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        json_writer_put_object(json, absent[i]);
        json_writer_end(json);
    }
    put_websocket(json, monitor->options.websocket);
    json_writer_put_double(json, "tls_timeout", broker->tls.enabled ? broker->tls.timeout_ms / 1000.0 : 2);
    json_writer_put_u64(json, "write_deadline", broker->write_deadline_ms * 1000000ULL);
}

static void put_websocket(struct json_writer *json, const struct monitor_websocket *websocket)
{
    json_writer_put_object(json, "websocket");
    if (websocket) {
        json_writer_put_string(json, "host", bytes_from_string(websocket->host));
        json_writer_put_u64(json, "port", websocket->port);
        json_writer_put_u64(json, "handshake_timeout", websocket->handshake_ns);
        if (websocket->no_tls)
            json_writer_put_bool(json, "no_tls", true);
        if (websocket->same_origin)
            json_writer_put_bool(json, "same_origin", true);
        if (websocket->compression)
            json_writer_put_bool(json, "compression", true);
    }
    json_writer_end(json);
}

static void put_time(struct monitor *monitor, struct json_writer *json, const char *key, struct moment when)
{
    (void)monitor;
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(when.wall_ns, text);
    json_writer_put_string(json, key, bytes_from_string(text));
}

double monitor_read_process(struct monitor *monitor, struct process_usage *ret_usage)
{
    const struct process_source *source = monitor->options.process;
    *ret_usage = (struct process_usage){.cores = 1};
    if (source)
        source->read(source->owner, ret_usage);
    uint64_t passed_ns = monitor->now.mono_ns - monitor->cpu_at_ns;
    if (passed_ns > 0)
        monitor->cpu_percent = 100.0 * (double)(ret_usage->cpu_ns - monitor->cpu_ns) / (double)passed_ns;
    monitor->cpu_ns = ret_usage->cpu_ns;
    monitor->cpu_at_ns = monitor->now.mono_ns;
    return monitor->cpu_percent;
}

void monitor_put_process(struct monitor *monitor, struct json_writer *json)
{
    struct process_usage usage;
    double percent = monitor_read_process(monitor, &usage);
    json_writer_put_u64(json, "mem", usage.resident_bytes);
    json_writer_put_u64(json, "cores", usage.cores);
    json_writer_put_u64(json, "gomaxprocs", usage.cores);
    json_writer_put_double(json, "cpu", percent);
    json_writer_put_u64(json, "open_fds", usage.open_files);
    json_writer_put_u64(json, "max_fds", usage.max_files);
}

static void put_traffic(struct monitor *monitor, struct json_writer *json)
{
    struct broker_stats stats;
    monitor_stats(monitor, &stats);
    json_writer_put_u64(json, "connections", stats.connections);
    json_writer_put_u64(json, "total_connections", stats.total_connections);
    json_writer_put_u64(json, "routes", 0);
    json_writer_put_u64(json, "remotes", 0);
    json_writer_put_u64(json, "leafnodes", 0);
    json_writer_put_u64(json, "in_msgs", stats.in_msgs);
    json_writer_put_u64(json, "in_bytes", stats.in_bytes);
    json_writer_put_u64(json, "in_client_msgs", stats.in_msgs);
    json_writer_put_u64(json, "in_client_bytes", stats.in_bytes);
    json_writer_put_u64(json, "out_msgs", stats.out_msgs);
    json_writer_put_u64(json, "out_bytes", stats.out_bytes);
    json_writer_put_u64(json, "out_client_msgs", stats.out_msgs);
    json_writer_put_u64(json, "out_client_bytes", stats.out_bytes);
    json_writer_put_u64(json, "slow_consumers", stats.slow_consumers);
    json_writer_put_u64(json, "stale_connections", stats.stale_connections);
    json_writer_put_u64(json, "stalled_clients", 0);
    json_writer_put_u64(json, "subscriptions", stats.subscriptions);
    json_writer_put_u64(json, "pending_bytes", stats.pending_bytes);
    put_kinds(json, "slow_consumer_stats", stats.slow_consumers);
    put_kinds(json, "stale_connection_stats", stats.stale_connections);
}

static void put_kinds(struct json_writer *json, const char *key, uint64_t of_clients)
{
    json_writer_put_object(json, key);
    json_writer_put_u64(json, "clients", of_clients);
    json_writer_put_u64(json, "routes", 0);
    json_writer_put_u64(json, "gateways", 0);
    json_writer_put_u64(json, "leafs", 0);
    json_writer_end(json);
}

static void put_requests(struct monitor *monitor, struct json_writer *json)
{
    json_writer_put_object(json, "http_req_stats");
    for (size_t i = 0; i < MONITOR_ROUTES; i++)
        json_writer_put_u64(json, monitor_routes[i].path, monitor->requests[i]);
    json_writer_end(json);
}
