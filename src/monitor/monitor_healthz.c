// SPDX-License-Identifier: Apache-2.0
// The page that probes ask (CO-H11): 200 while the server does what it is for. The parameters of nats-server's probes
// (js-enabled-only and the like) are read and change nothing: there is one health.
#include "base/must.h"
#include "monitor/monitor_internal.h"
#include "monitor/parameter.h"

// What keeps it from that; NULL: nothing. That publishes wait because much is on its way to the disk is no illness.
static const char *illness(const struct store_stats *stats)
{
    if (stats->failed)
        return "the log has failed: nothing can be stored until a restart; see the server's log";
    if (stats->ids_awaited)
        return "starting: publishes wait until the ids of stored messages are read back";
    return NULL;
}

void monitor_healthz(struct monitor *monitor, struct page *page)
{
    struct store_stats stats = {0};
    bool ignored;
    if (!parameter_bool(page, "js-enabled", &ignored) || !parameter_bool(page, "js-enabled-only", &ignored) ||
        !parameter_bool(page, "js-server-only", &ignored))
        return;
    if (monitor->options.shard)
        store_stats_get(shard_store(monitor->options.shard), &stats);
    if (broker_is_lame_duck(monitor->options.broker)) {
        page->status = 503;
        must(buffer_append(
                 page->body,
                 BYTES("{\"status\":\"error\",\"error\":\"lame duck: clients are being sent to other servers\"}")) ==
             0);
        return;
    }
    const char *error = illness(&stats);
    if (!error) {
        must(buffer_append(page->body, BYTES("{\"status\":\"ok\"}")) == 0);
        return;
    }
    page->status = 503;
    must(buffer_printf(page->body, "{\"status\":\"unavailable\",\"error\":\"%s\"}", error) == 0);
}
