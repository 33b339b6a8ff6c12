// SPDX-License-Identifier: Apache-2.0
#include "server/node.h"

#include "base/memory.h"
#include "base/must.h"
#include "broker/broker.h"
#include "monitor/monitor.h"

// Of a server id: the length of a public nkey, whose first letter N means "server".
#define NODE_ID_LEN 56

struct node {
    struct options options;
    struct node_env env;
    char id[NODE_ID_LEN + 1];
    struct broker_options broker_options;
    struct broker *broker;   // owned
    struct monitor *monitor; // owned
    struct moment now;       // of this turn
    bool stopping;
};

static void make_id(const struct random_source *random, char ret_id[NODE_ID_LEN + 1]);
static void start_broker(struct node *node, struct moment now);
static void start_monitor(struct node *node, struct moment now);

int node_start(const struct options *options, const struct node_env *env, struct moment now, struct node **ret_node)
{
    struct node *node = mem_alloc_zero(sizeof(*node));
    node->options = *options;
    node->env = *env;
    node->now = now;
    make_id(env->random, node->id);
    start_broker(node, now);
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
    monitor_turn_begin(node->monitor, now);
}

bool node_turn_end(struct node *node)
{
    return broker_turn_end(node->broker);
}

uint64_t node_next_deadline_ms(const struct node *node)
{
    uint64_t broker_ms = broker_next_deadline_ms(node->broker);
    uint64_t monitor_ms = monitor_next_deadline_ms(node->monitor);
    return broker_ms < monitor_ms ? broker_ms : monitor_ms;
}

void node_shutdown(struct node *node)
{
    if (node->stopping)
        return;
    node->stopping = true;
    monitor_shutdown(node->monitor);
    broker_shutdown(node->broker);
}

bool node_is_quiet(const struct node *node)
{
    return node->stopping;
}

void node_stop(struct node *node)
{
    monitor_free(node->monitor);
    broker_free(node->broker);
    mem_free(node);
}

const char *node_server_id(const struct node *node)
{
    return node->id;
}

static void make_id(const struct random_source *random, char ret_id[NODE_ID_LEN + 1])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    uint64_t bits = 0;
    ret_id[0] = 'N';
    for (size_t i = 1; i < NODE_ID_LEN; i++) {
        if (i % 12 == 1)
            bits = random->next(random->owner);
        ret_id[i] = letters[bits & 31];
        bits >>= 5;
    }
    ret_id[NODE_ID_LEN] = '\0';
}

static void start_broker(struct node *node, struct moment now)
{
    const struct options *options = &node->options;
    struct broker_options *broker = &node->broker_options;
    broker_options_default(broker);
    broker->server_id = node->id;
    broker->server_name = options->server_name ? options->server_name : node->id;
    broker->host = options->host;
    broker->port = node->env.port;
    broker->max_payload = options->max_payload;
    broker->max_control_line = options->max_control_line;
    broker->max_pending = options->max_pending;
    broker->max_connections = options->max_connections;
    broker->max_subscriptions = options->max_subscriptions;
    broker->ping_interval_ms = (uint32_t)(options->ping_interval_ns / 1000000);
    broker->ping_max = options->ping_max;
    broker->write_deadline_ms = (uint32_t)(options->write_deadline_ns / 1000000);
    broker->seed = node->env.random->next(node->env.random->owner);
    broker->logger = node->env.logger;
    node->broker = broker_new(broker, now);
}

static void start_monitor(struct node *node, struct moment now)
{
    const struct options *options = &node->options;
    node->monitor = monitor_new(
        &(struct monitor_options){
            .broker_options = &node->broker_options,
            .broker = node->broker,
            .http_host = options->host,
            .http_port = node->env.http_port,
            .cluster_id = options->cluster_id,
            .store_type = options_store_name(options),
            .sync_mode = options_sync_name(options),
            .process = node->env.process,
        },
        now);
}
