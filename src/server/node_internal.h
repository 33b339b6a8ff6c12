// SPDX-License-Identifier: Apache-2.0
// What the files of node share.
//
//   node.c         life, turns, shutdown
//   node_admin.c   what operators ask for
//   node_uplink.c  NATS Streaming for clients of another server
//   node_orders.c  what worker 0 has the others do: reload, lame duck, visits of monitoring
// tidy: prefix node
#pragma once

#include "auth/auth_config.h"
#include "base/buffer.h"
#include "broker/broker.h"
#include "broker/uplink.h"
#include "monitor/monitor.h"
#include "server/node.h"
#include "server/worker.h"

//  SERVING ──node_shutdown──► EMPTYING ──all workers drained──► DRAINING ──what was taken is durable──► CLOSING
enum node_state {
    NODE_SERVING,
    NODE_EMPTYING, // only with several workers: what they took from their connections arrives where it belongs
    NODE_DRAINING, // serves on until everything appended before the shutdown is durable and answered
    NODE_CLOSING,  // connections get their rest
};

// One per worker, for the steps of a stop.
struct node_step {
    struct worker_call call;
    struct node *node;
};

struct node {
    struct options options;
    struct node_env env;
    char id[NODE_ID_SIZE];
    char host[OPTIONS_HOST_SIZE]; // that clients are told
    struct broker_options broker_options;
    struct monitor_websocket websocket;         // if env.websocket
    struct worker *workers[REMOTE_WORKERS_MAX]; // owned
    uint32_t worker_count;
    uint64_t placed[REMOTE_WORKERS_MAX]; // connections given to each, ever
    struct node_step steps[REMOTE_WORKERS_MAX];
    uint32_t steps_left;            // EMPTYING: workers that are not drained
    uint32_t visits;                // under way
    bool told_to_close;             // the other workers
    bool goes;                      // a lame duck, of which the other workers are told behind worker 0's turn
    struct broker *broker;          // borrowed from worker 0
    struct shard *shard;            // owned; NULL without streaming, as stan
    struct stan *stan;              // owned
    struct backup_service *backups; // owned; NULL as stan
    struct admin_api *admin;        // owned; NULL as stan
    struct admin_service *requests; // owned; NULL as stan: brings it those of clients
    struct uplink *uplink;          // owned; NULL without -ns
    struct monitor *monitor;        // owned
    struct moment now;              // of this turn
    enum node_state state;
    struct buffer probe_subject, probe_payload; // of the uplink
    uint64_t drain_index;                       // DRAINING: the last entry appended before the shutdown
};

// Connections on this worker, as of its last turn.
uint32_t node_live_connections(const struct node *node, uint32_t index);
// Behind worker 0's turn: what the others were to hear no sooner.
void node_orders_send(struct node *node);
// monitor_options.visit; the owner is the node: worker 0 at once, the others one after the other.
void node_visit_workers(void *owner, struct monitor_visit *visit);

// --- node_admin.c ---------------------------------------------------------------------------------------------------

// When everything is recovered.
void node_admin_start(struct node *node);
// Before shard_quiesce(): nothing is asked for any more.
void node_admin_stop(struct node *node);
void node_admin_free(struct node *node);
// Of clients, of all workers.
uint64_t node_count_connections(const struct node *node);

// --- node_uplink.c: all harmless without -ns ------------------------------------------------------------------------

// When everything is recovered.
void node_uplink_start(struct node *node);
void node_uplink_stop(struct node *node);
