// SPDX-License-Identifier: Apache-2.0
#include "server/node.h"

#include <stdio.h>

#include "admin/admin_service.h"
#include "admin/backup_service.h"
#include "base/memory.h"
#include "base/must.h"
#include "server/node_config.h"
#include "server/node_internal.h"

static int start_streaming(struct node *node, struct moment now);
static void tell_recovered(const struct node *node);
static void start_workers(struct node *node, struct moment now);
static int admit(struct node *node, struct auth_config *config);
static void settle_workers(struct node *node, struct moment now);
static void drain(struct node *node);
static void close_workers(struct node *node);
static void run_drain(struct worker_call *call, struct worker *worker);
static void drained(struct worker_call *call);
static void run_close(struct worker_call *call, struct worker *worker);
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
    start_workers(node, now);
    // With an uplink nobody comes in here who could show anything.
    int error = env->auth && !options->nats.url ? admit(node, env->auth) : 0;
    if (error) {
        logger_write(env->logger, LOG_FATAL, "cannot serve these accounts: %s", error_text(error));
        release(node);
        return error;
    }
    error = options->streaming ? start_streaming(node, now) : 0;
    if (error) {
        logger_write(env->logger, LOG_FATAL, "cannot serve from the data directory: %s", error_text(error));
        release(node);
        return error;
    }
    start_monitor(node, now);
    settle_workers(node, now);
    node_uplink_start(node);
    *ret_node = node;
    return 0;
}

const struct net_handler *node_client_handler(struct node *node)
{
    return broker_net_handler(node->broker);
}

struct worker *node_worker(struct node *node, uint32_t index)
{
    must(index < node->worker_count);
    return node->workers[index];
}

const struct net_handler *node_worker_handler(struct node *node, uint32_t index)
{
    return broker_net_handler(worker_broker(node_worker(node, index)));
}

const struct net_handler *node_worker_websocket_handler(struct node *node, uint32_t index)
{
    return worker_websocket_handler(node_worker(node, index));
}

uint32_t node_place_connection(struct node *node)
{
    uint32_t best = 0;
    uint64_t elsewhere = 0, fewest = node_live_connections(node, 0);
    for (uint32_t i = 1; i < node->worker_count; i++) {
        uint32_t live = node_live_connections(node, i);
        elsewhere += live;
        if (live < fewest) {
            fewest = live;
            best = i;
        }
    }
    if (elsewhere + node_live_connections(node, 0) >= node->broker_options.max_connections)
        best = 0;
    broker_remote_count_connections(node->broker, (uint32_t)elsewhere);
    node->placed[best]++;
    return best;
}

const struct net_handler *node_monitor_handler(struct node *node)
{
    return monitor_net_handler(node->monitor);
}

void node_turn_begin(struct node *node, struct moment now)
{
    node->now = now;
    worker_turn_begin(node->workers[0], now);
    if (node->stan)
        stan_turn_begin(node->stan, now);
    monitor_turn_begin(node->monitor, now);
    if (node->uplink)
        uplink_turn_begin(node->uplink, now);
    worker_receive(node->workers[0]);
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
        again = admin_api_turn_end(node->admin, node->now);
        again |= shard_turn_end(node->shard, node->now);
        again |= backup_service_turn_end(node->backups, node->now);
    }
    if (node->state == NODE_DRAINING && is_drained(node)) {
        node->state = NODE_CLOSING;
        worker_close(node->workers[0]);
    }
    again |= worker_turn_end(node->workers[0]);
    again |= node->uplink && uplink_is_busy(node->uplink);
    node_orders_send(node);
    // Behind the last answers.
    if (node->state == NODE_CLOSING && !node->told_to_close && node->visits == 0)
        close_workers(node);
    return again;
}

uint64_t node_next_deadline_ms(const struct node *node)
{
    uint64_t deadline_ms = worker_next_deadline_ms(node->workers[0]);
    if (node->stan) {
        deadline_ms = earlier(deadline_ms, stan_next_deadline_ms(node->stan));
        deadline_ms = earlier(deadline_ms, shard_next_deadline_ms(node->shard));
        deadline_ms = earlier(deadline_ms, backup_service_next_deadline_ms(node->backups));
        deadline_ms = earlier(deadline_ms, admin_api_next_deadline_ms(node->admin));
    }
    if (node->uplink)
        deadline_ms = earlier(deadline_ms, uplink_next_deadline_ms(node->uplink));
    return earlier(deadline_ms, monitor_next_deadline_ms(node->monitor));
}

bool node_has_clients(const struct node *node)
{
    return node_count_connections(node) > 0;
}

void node_shutdown(struct node *node)
{
    if (node->state != NODE_SERVING)
        return;
    monitor_shutdown(node->monitor);
    if (node->uplink)
        uplink_shutdown(node->uplink);
    if (node->worker_count == 1) {
        drain(node);
        return;
    }
    node->state = NODE_EMPTYING;
    node->steps_left = node->worker_count;
    for (uint32_t i = 0; i < node->worker_count; i++) {
        node->steps[i] = (struct node_step){.call = {.run = run_drain, .done = drained}, .node = node};
        worker_send_call(node->workers[i], &node->steps[i].call);
    }
}

bool node_is_quiet(const struct node *node)
{
    return node->told_to_close && (!node->shard || shard_is_idle(node->shard)) &&
           (!node->uplink || uplink_has_ended(node->uplink));
}

