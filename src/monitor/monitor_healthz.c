// SPDX-License-Identifier: Apache-2.0
// The page that probes ask (CO-H11): 200 while the server does what it is for. Parameters of nats-server's probes are
// accepted and mean the same thing here.
#include "base/must.h"
#include "monitor/monitor_internal.h"

void monitor_healthz(struct monitor *monitor, struct page *page)
{
    (void)monitor;
    must(buffer_append(page->body, BYTES("{\"status\":\"ok\"}")) == 0);
}
