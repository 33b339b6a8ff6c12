// SPDX-License-Identifier: Apache-2.0
#include "server/node_config.h"

// There is one shard.
#define NODE_CONFIG_SHARD 1
// Consumers and members take memory each; no service needs so many, but a
// broken client might make them.
#define NODE_CONFIG_MEMBERS_MAX 1000000
// Deliveries, evictions and the like per turn.
#define NODE_CONFIG_TURN_BUDGET 1024

void node_config_broker(const struct options *options, struct broker_options *ret_broker)
{
    broker_options_default(ret_broker);
    ret_broker->host = options->host;
    ret_broker->max_payload = options->max_payload;
    ret_broker->max_control_line = options->max_control_line;
    ret_broker->max_pending = options->max_pending;
    // Streams stop sending to a reader long before it would be closed as too slow.
    if (ret_broker->congested_bytes > options->max_pending / 4)
        ret_broker->congested_bytes = options->max_pending / 4;
    ret_broker->max_connections = options->max_connections;
    ret_broker->max_closed = options->max_closed;
    ret_broker->max_subscriptions = options->max_subscriptions;
    ret_broker->max_sub_tokens = options->max_sub_tokens;
    ret_broker->ping_interval_ms = (uint32_t)(options->ping_interval_ns / 1000000);
    ret_broker->ping_max = options->ping_max;
    ret_broker->max_traced_bytes = options->max_traced_length;
    ret_broker->trace_system = options->trace_verbose;
    ret_broker->write_deadline_ms = (uint32_t)(options->write_deadline_ns / 1000000);
    node_config_tls(&options->tls, &ret_broker->tls);
}

void node_config_tls(const struct tls_options *options, struct broker_tls *ret_tls)
{
    static const enum broker_tls_first firsts[] = {
        [TLS_OPTIONS_INFO_FIRST] = BROKER_TLS_INFO,
        [TLS_OPTIONS_HANDSHAKE_FIRST] = BROKER_TLS_HANDSHAKE,
        [TLS_OPTIONS_AUTO] = BROKER_TLS_AUTO,
    };
    *ret_tls = (struct broker_tls){
        .enabled = tls_options_is_on(options),
        .verify = options->verify || options->verify_and_map,
        .allow_plain = options->allow_plain,
        .first = firsts[options->first],
        .fallback_ms = (uint32_t)(options->fallback_ns / 1000000),
        .timeout_ms = (uint32_t)(options->timeout_ns / 1000000),
        .rate_limit = options->rate_limit,
    };
}

void node_config_websocket(const struct websocket_config *config, const struct crypto *crypto,
                           const struct logger *logger, struct websocket_options *ret_websocket)
{
    websocket_options_default(ret_websocket);
    ret_websocket->sha1 = crypto->sha1;
    ret_websocket->compression = config->compression;
    ret_websocket->same_origin = config->same_origin;
    ret_websocket->is_tls = !config->no_tls;
    ret_websocket->rate_limit = config->no_tls ? 0 : config->tls.rate_limit;
    ret_websocket->origins = config->origins;
    ret_websocket->origin_count = config->origin_count;
    ret_websocket->opening_ms = (uint32_t)(config->handshake_ns / 1000000);
    ret_websocket->logger = logger;
}

void node_config_shard(const struct options *options, struct shard_options *ret_shard)
{
    static const enum store_sync modes[] = {
        [OPTIONS_SYNC_ALWAYS] = STORE_SYNC_ALWAYS,
        [OPTIONS_SYNC_INTERVAL] = STORE_SYNC_INTERVAL,
        [OPTIONS_SYNC_NEVER] = STORE_SYNC_NEVER,
    };
    *ret_shard = (struct shard_options){.id = NODE_CONFIG_SHARD};
    struct store_options *store = &ret_shard->store;
    store_options_default(store);
    store->memory = options->store == OPTIONS_STORE_MEMORY;
    store->identity = bytes_from_string(options->cluster_id);
    store->sync = modes[options->sync];
    store->sync_interval_ns = options->sync_interval_ns;
    store->log_bytes = options->log_bytes;
    store->memory_bytes = options->memory_bytes;
    store->max_payload = options->max_payload;
    if (options->log_file_bytes)
        store->file_bytes = options->log_file_bytes;
    if (options->log_first_bytes)
        store->first_file_bytes = options->log_first_bytes;
    if (options->checkpoint_bytes)
        store->checkpoint_bytes = options->checkpoint_bytes;
    // The first file is small, so that the server listens at once, but takes the
    // largest messages.
    while (store->first_file_bytes < 4ULL * options->max_payload)
        store->first_file_bytes *= 2;
    // A budget of the log means something only if it is several files.
    while (!options->log_file_bytes && store->file_bytes > options->log_bytes / 4 &&
           store->file_bytes > store->first_file_bytes)
        store->file_bytes /= 2;
    ret_shard->engine = (struct engine_options){
        .max_streams = options->max_channels,
        .max_consumers = NODE_CONFIG_MEMBERS_MAX,
        .max_members = NODE_CONFIG_MEMBERS_MAX,
        .max_ids = options->max_ids,
        .max_parked = options->max_parked,
        .turn_budget = NODE_CONFIG_TURN_BUDGET,
    };
}

void node_config_stan(const struct options *options, struct stan_options *ret_stan)
{
    stan_options_default(ret_stan);
    ret_stan->cluster_id = bytes_from_string(options->cluster_id);
    ret_stan->discover_prefix = bytes_from_string(options->discover_prefix);
    ret_stan->max_channels = options->max_channels;
    ret_stan->channel = options->channel;
    ret_stan->rules = options->channel_rules;
    ret_stan->rule_count = options->channel_rule_count;
    ret_stan->replace_durable = options->replace_durable;
    ret_stan->heartbeat_interval_ns = options->heartbeat_interval_ns;
    ret_stan->heartbeat_timeout_ns = options->heartbeat_timeout_ns;
    ret_stan->heartbeat_fail_count = options->heartbeat_fail_count;
}
