// SPDX-License-Identifier: Apache-2.0
// tidy: prefix node
// What operators ask for: requests of the admin API and backups, on what the node has.
#include <stdio.h>

#include "admin/admin_service.h"
#include "admin/backup_service.h"
#include "broker/account.h"
#include "server/node_internal.h"

// Of an answer of a backup, unless messages must be shorter.
#define BACKUP_ANSWER_BYTES (256u << 10)

static void describe(void *owner, uint32_t member, struct buffer *out);
static uint64_t count_connections(void *owner);
static void kick(void *owner, uint64_t cid);

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

// As an operator of the system account asks for it (CO-Y24): the worker that has the connection closes it.
static void kick(void *owner, uint64_t cid)
{
    struct node *node = owner;
    char subject[sizeof("$SYS.REQ.SERVER..KICK") + NODE_ID_SIZE], body[sizeof("{\"cid\":}") + 20];
    int length = snprintf(subject, sizeof(subject), "$SYS.REQ.SERVER.%s.KICK", node->id);
    struct bytes none = {0}, to = bytes_make(subject, (size_t)length), payload;
    length = snprintf(body, sizeof(body), "{\"cid\":%llu}", (unsigned long long)cid);
    payload = bytes_make(body, (size_t)length);
    account_publish(account_system(node->broker), to, none, none, &payload, 1);
}
