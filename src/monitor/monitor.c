// SPDX-License-Identifier: Apache-2.0
// Life cycle and routing; each larger page has its own file.
#include "monitor/monitor_internal.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "base/seqset.h"
#include "broker/account.h"
#include "monitor/api_login.h"
#include "monitor/monitor_copy.h"
#include "monitor/parameter.h"
#include "monitor/put.h"
#include "monitor/sys_requests.h"

const struct monitor_route monitor_routes[MONITOR_ROUTES] = {
    {"/", NULL, monitor_index},
    {"/varz", "the server: configuration, traffic, storage", monitor_varz},
    {"/metrics", "everything counted and measured, for Prometheus", monitor_metrics},
    {"/connz", "connections", monitor_connz},
    {"/subsz", "subscriptions", monitor_subsz},
    {"/subscriptionsz", NULL, monitor_subsz},
    {"/accountz", "accounts", monitor_accountz},
    {"/accstatz", "traffic of accounts", monitor_accstatz},
    {"/healthz", "is it well", monitor_healthz},
    {"/jsz", "channels as streams, durables as consumers, for tools of JetStream", monitor_jsz},
    {"/streaming", "NATS Streaming", monitor_streaming},
    {"/streaming/serverz", NULL, monitor_serverz},
    {"/streaming/storez", NULL, monitor_storez},
    {"/streaming/clientsz", NULL, monitor_clientsz},
    {"/streaming/channelsz", NULL, monitor_channelsz},
    {"/streaming/isFTActive", NULL, monitor_ft_active},
    {"/routez", "routes: none", monitor_routez},
    {"/gatewayz", "gateways: none", monitor_gatewayz},
    {"/leafz", "leaf nodes: none", monitor_leafz},
    {"/ipqueuesz", NULL, monitor_ipqueuesz},
    {"/stacksz", NULL, monitor_stacksz},
};

// Of the figures of all brokers.
struct collection {
    struct monitor_visit visit; // first
    struct monitor *monitor;    // borrowed
    struct page *page;          // borrowed; may be NULL
    void (*write)(struct monitor *monitor, struct page *page);
    struct broker_stats sum;
    struct seqset active; // ids of accounts that have connections: the same on all workers
};

static void answer(void *owner, struct page *page);
static void add_stats(struct monitor_visit *visit, struct broker *broker);
static bool add_active(void *context, struct account *account);
static void collected(struct monitor_visit *visit);

struct monitor *monitor_new(const struct monitor_options *options, struct moment now)
{
    struct monitor *monitor = mem_alloc_zero(sizeof(*monitor));
    monitor->options = *options;
    monitor->start = monitor->now = monitor->config_loaded = now;
    monitor->cpu_at_ns = now.mono_ns;
    list_init(&monitor->waiting);
    list_init(&monitor->stepping);
    monitor->http = http_server_new(monitor, answer, options->https_port != 0, options->broker_options->logger, now);
    monitor->sys = sys_requests_new(monitor);
    if (options->admin)
        monitor->login = api_login_new(&(struct api_login_options){
            .broker = options->broker,
            .broker_options = options->broker_options,
            .admin_user = options->admin_user,
            .admin_password = options->admin_password,
        });
    return monitor;
}

void monitor_free(struct monitor *monitor)
{
    must(monitor->copies == 0 && list_empty(&monitor->waiting));
    sys_requests_free(monitor->sys);
    http_server_free(monitor->http);
    if (monitor->login)
        api_login_free(monitor->login);
    mem_free(monitor);
}

const struct net_handler *monitor_net_handler(struct monitor *monitor)
{
    return http_server_net_handler(monitor->http);
}

void monitor_turn_begin(struct monitor *monitor, struct moment now)
{
    monitor->now = now;
    http_server_turn_begin(monitor->http, now);
}

void monitor_turn_end(struct monitor *monitor)
{
    sys_requests_turn(monitor->sys);
    monitor_copy_turn(monitor);
}

uint64_t monitor_next_deadline_ms(const struct monitor *monitor)
{
    uint64_t http_ms = http_server_next_deadline_ms(monitor->http);
    uint64_t sys_ms = sys_requests_next_deadline_ms(monitor->sys);
    uint64_t copy_ms = monitor_copy_next_deadline_ms(monitor);
    uint64_t first_ms = http_ms < sys_ms ? http_ms : sys_ms;
    return first_ms < copy_ms ? first_ms : copy_ms;
}

void monitor_set_config(struct monitor *monitor, const char *digest)
{
    monitor->config_loaded = monitor->now;
    snprintf(monitor->config_digest, sizeof(monitor->config_digest), "%s", digest ? digest : "");
}

void monitor_shutdown(struct monitor *monitor)
{
    http_server_shutdown(monitor->http);
    monitor_copy_refuse_waiting(monitor);
}

