// SPDX-License-Identifier: Apache-2.0
// NATS Streaming served to the clients of a NATS server elsewhere (-ns, ST-C06 … C08): the uplink as the options describe it.
#include "base/must.h"
#include "server/node_config.h"
#include "server/node_internal.h"

enum { PROBE_MAX = 4096 }; // bytes: a cluster id and a prefix have at most a few hundred

void node_uplink_start(struct node *node)
{
    const struct options *options = &node->options;
    const struct options_nats *nats = &options->nats;
    if (!nats->url)
        return;
    must(node->worker_count == 1 && node->env.dialer);
    struct stan_options stan;
    node_config_stan(options, &stan);
    buffer_init(&node->probe_subject, PROBE_MAX);
    buffer_init(&node->probe_payload, PROBE_MAX);
    stan_make_probe(&stan, &node->probe_subject, &node->probe_payload);
    const struct uplink_options uplink = {
        .broker = node->broker,
        .dialer = node->env.dialer,
        .urls = nats->url,
        .name = "weir",
        .user = nats->user,
        .password = nats->password,
        .token = nats->token,
        .nkey_seed = node->env.nkey_seed,
        .sign = node->env.sign,
        .tls = nats->secure || nats->ca_file || nats->cert_file || nats->skip_verify,
        .tls_name = nats->server_name,
        .max_payload = node->broker_options.max_payload,
        .max_control_line = node->broker_options.max_control_line,
        .seed = node->env.random->next(node->env.random->owner),
        .probe_subject = buffer_bytes(&node->probe_subject),
        .probe_payload = buffer_bytes(&node->probe_payload),
        .on_rival = node->env.on_rival,
        .owner = node->env.rival_owner,
        .logger = node->env.logger,
    };
    char message[UPLINK_MESSAGE_SIZE];
    must(uplink_new(&uplink, node->now, &node->uplink, message) == 0); // options_check()
}

void node_uplink_stop(struct node *node)
{
    if (!node->uplink)
        return;
    uplink_free(node->uplink);
    node->uplink = NULL;
    buffer_deinit(&node->probe_subject);
    buffer_deinit(&node->probe_payload);
}
