// SPDX-License-Identifier: Apache-2.0
#include "cmd/serve_workers.h"

#include <unistd.h>

#include "base/memory.h"
#include "base/must.h"
#include "server/worker.h"

// Few servers get faster beyond this; `threads` may say more.
#define SERVE_WORKERS_DEFAULT_MAX 8

struct serve_worker {
    struct loop loop;
    struct loop_handler handler;
    struct tcp tcp;
    struct worker *worker; // borrowed from the node
    const struct logger *logger;
    struct offload_port offload;
    uv_thread_t thread;
    struct worker_call stop;
    uint64_t stop_told_ms; // what the call brings
    uint64_t stop_by_ms;   // UINT64_MAX: not stopping
    bool forced;           // slow connections were closed
    bool abandoned;        // ends without its worker's leave: the start failed
    bool has_offload;
    bool has_thread;
};

// A connection on its way to another worker.
struct handover {
    struct worker_call call;
    struct serve_worker *to;
    const struct net_handler *handler;
    struct tcp_security security;
    struct net_peer peer;
    int fd;
};

static void run_thread(void *argument);
static void on_turn_begin(void *owner, struct moment now);
static bool on_turn_end(void *owner);
static uint64_t on_deadline(void *owner);
static bool place(void *owner, struct listener *listener, int fd, const struct net_peer *peer);
static void run_handover(struct worker_call *call, struct worker *worker);
static void run_stop(struct worker_call *call, struct worker *worker);
static void run_abandon(struct worker_call *call, struct worker *worker);

uint32_t serve_workers_default(uint32_t cores)
{
    uint32_t half = cores / 2;
    if (half > SERVE_WORKERS_DEFAULT_MAX)
        return SERVE_WORKERS_DEFAULT_MAX;
    return half > 1 ? half : 1;
}

int serve_workers_init(struct serve_workers *workers, uint32_t count, struct loop *main, const struct logger *logger)
{
    *workers = (struct serve_workers){.count = 1, .main = main, .logger = logger};
    if (count <= 1)
        return 0;
    workers->others = mem_alloc_zero((count - 1) * sizeof(*workers->others));
    for (; workers->count < count; workers->count++) {
        struct serve_worker *one = &workers->others[workers->count - 1];
        one->handler = (struct loop_handler){one, on_turn_begin, on_turn_end, on_deadline};
        one->logger = logger;
        one->stop_by_ms = UINT64_MAX;
        int error = loop_init(&one->loop, &one->handler);
        if (error)
            return error;
        tcp_init(&one->tcp, &one->loop);
    }
    return 0;
}

int serve_workers_open_offload(struct serve_workers *workers, struct offload_pool *pool)
{
    workers->offloads = mem_alloc_zero(workers->count * sizeof(*workers->offloads));
    for (uint32_t i = 1; i < workers->count; i++) {
        struct serve_worker *one = &workers->others[i - 1];
        int error = offload_port_open(&one->offload, pool, &one->loop);
        if (error)
            return error;
        one->has_offload = true;
        workers->offloads[i] = &one->offload.offload;
    }
    return 0;
}

void serve_workers_close_offload(struct serve_workers *workers)
{
    for (uint32_t i = 1; i < workers->count; i++) {
        struct serve_worker *one = &workers->others[i - 1];
        if (one->has_offload)
            offload_port_close(&one->offload);
        one->has_offload = false;
    }
}

void serve_workers_wake(void *owner, uint32_t worker)
{
    struct serve_workers *workers = owner;
    loop_wake(worker == 0 ? workers->main : &workers->others[worker - 1].loop);
}

int serve_workers_start(struct serve_workers *workers, struct node *node)
{
    workers->node = node;
    for (uint32_t i = 1; i < workers->count; i++) {
        struct serve_worker *one = &workers->others[i - 1];
        one->worker = node_worker(node, i);
        if (uv_thread_create(&one->thread, run_thread, one) != 0)
            return ERR_LIMIT;
        one->has_thread = true;
    }
    return 0;
}

