// SPDX-License-Identifier: Apache-2.0
// The dashboard's files. They ask for nothing from elsewhere, and the browser is told to hold them to that.
#include "monitor/monitor_internal.h"
#include "monitor/ui_assets.h"

// No scripts or styles but our files, no frames, no forms that lead away.
#define SECURITY                                                                                                       \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "               \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"                              \
    "X-Content-Type-Options: nosniff\r\n"                                                                              \
    "Referrer-Policy: no-referrer\r\n"                                                                                 \
    "Cross-Origin-Opener-Policy: same-origin\r\n"                                                                      \
    "Cross-Origin-Resource-Policy: same-origin\r\n"

void monitor_ui(struct monitor *monitor, struct page *page, struct bytes rest)
{
    if (!monitor->options.admin) {
        monitor_say(page, 404, "there is no dashboard: NATS Streaming is not served here");
        return;
    }
    // Its files are found beside it, so it has to end in a slash; the answer is as good below another path.
    if (rest.len == 0) {
        page->fields = BYTES("Location: ui/\r\n");
        monitor_say(page, 301, "ui/");
        return;
    }
    struct bytes path = rest.len == 1 ? BYTES("index.html") : bytes_skip(rest, 1);
    for (size_t i = 0; i < ui_asset_count; i++) {
        const struct ui_asset *asset = &ui_assets[i];
        if (!bytes_equal(path, bytes_from_string(asset->path)))
            continue;
        page->content_type = bytes_from_string(asset->content_type);
        page->fields = BYTES(SECURITY);
        if (buffer_append(page->body, bytes_make(asset->data, asset->size)))
            monitor_say(page, 503, "this page has become too long");
        return;
    }
    monitor_say(page, 404, "404 page not found");
}
