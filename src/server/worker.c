// SPDX-License-Identifier: Apache-2.0
#include "server/worker.h"

#include "base/memory.h"
#include "base/must.h"

struct worker {
    struct broker *broker;       // owned
    struct websocket *websocket; // owned; NULL: none
    uint32_t index;
    uint32_t count;
    struct worker **workers; // borrowed
    void (*wake)(void *owner, uint32_t index);
    void *wake_owner;
    struct remote_carrier carrier;
    struct mailbox batches;         // struct remote_batch: others', and its own that return
    struct mailbox calls;           // struct worker_call
    struct worker_call *drain_call; // borrowed: to be finished when drained; NULL: none
    bool closing;
    _Atomic uint64_t ended; // connections; others read it
};

static void carry(void *owner, uint32_t to, struct remote_batch *batch);
static struct worker_call *take_calls(struct worker *worker);
static void run_call(struct worker *worker, struct worker_call *call);

struct worker *worker_new(const struct worker_options *options, struct moment now)
{
    struct worker *worker = mem_alloc_zero(sizeof(*worker));
    worker->index = options->index;
    worker->count = options->count;
    worker->workers = options->workers;
    worker->wake = options->wake;
    worker->wake_owner = options->wake_owner;
    worker->carrier = (struct remote_carrier){.owner = worker, .send = carry};
    mailbox_init(&worker->batches);
    mailbox_init(&worker->calls);
    atomic_init(&worker->ended, 0);
    struct broker_options broker = *options->broker;
    broker.worker = options->index;
    broker.worker_count = options->count;
    broker.carrier = &worker->carrier;
    worker->broker = broker_new(&broker, now);
    if (options->websocket) {
        struct websocket_options websocket = *options->websocket;
        websocket.inner = broker_net_handler(worker->broker);
        // Every worker has its share of the rate.
        uint32_t rate = websocket.rate_limit;
        websocket.rate_limit = rate / options->count + (rate % options->count != 0);
        worker->websocket = websocket_new(&websocket, now);
    }
    return worker;
}

void worker_free(struct worker *worker)
{
    struct mailbox_item *item;
    while ((item = mailbox_receive(&worker->batches)))
        remote_batch_free(container_of(item, struct remote_batch, item));
    while ((item = mailbox_receive(&worker->calls))) {
        struct worker_call *call = container_of(item, struct worker_call, item);
        if (!call->returning)
            call->run(call, NULL);
    }
    if (worker->websocket)
        websocket_free(worker->websocket);
    broker_free(worker->broker);
    mem_free(worker);
}

struct broker *worker_broker(struct worker *worker)
{
    return worker->broker;
}

const struct net_handler *worker_websocket_handler(struct worker *worker)
{
    return worker->websocket ? websocket_net_handler(worker->websocket) : NULL;
}

uint32_t worker_index(const struct worker *worker)
{
    return worker->index;
}

void worker_turn_begin(struct worker *worker, struct moment now)
{
    broker_turn_begin(worker->broker, now);
    if (worker->websocket)
        websocket_turn_begin(worker->websocket, now);
}

// Calls are taken first and run last: what their sender sent before them is then worked through.
void worker_receive(struct worker *worker)
{
    if (worker->count <= 1)
        return;
    struct worker_call *calls = take_calls(worker);
    struct mailbox_item *item;
    while ((item = mailbox_receive(&worker->batches)))
        broker_remote_receive(worker->broker, container_of(item, struct remote_batch, item));
    while (calls) {
        struct mailbox_item *next = calls->item.next;
        run_call(worker, calls);
        calls = next ? container_of(next, struct worker_call, item) : NULL;
    }
}

bool worker_turn_end(struct worker *worker)
{
    bool again = broker_turn_end(worker->broker);
    if (worker->websocket)
        again |= websocket_turn_end(worker->websocket);
    if (worker->count <= 1)
        return again;
    uint64_t unopened = worker->websocket ? websocket_unopened(worker->websocket) : 0;
    atomic_store_explicit(&worker->ended, broker_connections_ended(worker->broker) + unopened, memory_order_relaxed);
    if (worker->drain_call && broker_is_drained(worker->broker)) {
        struct worker_call *call = worker->drain_call;
        worker->drain_call = NULL;
        worker_finish_call(worker, call);
    }
    return again;
}

uint64_t worker_next_deadline_ms(const struct worker *worker)
{
    uint64_t deadline_ms = broker_next_deadline_ms(worker->broker);
    uint64_t opening_ms = worker->websocket ? websocket_next_deadline_ms(worker->websocket) : UINT64_MAX;
    return deadline_ms < opening_ms ? deadline_ms : opening_ms;
}

void worker_send_call(struct worker *worker, struct worker_call *call)
{
    must(worker->count > 1);
    if (mailbox_send(&worker->calls, &call->item))
        worker->wake(worker->wake_owner, worker->index);
}

void worker_finish_call(struct worker *worker, struct worker_call *call)
{
    call->returning = true;
    worker_send_call(worker->workers[0], call);
}

void worker_drain(struct worker *worker, struct worker_call *call)
{
    must(!worker->drain_call);
    broker_drain(worker->broker);
    call->held = true;
    worker->drain_call = call;
}

void worker_close(struct worker *worker)
{
    worker->closing = true;
    broker_shutdown(worker->broker);
    if (worker->websocket)
        websocket_shutdown(worker->websocket);
}

bool worker_is_closing(const struct worker *worker)
{
    return worker->closing;
}

uint64_t worker_connections_ended(const struct worker *worker)
{
    return atomic_load_explicit(&worker->ended, memory_order_relaxed);
}

static void carry(void *owner, uint32_t to, struct remote_batch *batch)
{
    struct worker *receiver = ((struct worker *)owner)->workers[to];
    if (mailbox_send(&receiver->batches, &batch->item))
        receiver->wake(receiver->wake_owner, to);
}

// In their order, linked.
static struct worker_call *take_calls(struct worker *worker)
{
    struct mailbox_item *first = NULL, **last = &first, *item;
    while ((item = mailbox_receive(&worker->calls))) {
        *last = item;
        last = &item->next;
    }
    return first ? container_of(first, struct worker_call, item) : NULL;
}

// May free the call.
static void run_call(struct worker *worker, struct worker_call *call)
{
    if (call->returning) {
        call->returning = false;
        call->done(call);
        return;
    }
    bool is_told = call->done != NULL;
    call->held = false;
    call->run(call, worker);
    if (is_told && !call->held)
        worker_finish_call(worker, call);
}