void node_stop(struct node *node)
{
    node_uplink_stop(node);
    monitor_free(node->monitor);
    if (node->stan) {
        node_admin_stop(node);
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
    if (error)
        return error;
    tell_recovered(node);
    node_admin_start(node);
    return 0;
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

static void start_workers(struct node *node, struct moment now)
{
    struct broker_options *broker = &node->broker_options;
    node_config_broker(&node->options, broker);
    broker->server_id = node->id;
    broker->server_name = node->options.server_name ? node->options.server_name : node->id;
    broker->port = node->env.port;
    broker->logger = node->env.logger;
    broker->crypto = node->env.crypto;
    broker->offload = node->env.offload;
    broker->has_uplink = node->options.nats.url != NULL;
    for (size_t i = 0; broker->crypto && i < sizeof(broker->nonce_key); i += sizeof(uint64_t)) {
        uint64_t bits = node->env.random->next(node->env.random->owner);
        memcpy(broker->nonce_key + i, &bits, sizeof(bits));
    }
    // Monitoring shows where the server listens, INFO where clients shall go.
    struct broker_options advertised = *broker;
    int error = options_advertised(&node->options, broker->port, node->host, &advertised.port);
    must(error == 0); // options_check()
    advertised.host = node->host;
    struct websocket_options websocket;
    if (node->env.websocket)
        broker->websocket_ping_interval_ms = advertised.websocket_ping_interval_ms =
            (uint32_t)(node->env.websocket->ping_interval_ns / 1000000);
    if (node->env.websocket)
        node_config_websocket(node->env.websocket, node->env.crypto, node->env.logger, &websocket);
    node->worker_count = node->env.worker_count ? node->env.worker_count : 1;
    must(node->worker_count <= REMOTE_WORKERS_MAX);
    for (uint32_t i = 0; i < node->worker_count; i++) {
        if (i > 0)
            advertised.offload = node->env.offloads ? node->env.offloads[i] : NULL;
        advertised.seed = node->env.random->next(node->env.random->owner);
        node->workers[i] = worker_new(
            &(struct worker_options){
                .broker = &advertised,
                .websocket = node->env.websocket ? &websocket : NULL,
                .index = i,
                .count = node->worker_count,
                .workers = node->workers,
                .wake = node->env.wake,
                .wake_owner = node->env.wake_owner,
            },
            now);
    }
    node->broker = worker_broker(node->workers[0]);
}

static int admit(struct node *node, struct auth_config *config)
{
    int error = 0;
    for (uint32_t i = 0; i < node->worker_count && !error; i++)
        error = broker_auth_replace(worker_broker(node->workers[i]), config);
    return error;
}

// Nobody is served before all workers know what is inside the process.
static void settle_workers(struct node *node, struct moment now)
{
    bool idle;
    do {
        idle = true;
        for (uint32_t i = 0; i < node->worker_count; i++) {
            worker_turn_begin(node->workers[i], now);
            worker_receive(node->workers[i]);
            worker_turn_end(node->workers[i]);
        }
        for (uint32_t i = 0; i < node->worker_count; i++)
            idle &= broker_remote_is_idle(worker_broker(node->workers[i]));
    } while (!idle);
}

// Everything taken so far is in the log, or will never be.
static void drain(struct node *node)
{
    node->state = NODE_DRAINING;
    if (node->shard) {
        node_admin_stop(node);
        node->drain_index = shard_last_index(node->shard);
        shard_quiesce(node->shard);
    }
}

static void close_workers(struct node *node)
{
    node->told_to_close = true;
    for (uint32_t i = 1; i < node->worker_count; i++) {
        node->steps[i] = (struct node_step){.call = {.run = run_close}, .node = node};
        worker_send_call(node->workers[i], &node->steps[i].call);
    }
}

static void run_drain(struct worker_call *call, struct worker *worker)
{
    if (worker)
        worker_drain(worker, call);
}

static void drained(struct worker_call *call)
{
    struct node *node = container_of(call, struct node_step, call)->node;
    if (--node->steps_left == 0)
        drain(node);
}

static void run_close(struct worker_call *call, struct worker *worker)
{
    (void)call;
    if (worker)
        worker_close(worker);
}

static void make_shard(struct node *node)
{
    struct shard_options shard;
    node_config_shard(&node->options, &shard);
    shard.store.logger = node->env.logger;
    if (node->env.encryption)
        shard.store.encryption = *node->env.encryption;
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
    node->stan = stan_new(&stan, node->broker, node->shard, node->now);
}

static void start_monitor(struct node *node, struct moment now)
{
    const struct options *options = &node->options;
    const struct websocket_config *websocket = node->env.websocket;
    if (websocket)
        node->websocket = (struct monitor_websocket){
            .host = websocket->host,
            .port = node->env.websocket_port,
            .no_tls = websocket->no_tls,
            .same_origin = websocket->same_origin,
            .compression = websocket->compression,
            .handshake_ns = websocket->handshake_ns,
        };
    node->monitor = monitor_new(
        &(struct monitor_options){
            .broker_options = &node->broker_options,
            .broker = node->broker,
            .visit = node->worker_count > 1 ? node_visit_workers : NULL,
            .visit_owner = node,
            .reload = node->env.reload,
            .reload_owner = node->env.reload_owner,
            .shard = node->shard,
            .stan = node->stan,
            .admin = node->admin,
            .admin_user = options->admin_user,
            .admin_password = options->admin_password,
            .http_host = options->http_host ? options->http_host : options->host,
            .http_base_path = options->http_base_path,
            .tags = options->server_tags,
            .tag_count = options->server_tag_count,
            .http_port = node->env.http_port,
            .websocket = websocket ? &node->websocket : NULL,
            .https_port = node->env.https_port,
            .cluster_id = options->cluster_id,
            .store_type = options_store_name(options),
            .store_dir = options->directory ? options->directory : "",
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
    node_admin_free(node);
    if (node->stan)
        stan_free(node->stan);
    if (node->shard)
        shard_free(node->shard);
    for (uint32_t i = 0; i < node->worker_count; i++)
        worker_free(node->workers[i]);
    mem_free(node);
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}
