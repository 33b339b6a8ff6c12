// SPDX-License-Identifier: Apache-2.0
// tidy: prefix node
// What operators ask for: requests of the admin API and backups, on what the node has.
#include "admin/admin_service.h"
#include "admin/backup_service.h"
#include "base/memory.h"
#include "broker/system_control.h"
#include "server/node_internal.h"

// Of an answer of a backup, unless messages must be shorter.
#define BACKUP_ANSWER_BYTES (256u << 10)

struct node_kick {
    struct monitor_visit visit;
    struct node *node; // borrowed
    uint64_t cid, ask;
    bool found;
};

static void describe(void *owner, uint32_t member, struct buffer *out);
static uint64_t count_connections(void *owner);
static void kick(void *owner, uint64_t cid, uint64_t ask);
static void kick_here(struct monitor_visit *visit, struct broker *broker);
static void kicked(struct monitor_visit *visit);

void node_admin_start(struct node *node)
{
    node->admin = admin_api_new(
        &(struct admin_api_options){
            .shard = node->shard,
            .stan = node->stan,
            .server_id = node->id,
            .server_name = node->options.server_name ? node->options.server_name : node->id,
            .version = WEIR_VERSION,
            .cluster_id = node->options.cluster_id,
            .store = node->env.disk ? "file" : "memory",
            .sync = options_sync_name(&node->options),
            .answer_bytes = node->options.max_payload,
            .connections = count_connections,
            .kick = kick,
            .owner = node,
            .process = node->env.process,
            .store_dir = node->env.disk ? node->options.directory : NULL,
            .logger = node->env.logger,
        },
        node->now);
    stan_describe_with(node->stan, describe, node->admin);
    node->requests = admin_service_new(&(struct admin_service_options){
        .broker = node->broker,
        .api = node->admin,
        .logger = node->env.logger,
    });
    // An answer is a message like others: what clients are told they may get.
    uint32_t answer_bytes =
        node->options.max_payload < BACKUP_ANSWER_BYTES ? node->options.max_payload : BACKUP_ANSWER_BYTES;
    node->backups = backup_service_new(&(struct backup_service_options){
        .broker = node->broker,
        .shard = node->shard,
        .stan = node->stan,
        .cluster_id = bytes_from_string(node->options.cluster_id),
        .answer_bytes = answer_bytes > 1 ? answer_bytes : 2,
        .logger = node->env.logger,
    });
}

void node_admin_stop(struct node *node)
{
    backup_service_stop(node->backups);
    admin_service_stop(node->requests);
    admin_api_stop(node->admin);
}

void node_admin_free(struct node *node)
{
    backup_service_free(node->backups);
    if (node->stan)
        stan_describe_with(node->stan, NULL, NULL);
    admin_api_free(node->admin);
    admin_service_free(node->requests);
}

uint64_t node_count_connections(const struct node *node)
{
    struct broker_stats stats;
    broker_stats_get(node->broker, &stats);
    for (uint32_t i = 1; i < node->worker_count; i++)
        stats.connections += node_live_connections(node, i);
    return stats.connections;
}

static void describe(void *owner, uint32_t member, struct buffer *out)
{
    admin_api_put_subscription(owner, member, out);
}

static uint64_t count_connections(void *owner)
{
    return node_count_connections(owner);
}

// The worker that has the connection closes it, and all are asked, so that it is known whether there was one.
static void kick(void *owner, uint64_t cid, uint64_t ask)
{
    struct node *node = owner;
    struct node_kick *kick = mem_alloc(sizeof(*kick));
    *kick = (struct node_kick){.visit = {.run = kick_here, .done = kicked}, .node = node, .cid = cid, .ask = ask};
    node_visit_workers(node, &kick->visit);
}

static void kick_here(struct monitor_visit *visit, struct broker *broker)
{
    struct node_kick *kick = container_of(visit, struct node_kick, visit);
    kick->found |= system_control_kick(broker, kick->cid);
}

static void kicked(struct monitor_visit *visit)
{
    struct node_kick *kick = container_of(visit, struct node_kick, visit);
    admin_api_kicked(kick->node->admin, kick->ask, kick->found);
    mem_free(kick);
}
