// SPDX-License-Identifier: Apache-2.0
#include "server/node.h"

#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"
#include "broker/broker.h"
#include "monitor/monitor.h"
#include "server/node_config.h"

//  SERVING ──node_shutdown──► DRAINING ──what was taken is durable──► CLOSING
enum node_state {
    NODE_SERVING,
    NODE_DRAINING, // serves on until everything appended before the shutdown is durable and answered
    NODE_CLOSING,  // connections get their rest
};

struct node {
    struct options options;
    struct node_env env;
    char id[NODE_ID_SIZE];
    char host[OPTIONS_HOST_SIZE]; // that clients are told
    struct broker_options broker_options;
    struct broker *broker;   // owned
    struct shard *shard;     // owned; NULL without streaming, as stan
    struct stan *stan;       // owned
    struct monitor *monitor; // owned
    struct moment now;       // of this turn
    enum node_state state;
    uint64_t drain_index; // DRAINING: the last entry appended before the shutdown
};

static int start_streaming(struct node *node, struct moment now);
static void tell_recovered(const struct node *node);
static void start_broker(struct node *node, struct moment now);
static void make_shard(struct node *node);
static void make_stan(struct node *node);
static void start_monitor(struct node *node, struct moment now);
static void on_admitting(void *owner);
static bool is_drained(const struct node *node);
static void release(struct node *node);
static uint64_t earlier(uint64_t a_ms, uint64_t b_ms);

void node_make_id(const struct random_source *random, char ret_id[NODE_ID_SIZE])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint64_t bits = 0;
    ret_id[0] = 'N';
    for (size_t i = 1; i < NODE_ID_SIZE - 1; i++) {
        if (i % 12 == 1)
            bits = random->next(random->owner);
        ret_id[i] = letters[bits & 31];
        bits >>= 5;
    }
    ret_id[NODE_ID_SIZE - 1] = '\0';
}

int node_start(const struct options *options, const struct node_env *env, struct moment now, struct node **ret_node)
{
    struct node *node = mem_alloc_zero(sizeof(*node));
    node->options = *options;
    node->env = *env;
    node->now = now;
    if (env->server_id)
        snprintf(node->id, sizeof(node->id), "%s", env->server_id);
    else
        node_make_id(env->random, node->id);
    start_broker(node, now);
    int error = env->auth ? broker_auth_replace(node->broker, env->auth) : 0;
    if (error) {
        logger_write(env->logger, LOG_ERROR, "cannot serve these accounts: %s", error_text(error));
        release(node);
        return error;
    }
    error = options->streaming ? start_streaming(node, now) : 0;
    if (error) {
        logger_write(env->logger, LOG_ERROR, "cannot serve from the data directory: %s", error_text(error));
        release(node);
        return error;
    }
    start_monitor(node, now);
    *ret_node = node;
    return 0;
}

const struct net_handler *node_client_handler(struct node *node)
{
    return broker_net_handler(node->broker);
}

const struct net_handler *node_monitor_handler(struct node *node)
{
    return monitor_net_handler(node->monitor);
}

void node_turn_begin(struct node *node, struct moment now)
{
    node->now = now;
    broker_turn_begin(node->broker, now);
    if (node->stan)
        stan_turn_begin(node->stan, now);
    monitor_turn_begin(node->monitor, now);
}

// The log's batch goes to its thread before the sockets are served, so that the
// disk works meanwhile; a delivery cannot overtake the answer to the request
// that caused it, because both leave through the broker, in order.
bool node_turn_end(struct node *node)
{
    bool again = false;
    monitor_turn_end(node->monitor);
    if (node->stan) {
        stan_turn_end(node->stan);
        again = shard_turn_end(node->shard, node->now);
    }
    if (node->state == NODE_DRAINING && is_drained(node)) {
        node->state = NODE_CLOSING;
        broker_shutdown(node->broker);
    }
    return broker_turn_end(node->broker) || again;
}

uint64_t node_next_deadline_ms(const struct node *node)
{
    uint64_t deadline_ms = broker_next_deadline_ms(node->broker);
    if (node->stan) {
        deadline_ms = earlier(deadline_ms, stan_next_deadline_ms(node->stan));
        deadline_ms = earlier(deadline_ms, shard_next_deadline_ms(node->shard));
    }
    return earlier(deadline_ms, monitor_next_deadline_ms(node->monitor));
}

// Names and addresses stay those of the start: they are borrowed from its options.
int node_auth_replace(struct node *node, struct auth_config *config)
{
    return broker_auth_replace(node->broker, config);
}

uint32_t node_reload(struct node *node, const struct options *options)
{
    struct broker_options fresh, *own = &node->broker_options;
    node_config_broker(options, &fresh);
    own->max_payload = fresh.max_payload;
    own->max_control_line = fresh.max_control_line;
    own->max_pending = fresh.max_pending;
    own->congested_bytes = fresh.congested_bytes;
    own->max_connections = fresh.max_connections;
    own->max_subscriptions = fresh.max_subscriptions;
    own->max_traced_bytes = fresh.max_traced_bytes;
    own->trace_system = fresh.trace_system;
    own->ping_interval_ms = fresh.ping_interval_ms;
    own->ping_max = fresh.ping_max;
    own->write_deadline_ms = fresh.write_deadline_ms;
    own->tls = fresh.tls;
    node->options.lame_duck_duration_ns = options->lame_duck_duration_ns;
    node->options.lame_duck_grace_ns = options->lame_duck_grace_ns;
    broker_set_tls(node->broker, &own->tls);
    monitor_set_config(node->monitor, options->config_digest);
    return broker_limits_set(node->broker, own);
}

