// SPDX-License-Identifier: Apache-2.0
#include "server/websocket_config.h"
#include "server/units.h"

void websocket_config_default(struct websocket_config *config)
{
    *config = (struct websocket_config){.host = "0.0.0.0", .handshake_ns = 2 * SECOND};
    tls_options_default(&config->tls);
}

const char *websocket_config_check(const struct websocket_config *config)
{
    if (!config->on)
        return NULL;
    if (!config->no_tls && config->tls.use != TLS_OPTIONS_ON)
        return "websocket: a tls block is missing; browsers need one, and `no_tls: true` does without";
    if (config->no_tls && config->tls.use == TLS_OPTIONS_ON)
        return "websocket: no_tls and a tls block contradict each other";
    return config->tls.use == TLS_OPTIONS_ON ? tls_options_check(&config->tls) : NULL;
}