void serve_workers_spread(struct serve_workers *workers, struct listener *listener, struct serve_spread *spread,
                          const struct net_handler *(*handler)(struct node *node, uint32_t worker))
{
    if (workers->count == 1)
        return;
    *spread = (struct serve_spread){workers, handler};
    listener->place = place;
    listener->place_owner = spread;
}

void serve_workers_stop(struct serve_workers *workers, uint64_t stop_by_ms)
{
    for (uint32_t i = 1; i < workers->count; i++) {
        struct serve_worker *one = &workers->others[i - 1];
        one->stop_told_ms = stop_by_ms;
        one->stop.run = run_stop;
        worker_send_call(one->worker, &one->stop);
    }
}

void serve_workers_join(struct serve_workers *workers)
{
    for (uint32_t i = 1; i < workers->count; i++) {
        struct serve_worker *one = &workers->others[i - 1];
        if (!one->has_thread)
            continue;
        // A stop that was never begun: nobody has been served.
        if (!one->stop.run) {
            one->stop.run = run_abandon;
            worker_send_call(one->worker, &one->stop);
        }
        must(uv_thread_join(&one->thread) == 0);
        one->has_thread = false;
    }
}

void serve_workers_deinit(struct serve_workers *workers)
{
    for (uint32_t i = 1; i < workers->count; i++) {
        struct serve_worker *one = &workers->others[i - 1];
        tcp_deinit(&one->tcp);
        loop_deinit(&one->loop);
    }
    mem_free(workers->offloads);
    workers->offloads = NULL;
    mem_free(workers->others);
    workers->others = NULL;
    workers->count = 1;
}

static void run_thread(void *argument)
{
    loop_run(&((struct serve_worker *)argument)->loop);
}

static void on_turn_begin(void *owner, struct moment now)
{
    struct serve_worker *one = owner;
    worker_turn_begin(one->worker, now);
    worker_receive(one->worker);
}

static bool on_turn_end(void *owner)
{
    struct serve_worker *one = owner;
    bool again = worker_turn_end(one->worker);
    if (one->abandoned || (worker_is_closing(one->worker) && one->tcp.count == 0)) {
        loop_stop(&one->loop);
        return false;
    }
    if (!one->forced && moment_mono_ms(one->loop.now) >= one->stop_by_ms) {
        one->forced = true;
        if (one->tcp.count > 0)
            logger_write(one->logger, LOG_WARN, "%zu connections of worker %u did not take their rest in time",
                         one->tcp.count, worker_index(one->worker));
        tcp_close_all(&one->tcp);
    }
    return again;
}

static uint64_t on_deadline(void *owner)
{
    const struct serve_worker *one = owner;
    uint64_t deadline_ms = worker_next_deadline_ms(one->worker);
    uint64_t stop_ms = one->forced ? UINT64_MAX : one->stop_by_ms;
    return deadline_ms < stop_ms ? deadline_ms : stop_ms;
}

static bool place(void *owner, struct listener *listener, int fd, const struct net_peer *peer)
{
    const struct serve_spread *spread = owner;
    struct serve_workers *workers = spread->workers;
    uint32_t worker = node_place_connection(workers->node);
    if (worker == 0)
        return false;
    struct handover *handover = mem_alloc(sizeof(*handover));
    *handover = (struct handover){
        .call.run = run_handover,
        .to = &workers->others[worker - 1],
        .handler = spread->handler(workers->node, worker),
        .security = listener->security,
        .peer = *peer,
        .fd = fd,
    };
    worker_send_call(handover->to->worker, &handover->call);
    return true;
}

static void run_handover(struct worker_call *call, struct worker *worker)
{
    struct handover *handover = container_of(call, struct handover, call);
    if (worker)
        (void)tcp_adopt(&handover->to->tcp, handover->fd, handover->handler, &handover->peer, &handover->security);
    else
        close(handover->fd);
    mem_free(handover);
}

static void run_stop(struct worker_call *call, struct worker *worker)
{
    struct serve_worker *one = container_of(call, struct serve_worker, stop);
    if (worker)
        one->stop_by_ms = one->stop_told_ms;
}

static void run_abandon(struct worker_call *call, struct worker *worker)
{
    if (worker)
        container_of(call, struct serve_worker, stop)->abandoned = true;
}
