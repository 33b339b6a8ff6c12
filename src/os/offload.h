// SPDX-License-Identifier: Apache-2.0
// Threads for slow work of the processor (env/offload.h): one pool per process, and a port to it per worker's loop.
//
// One thread is there from the start, the others begin with the jobs (those that the system refuses then are done without). They
// run at a lower priority: a flood of logins may wait, messages should not. Ports are opened, used and closed on their loop's thread; the pool is started before the first port and stopped after the last.
// tidy: prefix offload
#pragma once

#include <uv.h>

#include "base/error.h"
#include "base/list.h"
#include "env/offload.h"
#include "os/loop.h"

#define OFFLOAD_THREADS_MAX 8

// Oldest first, linked by their items.
struct offload_queue {
    struct mailbox_item *first;
    struct mailbox_item **last; // where the next goes
};

struct offload_pool {
    uv_mutex_t mutex;          // guards what follows, and the finished jobs of the ports
    uv_cond_t work;            // for the threads
    uv_cond_t finished;        // for offload_port_close()
    struct offload_queue jobs; // that wait
    uint32_t thread_max;
    uint32_t thread_count;
    bool stopping;
    uv_thread_t threads[OFFLOAD_THREADS_MAX];
};

// thread_max: at most OFFLOAD_THREADS_MAX count. The pool may not be moved. ERR_LIMIT: not one thread to be had; then the pool is
// not to be used, nor stopped.
int offload_pool_start(struct offload_pool *pool, uint32_t thread_max) MUST_USE;
// All ports are closed.
void offload_pool_stop(struct offload_pool *pool);

struct offload_port {
    struct offload offload;        // what the pure side gets
    struct offload_pool *pool;     // borrowed
    struct loop *loop;             // borrowed
    struct offload_queue finished; // back from the threads
    uv_async_t wake;
    size_t pending; // jobs whose `done` has not run
};

// ERR_LIMIT: no descriptor to be had.
int offload_port_open(struct offload_port *port, struct offload_pool *pool, struct loop *loop) MUST_USE;
// Waits for the jobs that a thread is at; those that none has begun are not run. All get their `done` here. The memory may go after
// loop_deinit().
void offload_port_close(struct offload_port *port);