void monitor_say(struct page *page, int status, const char *text)
{
    page->status = status;
    page->content_type = BYTES("text/plain; charset=utf-8");
    buffer_clear(page->body);
    must(buffer_printf(page->body, "%s\n", text) == 0);
}

void monitor_say_missing(struct page *page, const char *what, const char *name)
{
    char text[PARAMETER_TEXT_SIZE + 64];
    snprintf(text, sizeof(text), "%s %s not found", what, name);
    monitor_say(page, 404, text);
}

void monitor_visit_brokers(struct monitor *monitor, struct monitor_visit *visit)
{
    const struct monitor_options *options = &monitor->options;
    if (options->visit) {
        options->visit(options->visit_owner, visit);
        return;
    }
    visit->run(visit, options->broker);
    visit->done(visit);
}

void monitor_stats(const struct monitor *monitor, struct broker_stats *ret_stats)
{
    *ret_stats = monitor->stats;
}

void monitor_collect_stats(struct monitor *monitor, struct page *page,
                           void (*write)(struct monitor *monitor, struct page *page))
{
    struct collection *collection = mem_alloc_zero(sizeof(*collection));
    collection->visit = (struct monitor_visit){.run = add_stats, .done = collected};
    collection->monitor = monitor;
    collection->page = page;
    collection->write = write;
    seqset_init(&collection->active);
    if (page)
        page->held = true;
    monitor_visit_brokers(monitor, &collection->visit);
}

void monitor_begin_json(struct monitor *monitor, struct page *page, struct json_writer *json)
{
    json_writer_init(json, page->body);
    json_writer_begin_object(json);
    put_server_id(json, monitor);
    put_time(json, "now", monitor->now.wall_ns);
}

void monitor_finish_json(struct json_writer *json, struct page *page)
{
    if (json_writer_finish(json))
        monitor_say(page, 503, "this page has become too long");
}

static void answer(void *owner, struct page *page)
{
    struct monitor *monitor = owner;
    struct bytes path = page->request->path, base = bytes_from_string(monitor->options.http_base_path);
    bool below = bytes_starts_with(path, base) && (path.len == base.len || path.ptr[base.len] == '/');
    path = path.len == base.len ? BYTES("/") : bytes_skip(path, below ? base.len : 0);
    // Whoever puts a slash between an address that ends in one and a page means the page.
    while (path.len > 1 && path.ptr[1] == '/')
        path = bytes_skip(path, 1);
    const struct bytes api = BYTES("/api/v1/"), ui = BYTES("/ui");
    if (below && bytes_starts_with(path, api)) {
        monitor_api(monitor, page, bytes_skip(path, api.len));
        return;
    }
    if (page->request->post) {
        page->fields = BYTES("Allow: GET, HEAD\r\n");
        monitor_say(page, 405, "405 method not allowed");
        return;
    }
    if (below && bytes_starts_with(path, ui) && (path.len == ui.len || path.ptr[ui.len] == '/')) {
        monitor_ui(monitor, page, bytes_skip(path, ui.len));
        return;
    }
    for (size_t i = 0; below && i < MONITOR_ROUTES; i++) {
        if (bytes_equal(path, bytes_from_string(monitor_routes[i].path))) {
            monitor->requests[i]++;
            monitor_routes[i].fill(monitor, page);
            return;
        }
    }
    monitor_say(page, 404, "404 page not found; / lists the pages");
}

static void add_stats(struct monitor_visit *visit, struct broker *broker)
{
    struct collection *collection = (struct collection *)visit;
    struct broker_stats stats, *sum = &collection->sum;
    account_each(broker, add_active, collection);
    broker_stats_get(broker, &stats);
    sum->connections += stats.connections;
    sum->total_connections += stats.total_connections;
    sum->subscriptions += stats.subscriptions;
    sum->in_msgs += stats.in_msgs;
    sum->out_msgs += stats.out_msgs;
    sum->in_bytes += stats.in_bytes;
    sum->out_bytes += stats.out_bytes;
    sum->slow_consumers += stats.slow_consumers;
    sum->stale_connections += stats.stale_connections;
    sum->pending_bytes += stats.pending_bytes;
}

static bool add_active(void *context, struct account *account)
{
    struct collection *collection = context;
    if (account_has_connections(account))
        seqset_add(&collection->active, account_id(account));
    return true;
}

static void collected(struct monitor_visit *visit)
{
    struct collection collection = *(struct collection *)visit;
    mem_free(visit);
    collection.monitor->stats = collection.sum;
    collection.monitor->collections++;
    collection.monitor->active_accounts = seqset_count(&collection.active);
    seqset_deinit(&collection.active);
    collection.write(collection.monitor, collection.page);
    if (collection.page)
        page_finish(collection.page);
}
