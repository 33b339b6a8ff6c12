// SPDX-License-Identifier: Apache-2.0
// The page for people who open the monitoring port in a browser (CO-H01).
#include "base/must.h"
#include "monitor/monitor_internal.h"

void monitor_index(struct monitor *monitor, struct page *page)
{
    const char *base = monitor->options.http_base_path ? monitor->options.http_base_path : ".";
    page->content_type = BYTES("text/html; charset=utf-8");
    must(buffer_printf(page->body,
                       "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Weir</title></head>\n"
                       "<body style=\"font-family: sans-serif\"><h1>Weir</h1>\n<ul>\n") == 0);
    for (size_t i = 0; i < MONITOR_ROUTES; i++) {
        const struct monitor_route *route = &monitor_routes[i];
        if (route->description)
            must(buffer_printf(page->body, "<li><a href=\"%s%s\">%s</a>: %s</li>\n", base, route->path, route->path,
                               route->description) == 0);
    }
    must(buffer_append(page->body, BYTES("</ul>\n</body></html>\n")) == 0);
}
