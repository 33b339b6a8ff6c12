// SPDX-License-Identifier: Apache-2.0
// SIGHUP (CO-X01, CO-X02), or a client of the system account (CO-Y26): the configuration file is read again and what may change in a running server changes. A file that is wrong,
// or that changes what only a restart can, changes nothing at all. The log says which, in nats-server's words.
// tidy: prefix serve
#pragma once

#include "cmd/serve_tls.h"
#include "os/server_log.h"
#include "server/config.h"
#include "server/node.h"

// What is reloaded, and the command line, whose flags win over the file again. All borrowed.
struct serve_reload {
    enum options_persona persona;
    int count;
    char **arguments;
    struct server_log *log;
    struct serve_tls *tls;
    struct node *node;
    char *message; // MONITOR_RELOAD_MESSAGE_SIZE bytes: why nothing is taken; untouched else
};

// Within a turn. The configuration that holds from now on, which is the caller's: config_deinit(), mem_free(). NULL: `running` still
// does.
struct config *serve_reload(const struct serve_reload *reload, const struct config *running);
