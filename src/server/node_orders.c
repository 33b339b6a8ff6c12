// SPDX-License-Identifier: Apache-2.0
// What worker 0 has the others do. An order goes to all of them at once and nobody reports back; a visit goes from one to the next,
// and then comes home.
// tidy: prefix node
#include "base/memory.h"
#include "base/must.h"
#include "server/node_config.h"
#include "server/node_internal.h"

// Something that all other workers are to do; freed there.
struct node_order {
    struct worker_call call;
    void (*run)(struct broker *broker, const struct node_order *order);
    struct broker_options options;  // of a reload
    uint32_t connections;           // that may stay, the others are closed
    uint64_t duration_ms, grace_ms; // of a lame duck
    struct auth_config *auth;       // whom to let in; its own reference
};

// A visit of monitoring, on its way from worker to worker.
struct node_visit {
    struct worker_call call;
    struct node *node;
    struct monitor_visit *visit;
    uint32_t next; // worker
};

static uint32_t limit_workers(struct node *node);
static void send_order(struct node *node, uint32_t index, struct node_order order);
static void run_order(struct worker_call *call, struct worker *worker);
static void order_reload(struct broker *broker, const struct node_order *order);
static struct node_order lame_duck(const struct node *node);
static void order_lame_duck(struct broker *broker, const struct node_order *order);
static void order_auth(struct broker *broker, const struct node_order *order);
static void run_visit(struct worker_call *call, struct worker *worker);
static void visited(struct worker_call *call);

// Names and addresses stay those of the start: they are borrowed from its options.
int node_auth_replace(struct node *node, struct auth_config *config)
{
    if (node->uplink)
        return 0;
    int error = broker_auth_replace(node->broker, config);
    for (uint32_t i = 1; i < node->worker_count && !error; i++)
        send_order(node, i, (struct node_order){.run = order_auth, .auth = auth_config_ref(config)});
    return error;
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
    own->max_sub_tokens = fresh.max_sub_tokens;
    own->max_traced_bytes = fresh.max_traced_bytes;
    own->trace_system = fresh.trace_system;
    own->ping_interval_ms = fresh.ping_interval_ms;
    own->ping_max = fresh.ping_max;
    own->write_deadline_ms = fresh.write_deadline_ms;
    own->tls = fresh.tls;
    node->options.lame_duck_duration_ns = options->lame_duck_duration_ns;
    node->options.lame_duck_grace_ns = options->lame_duck_grace_ns;
    broker_set_tls(node->broker, &own->tls);
    if (node->uplink)
        uplink_limits_set(node->uplink, own->max_payload, own->max_control_line);
    if (node->stan)
        stan_limits_set(node->stan, &options->channel, options->channel_rules, options->channel_rule_count);
    monitor_set_config(node->monitor, options->config_digest);
    return node->worker_count == 1 ? broker_limits_set(node->broker, own, own->max_connections) : limit_workers(node);
}

void node_lame_duck(struct node *node)
{
    struct node_order order = lame_duck(node);
    if (node->state != NODE_SERVING)
        return;
    send_order(node, 0, order);
    node->goes = true;
}

uint32_t node_live_connections(const struct node *node, uint32_t index)
{
    return (uint32_t)(node->placed[index] - worker_connections_ended(node->workers[index]));
}

void node_orders_send(struct node *node)
{
    if (!node->goes)
        return;
    node->goes = false;
    for (uint32_t i = 1; i < node->worker_count; i++)
        send_order(node, i, lame_duck(node));
}

void node_visit_workers(void *owner, struct monitor_visit *visit)
{
    struct node *node = owner;
    visit->run(visit, node->broker);
    if (node->told_to_close || node->worker_count == 1) {
        visit->done(visit);
        return;
    }
    struct node_visit *tour = mem_alloc(sizeof(*tour));
    *tour = (struct node_visit){
        .call = {.run = run_visit, .done = visited},
        .node = node,
        .visit = visit,
        .next = 1,
    };
    node->visits++;
    worker_send_call(node->workers[tour->next], &tour->call);
}

// Each worker closes its share of those that are too many, by what is known of it: the others' figures are of their last turn.
static uint32_t limit_workers(struct node *node)
{
    uint64_t total = 0, max = node->broker_options.max_connections;
    for (uint32_t i = 0; i < node->worker_count; i++)
        total += node_live_connections(node, i);
    uint64_t over = total > max ? total - max : 0, left = over;
    for (uint32_t i = 0; i < node->worker_count; i++) {
        uint64_t live = node_live_connections(node, i);
        uint64_t share = total > 0 ? (over * live + total - 1) / total : 0;
        share = share < left ? share : left;
        left -= share;
        struct node_order order = {
            .run = order_reload,
            .options = node->broker_options,
            .connections = share > 0 ? (uint32_t)(live - share) : UINT32_MAX,
        };
        send_order(node, i, order);
    }
    return (uint32_t)over;
}

static void send_order(struct node *node, uint32_t index, struct node_order order)
{
    if (index == 0) {
        order.run(node->broker, &order);
        return;
    }
    struct node_order *copy = mem_alloc(sizeof(*copy));
    *copy = order;
    copy->call = (struct worker_call){.run = run_order};
    worker_send_call(node->workers[index], &copy->call);
}

static void run_order(struct worker_call *call, struct worker *worker)
{
    struct node_order *order = container_of(call, struct node_order, call);
    if (worker)
        order->run(worker_broker(worker), order);
    auth_config_unref(order->auth);
    mem_free(order);
}

static void order_reload(struct broker *broker, const struct node_order *order)
{
    broker_set_tls(broker, &order->options.tls);
    (void)broker_limits_set(broker, &order->options, order->connections);
}

static struct node_order lame_duck(const struct node *node)
{
    return (struct node_order){
        .run = order_lame_duck,
        .duration_ms = node->options.lame_duck_duration_ns / 1000000,
        .grace_ms = node->options.lame_duck_grace_ns / 1000000,
    };
}

static void order_lame_duck(struct broker *broker, const struct node_order *order)
{
    broker_lame_duck(broker, order->duration_ms, order->grace_ms);
}

// What worker 0 could do, all can: they have the same accounts and limits.
static void order_auth(struct broker *broker, const struct node_order *order)
{
    must(broker_auth_replace(broker, order->auth) == 0);
}

static void run_visit(struct worker_call *call, struct worker *worker)
{
    struct monitor_visit *visit = container_of(call, struct node_visit, call)->visit;
    if (worker)
        visit->run(visit, worker_broker(worker));
}

static void visited(struct worker_call *call)
{
    struct node_visit *tour = container_of(call, struct node_visit, call);
    struct node *node = tour->node;
    if (++tour->next < node->worker_count) {
        worker_send_call(node->workers[tour->next], call);
        return;
    }
    node->visits--;
    tour->visit->done(tour->visit);
    mem_free(tour);
}
