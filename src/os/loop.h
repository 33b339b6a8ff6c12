// SPDX-License-Identifier: Apache-2.0
// A worker's loop on libuv, cut into turns. A turn is: the clock is read once, any number of callbacks run (sockets, timer,
// finished disk requests, deferred tasks), then the worker's own end of turn sends and submits what they caused, all at once.
//
// Every libuv callback of this folder calls loop_enter() first; that begins a turn if none is under way. The turn ends
// before the loop could sleep: after a poll, or before one if timers and tasks began it.
//
// One thread runs the loop and calls everything here but loop_wake(). The handler's functions are never called inside one another.
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/list.h"
#include "env/clock.h"

// What runs in the turns. Borrowed for the life of the loop.
struct loop_handler {
    void *owner;
    void (*turn_begin)(void *owner, struct moment now);
    // True: something is left, come back at once.
    bool (*turn_end)(void *owner);
    // Monotonic milliseconds at which a turn is needed though nothing happens; UINT64_MAX: none.
    uint64_t (*next_deadline_ms)(void *owner);
};

// Something to do in the next turn but not now. Embedded by its owner; deferring it twice is the same as once.
struct loop_task {
    struct list link; // list link; must be list_init()ed
    void (*run)(struct loop_task *task);
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; // active while a turn is due at once
    uv_timer_t timer;
    uv_async_t wake;                    // from other threads
    const struct loop_handler *handler; // borrowed
    struct list tasks;                  // struct loop_task
    struct moment now;                  // of the current turn
    uint64_t armed_ms;                  // what the timer is set to; UINT64_MAX: stopped
    bool in_turn;
};

// 0, or ERR_LIMIT when the system gives no descriptors for it.
int loop_init(struct loop *loop, const struct loop_handler *handler);
// Closes what is left of handles; their owners must have closed their own before. The loop must not be running.
void loop_deinit(struct loop *loop);

// Runs turns until loop_stop(). May be called again.
void loop_run(struct loop *loop);
// Any thread: the loop takes a turn that begins after this call, now or as soon as it is awake.
void loop_wake(struct loop *loop);
// Makes loop_run() return after the current turn.
void loop_stop(struct loop *loop);

// Begins a turn unless one is under way. First line of every libuv callback.
void loop_enter(struct loop *loop);
// Runs task->run once in a later turn, which begins without waiting.
void loop_defer(struct loop *loop, struct loop_task *task);
