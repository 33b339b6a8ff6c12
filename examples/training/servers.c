// SPDX-License-Identifier: Apache-2.0
// All servers get the same options; the library's defaults are right for long jobs.
#include "servers.h"

#include <stdio.h>

enum { SERVERS_MAX = 64, LIST_BYTES_MAX = 4096 };

int servers_open(const char *list, const char *client_id, weir_fleet_event_fn *on_event, void *closure,
                 struct weir_fleet **ret_fleet, struct weir_error *ret_error)
{
    char text[LIST_BYTES_MAX];
    const char *servers[SERVERS_MAX];
    size_t count = 0;
    if ((size_t)snprintf(text, sizeof(text), "%s", list) >= sizeof(text)) {
        snprintf(ret_error->text, sizeof(ret_error->text), "a list of servers has at most %d bytes",
                 LIST_BYTES_MAX - 1);
        return -1;
    }
    for (char *rest = text, *one; (one = strsep(&rest, ","));) {
        if (*one == '\0')
            continue;
        if (count == SERVERS_MAX) {
            snprintf(ret_error->text, sizeof(ret_error->text), "more than %d servers", SERVERS_MAX);
            return -1;
        }
        servers[count++] = one;
    }
    struct weir_client_options client;
    struct weir_fleet_options options;
    weir_client_options_init(&client);
    client.client_id = client_id;
    weir_fleet_options_init(&options);
    options.servers = servers;
    options.servers_count = count;
    options.client = &client;
    options.on_event = on_event;
    options.closure = closure;
    return weir_fleet_open(&options, ret_fleet, ret_error) == 0 ? 0 : -1;
}