void node_lame_duck(struct node *node)
{
    const struct options *options = &node->options;
    if (node->state == NODE_SERVING)
        broker_lame_duck(node->broker, options->lame_duck_duration_ns / 1000000, options->lame_duck_grace_ns / 1000000);
}

bool node_has_clients(const struct node *node)
{
    struct broker_stats stats;
    broker_stats_get(node->broker, &stats);
    return stats.connections > 0;
}

void node_shutdown(struct node *node)
{
    if (node->state != NODE_SERVING)
        return;
    node->state = NODE_DRAINING;
    if (node->shard) {
        node->drain_index = shard_last_index(node->shard);
        shard_quiesce(node->shard);
    }
    monitor_shutdown(node->monitor);
}

bool node_is_quiet(const struct node *node)
{
    return node->state == NODE_CLOSING && (!node->shard || shard_is_idle(node->shard));
}

void node_stop(struct node *node)
{
    monitor_free(node->monitor);
    if (node->stan) {
        stan_stop(node->stan);
        shard_stop(node->shard);
    }
    release(node);
}

const char *node_server_id(const struct node *node)
{
    return node->id;
}

static int start_streaming(struct node *node, struct moment now)
{
    make_shard(node);
    make_stan(node);
    int error = shard_open(node->shard, node->env.disk, now);
    if (!error)
        error = stan_start(node->stan, now);
    if (!error)
        tell_recovered(node);
    return error;
}

// So that an operator sees what a start found, and what a limit given with it will take away.
static void tell_recovered(const struct node *node)
{
    struct engine_stats engine;
    struct stan_stats stan;
    engine_stats_get(shard_engine(node->shard), &engine);
    stan_stats_get(node->stan, &stan);
    if (engine.streams + stan.clients > 0)
        logger_write(
            node->env.logger, LOG_INFO,
            "Recovered %llu channels with %llu messages (%llu bytes), %llu durables, queue groups and subscriptions, "
            "%llu clients",
            (unsigned long long)engine.streams, (unsigned long long)engine.messages, (unsigned long long)engine.bytes,
            (unsigned long long)engine.consumers, (unsigned long long)stan.clients);
}

static void start_broker(struct node *node, struct moment now)
{
    struct broker_options *broker = &node->broker_options;
    node_config_broker(&node->options, broker);
    broker->server_id = node->id;
    broker->server_name = node->options.server_name ? node->options.server_name : node->id;
    broker->port = node->env.port;
    broker->seed = node->env.random->next(node->env.random->owner);
    broker->logger = node->env.logger;
    broker->crypto = node->env.crypto;
    broker->offload = node->env.offload;
    for (size_t i = 0; broker->crypto && i < sizeof(broker->nonce_key); i += sizeof(uint64_t)) {
        uint64_t bits = node->env.random->next(node->env.random->owner);
        memcpy(broker->nonce_key + i, &bits, sizeof(bits));
    }
    // Monitoring shows where the server listens, INFO where clients shall go.
    struct broker_options advertised = *broker;
    int error = options_advertised(&node->options, broker->port, node->host, &advertised.port);
    must(error == 0); // options_check()
    advertised.host = node->host;
    node->broker = broker_new(&advertised, now);
}

static void make_shard(struct node *node)
{
    struct shard_options shard;
    node_config_shard(&node->options, &shard);
    shard.store.logger = node->env.logger;
    shard.logger = node->env.logger;
    shard.admitting = on_admitting;
    shard.owner = node;
    node->shard = shard_new(&shard);
}

static void make_stan(struct node *node)
{
    struct stan_options stan;
    node_config_stan(&node->options, &stan);
    stan.logger = node->env.logger;
    node->stan = stan_new(&stan, node->broker, node->shard);
}

static void start_monitor(struct node *node, struct moment now)
{
    const struct options *options = &node->options;
    node->monitor = monitor_new(
        &(struct monitor_options){
            .broker_options = &node->broker_options,
            .broker = node->broker,
            .shard = node->shard,
            .stan = node->stan,
            .http_host = options->http_host ? options->http_host : options->host,
            .http_base_path = options->http_base_path,
            .tags = options->server_tags,
            .tag_count = options->server_tag_count,
            .http_port = node->env.http_port,
            .https_port = node->env.https_port,
            .cluster_id = options->cluster_id,
            .store_type = options_store_name(options),
            .sync_mode = options_sync_name(options),
            .process = node->env.process,
        },
        now);
    monitor_set_config(node->monitor, options->config_digest);
}

static void on_admitting(void *owner)
{
    struct node *node = owner;
    stan_admitting(node->stan);
}

// Or the log cannot go on: it has failed, or the disk is full. Then there is nothing to wait for.
static bool is_drained(const struct node *node)
{
    return !node->shard || shard_committed_index(node->shard) >= node->drain_index || shard_is_idle(node->shard);
}

static void release(struct node *node)
{
    if (node->stan)
        stan_free(node->stan);
    if (node->shard)
        shard_free(node->shard);
    broker_free(node->broker);
    mem_free(node);
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}
