// SPDX-License-Identifier: Apache-2.0
// A worker: one broker and its mailboxes. A server has one or several, each run by a thread of its own; a connection lives on one
// worker for life; storage, STAN and monitoring are on worker 0.
//
//     OPEN ──worker_drain──► DRAINING ──what it sent was worked through──► DRAINED ──worker_close──► CLOSING
//
// OPEN      connections are served.
// DRAINING  no operation is carried out any more; what was carried out before is still on its way to other workers.
// DRAINED   it has all arrived; what comes from others is still delivered.
// CLOSING   every connection gets its rest, then is closed.
//
// Pure: turns are the caller's, and so is the thread; whoever sends to a sleeping worker calls `wake`. A worker alone never touches
// a mailbox, nor anything atomic.
//
// Threads: worker_send_call() and worker_connections_ended() may be called on any thread, everything else only on the worker's own.
#pragma once

#include <stdatomic.h>

#include "base/mailbox.h"
#include "broker/broker.h"
#include "broker/remote.h"
#include "broker/websocket.h"

struct worker;

// Something to be done on another worker's turn: a snapshot for monitoring, a connection handed over, a step of the stop. Embedded
// by its owner, who must not touch it between worker_send_call() and `done`.
struct worker_call {
    struct mailbox_item item; // the mailbox's
    // On that worker, within a turn. NULL: the server has stopped before, there is only to be freed.
    void (*run)(struct worker_call *call, struct worker *worker);
    // Afterwards on worker 0, within a turn. NULL: nobody is told, and `run` may free it.
    void (*done)(struct worker_call *call);
    bool held;      // set by `run`: it is not over yet, worker_finish_call() will say so
    bool returning; // the worker's: on its way to `done`
};

struct worker_options {
    const struct broker_options *broker;       // copied; worker, worker_count and carrier are filled in
    const struct websocket_options *websocket; // copied; `inner` is filled in; NULL: no websockets
    uint32_t index;
    uint32_t count;
    struct worker **workers; // borrowed array of all, complete before the first turn
    // Makes worker `index` take a turn. Any thread; stays pending if it is awake. Unused by a worker that is alone.
    void (*wake)(void *owner, uint32_t index);
    void *wake_owner;
};

struct worker *worker_new(const struct worker_options *options, struct moment now);
// All connections must be gone, and all threads ended. Calls still in its mailbox get their `run` without a worker.
void worker_free(struct worker *worker);

struct broker *worker_broker(struct worker *worker);
// What connections of a websocket listener are handed to; NULL: no websockets.
const struct net_handler *worker_websocket_handler(struct worker *worker);
uint32_t worker_index(const struct worker *worker);

void worker_turn_begin(struct worker *worker, struct moment now);
// After everybody who may be called knows the time: takes what came from other workers.
void worker_receive(struct worker *worker);
// True: something is left, take the next turn at once.
bool worker_turn_end(struct worker *worker);
uint64_t worker_next_deadline_ms(const struct worker *worker);

// Has `run` called on `worker`, and `done`, if there is one, on worker 0.
void worker_send_call(struct worker *worker, struct worker_call *call);
// Of a call that was held: it is over.
void worker_finish_call(struct worker *worker, struct worker_call *call);

// The steps of an orderly stop; see the picture. `call` is held until the worker is drained.
void worker_drain(struct worker *worker, struct worker_call *call);
void worker_close(struct worker *worker);
bool worker_is_closing(const struct worker *worker);

// Connections that have ended, ever; as of the last turn.
uint64_t worker_connections_ended(const struct worker *worker);
