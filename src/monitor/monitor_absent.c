// SPDX-License-Identifier: Apache-2.0
// Pages about what a server that stands alone does not have: routes, gateways and leaf nodes (CO-H04…H06). They
// say "none", in the form that dashboards and exporters read. So does the page about queues between goroutines; the one with their
// stacks can only say where to look instead.
#include "monitor/monitor_internal.h"

static void end(struct json_writer *json, struct page *page);
static void put_empty_array(struct json_writer *json, const char *key);

void monitor_routez(struct monitor *monitor, struct page *page)
{
    struct json_writer json;
    monitor_begin_json(monitor, page, &json);
    json_writer_put_string(&json, "server_name", bytes_from_string(monitor->options.broker_options->server_name));
    json_writer_put_u64(&json, "num_routes", 0);
    put_empty_array(&json, "routes");
    end(&json, page);
}

void monitor_gatewayz(struct monitor *monitor, struct page *page)
{
    struct json_writer json;
    monitor_begin_json(monitor, page, &json);
    json_writer_put_object(&json, "outbound_gateways");
    json_writer_end(&json);
    json_writer_put_object(&json, "inbound_gateways");
    json_writer_end(&json);
    end(&json, page);
}

void monitor_leafz(struct monitor *monitor, struct page *page)
{
    struct json_writer json;
    monitor_begin_json(monitor, page, &json);
    json_writer_put_u64(&json, "leafnodes", 0);
    put_empty_array(&json, "leafs");
    end(&json, page);
}

// nats-server lists queues in which something waits; between our workers nothing does for longer than a turn.
void monitor_ipqueuesz(struct monitor *monitor, struct page *page)
{
    struct json_writer json;
    (void)monitor;
    json_writer_init(&json, page->body);
    json_writer_begin_object(&json);
    end(&json, page);
}

void monitor_stacksz(struct monitor *monitor, struct page *page)
{
    (void)monitor;
    monitor_say(page, 404, "no stacks of goroutines here: \"eu-stack -p PID\" or gdb show those of the threads");
}

static void end(struct json_writer *json, struct page *page)
{
    json_writer_end(json);
    monitor_finish_json(json, page);
}

static void put_empty_array(struct json_writer *json, const char *key)
{
    json_writer_key(json, key);
    json_writer_begin_array(json);
    json_writer_end(json);
}
