// SPDX-License-Identifier: Apache-2.0
// The threads of workers 1, 2, …: each has a loop and sockets of its own, and runs its worker's turns (server/worker.h). Worker 0 is
// on the program's first thread, with the listeners; what is accepted there is handed over by a call.
//
// All functions belong to the first thread. With one worker they do nothing.
#pragma once

#include "os/listener.h"
#include "os/offload.h"
#include "server/node.h"

struct serve_worker;
struct serve_workers;

// What a listener accepts goes to this handler of the chosen worker.
struct serve_spread {
    struct serve_workers *workers;
    const struct net_handler *(*handler)(struct node *node, uint32_t worker);
};

struct serve_workers {
    struct serve_worker *others; // owned array: workers 1, 2, …
    uint32_t count;              // of workers, with worker 0
    struct loop *main;           // borrowed: worker 0's
    struct node *node;           // borrowed
    struct offload **offloads;   // owned array, by worker; [0] is unused
    const struct logger *logger; // borrowed
};

// How many a server with this many cores has unless it is told: what measures best. The others are for clients, the disk and the
// kernel's part of the network.
uint32_t serve_workers_default(uint32_t cores);

// Loops for all but the first, so that they can be woken. ERR_LIMIT: no descriptors for them.
int serve_workers_init(struct serve_workers *workers, uint32_t count, struct loop *main,
                       const struct logger *logger) MUST_USE;
// A port of the pool on each of these loops (node_env.offloads). ERR_LIMIT.
int serve_workers_open_offload(struct serve_workers *workers, struct offload_pool *pool) MUST_USE;
// After serve_workers_join().
void serve_workers_close_offload(struct serve_workers *workers);
// node_env.wake; the owner is the struct serve_workers. Any thread.
void serve_workers_wake(void *owner, uint32_t worker);
// The threads begin. ERR_LIMIT: no thread to be had; those that began go on until serve_workers_join().
int serve_workers_start(struct serve_workers *workers, struct node *node) MUST_USE;
// Spreads what this listener accepts. `spread` is filled in, and borrowed until the listener is closed.
void serve_workers_spread(struct serve_workers *workers, struct listener *listener, struct serve_spread *spread,
                          const struct net_handler *(*handler)(struct node *node, uint32_t worker));
// The server stops: each thread ends when its worker was told to close and has no more connections. Those that are left at this
// time (monotonic ms) are closed.
void serve_workers_stop(struct serve_workers *workers, uint64_t stop_by_ms);
// Waits for the threads. Then the node may be stopped, and what is left freed by serve_workers_deinit().
void serve_workers_join(struct serve_workers *workers);
void serve_workers_deinit(struct serve_workers *workers);
