// SPDX-License-Identifier: Apache-2.0
// The page that probes ask (CO-H11): 200 while the server does what it is for. The parameters of nats-server's probes
// (js-enabled-only and the like) are accepted and change nothing: there is one health.
#include "base/must.h"
#include "monitor/monitor_internal.h"

void monitor_healthz(struct monitor *monitor, struct page *page)
{
    struct store_stats stats = {0};
    if (monitor->options.shard)
        store_stats_get(shard_store(monitor->options.shard), &stats);
    if (!stats.failed) {
        must(buffer_append(page->body, BYTES("{\"status\":\"ok\"}")) == 0);
        return;
    }
    page->status = 503;
    must(buffer_append(page->body, BYTES("{\"status\":\"unavailable\",\"error\":\"the log has failed: nothing can be "
                                         "stored until a restart; see the server's log\"}")) == 0);
}
