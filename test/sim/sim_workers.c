// SPDX-License-Identifier: Apache-2.0
// tidy: prefix sim
#include "sim_workers.h"

#include "base/memory.h"
#include "base/must.h"
#include "server/worker.h"

// A connection's context, for the network.
struct seat {
    const struct net_handler *handler; // borrowed: its worker's
    void *context;
};

static void *on_accept(void *owner, struct net_conn *conn, const struct net_peer *peer);
static void on_data(void *context, struct bytes data);
static void on_writable(void *context);
static void on_close(void *context, int error);
static void on_secure(void *context, const struct net_tls_info *info);

void sim_workers_start(struct sim_workers *workers, struct node *node, uint32_t count, struct prng *prng)
{
    *workers = (struct sim_workers){.node = node, .count = count ? count : 1, .prng = prng};
    workers->handler = (struct net_handler){
        .owner = workers,
        .on_accept = on_accept,
        .on_data = on_data,
        .on_writable = on_writable,
        .on_close = on_close,
        .on_secure = on_secure,
    };
}

const struct net_handler *sim_workers_handler(struct sim_workers *workers)
{
    return workers->count > 1 ? &workers->handler : node_client_handler(workers->node);
}

void sim_workers_begin(struct sim_workers *workers, struct moment now)
{
    node_turn_begin(workers->node, now);
    for (uint32_t i = 1; i < workers->count; i++)
        worker_turn_begin(node_worker(workers->node, i), now);
}

bool sim_workers_end(struct sim_workers *workers, struct moment now)
{
    bool again = false;
    workers->asleep = false;
    if (workers->count == 1)
        return node_turn_end(workers->node);
    uint32_t first = (uint32_t)prng_below(workers->prng, workers->count);
    for (uint32_t n = 0; n < workers->count; n++) {
        uint32_t i = (first + n) % workers->count;
        if (i > 0 && prng_chance(workers->prng, 1, 3)) {
            workers->asleep = true;
            continue;
        }
        if (i == 0) {
            again |= node_turn_end(workers->node);
            node_turn_begin(workers->node, now);
            continue;
        }
        worker_receive(node_worker(workers->node, i));
        again |= worker_turn_end(node_worker(workers->node, i));
        worker_turn_begin(node_worker(workers->node, i), now);
    }
    for (uint32_t i = 0; i < workers->count; i++)
        again |= !broker_remote_is_idle(worker_broker(node_worker(workers->node, i)));
    return again || workers->asleep;
}

bool sim_workers_are_quiet(const struct sim_workers *workers)
{
    bool quiet = node_is_quiet(workers->node) && !workers->asleep;
    for (uint32_t i = 1; i < workers->count; i++)
        quiet = quiet && worker_is_closing(node_worker(workers->node, i));
    return quiet;
}

uint64_t sim_workers_next_deadline_ms(const struct sim_workers *workers)
{
    uint64_t deadline_ms = node_next_deadline_ms(workers->node);
    for (uint32_t i = 1; i < workers->count; i++) {
        uint64_t one_ms = worker_next_deadline_ms(node_worker(workers->node, i));
        deadline_ms = one_ms < deadline_ms ? one_ms : deadline_ms;
    }
    return deadline_ms;
}

static void *on_accept(void *owner, struct net_conn *conn, const struct net_peer *peer)
{
    struct sim_workers *workers = owner;
    const struct net_handler *handler = node_worker_handler(workers->node, node_place_connection(workers->node));
    struct seat *seat = mem_alloc(sizeof(*seat));
    *seat = (struct seat){handler, handler->on_accept(handler->owner, conn, peer)};
    if (seat->context)
        return seat;
    mem_free(seat);
    return NULL;
}

static void on_data(void *context, struct bytes data)
{
    struct seat *seat = context;
    seat->handler->on_data(seat->context, data);
}

static void on_writable(void *context)
{
    struct seat *seat = context;
    seat->handler->on_writable(seat->context);
}

static void on_close(void *context, int error)
{
    struct seat *seat = context;
    seat->handler->on_close(seat->context, error);
    mem_free(seat);
}

static void on_secure(void *context, const struct net_tls_info *info)
{
    struct seat *seat = context;
    seat->handler->on_secure(seat->context, info);
}
