// SPDX-License-Identifier: Apache-2.0
// How turns map to libuv's phases: timers and idle callbacks may begin a turn, `prepare` ends it before the poll; the poll's
// callbacks begin one, `check` ends it right after. The idle handle is only there to keep the poll from waiting.
#include "os/loop.h"

#include "base/error.h"
#include "base/must.h"
#include "os/clock.h"

static void loop_end(struct loop *loop);
static void loop_arm(struct loop *loop);
static void loop_on_prepare(uv_prepare_t *handle);
static void loop_on_check(uv_check_t *handle);
static void loop_on_idle(uv_idle_t *handle);
static void loop_on_timer(uv_timer_t *handle);
static void loop_on_wake(uv_async_t *handle);
static void loop_close_handle(uv_handle_t *handle, void *unused);

int loop_init(struct loop *loop, const struct loop_handler *handler)
{
    if (uv_loop_init(&loop->uv) != 0)
        return ERR_LIMIT;
    if (uv_async_init(&loop->uv, &loop->wake, loop_on_wake) != 0) {
        uv_loop_close(&loop->uv);
        return ERR_LIMIT;
    }
    loop->uv.data = loop;
    loop->handler = handler;
    loop->in_turn = false;
    loop->armed_ms = UINT64_MAX;
    list_init(&loop->tasks);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->timer);
    uv_prepare_start(&loop->prepare, loop_on_prepare);
    uv_check_start(&loop->check, loop_on_check);
    // The first turn comes at once: it arms the timer.
    uv_idle_start(&loop->idle, loop_on_idle);
    return 0;
}

void loop_deinit(struct loop *loop)
{
    must(!loop->in_turn);
    uv_walk(&loop->uv, loop_close_handle, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    must(uv_loop_close(&loop->uv) == 0);
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_wake(struct loop *loop)
{
    uv_async_send(&loop->wake);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

void loop_enter(struct loop *loop)
{
    if (loop->in_turn)
        return;
    loop->in_turn = true;
    loop->now = clock_now();
    loop->handler->turn_begin(loop->handler->owner, loop->now);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->link))
        list_push_back(&loop->tasks, &task->link);
    uv_idle_start(&loop->idle, loop_on_idle);
}

static void loop_end(struct loop *loop)
{
    if (!loop->in_turn)
        return;
    bool again = loop->handler->turn_end(loop->handler->owner);
    loop->in_turn = false;
    if (again)
        uv_idle_start(&loop->idle, loop_on_idle);
    loop_arm(loop);
}

static void loop_arm(struct loop *loop)
{
    uint64_t deadline_ms = loop->handler->next_deadline_ms(loop->handler->owner);
    if (deadline_ms == loop->armed_ms)
        return;
    loop->armed_ms = deadline_ms;
    if (deadline_ms == UINT64_MAX) {
        uv_timer_stop(&loop->timer);
        return;
    }
    uint64_t now_ms = moment_mono_ms(loop->now);
    uv_timer_start(&loop->timer, loop_on_timer, deadline_ms > now_ms ? deadline_ms - now_ms : 0, 0);
}

static void loop_on_prepare(uv_prepare_t *handle)
{
    loop_end(container_of(handle, struct loop, prepare));
}

static void loop_on_check(uv_check_t *handle)
{
    loop_end(container_of(handle, struct loop, check));
}

// Tasks that are deferred while tasks run wait for the next turn: otherwise one that defers itself would never let go.
static void loop_on_idle(uv_idle_t *handle)
{
    struct loop *loop = container_of(handle, struct loop, idle);
    uv_idle_stop(handle);
    loop_enter(loop);
    struct list due;
    list_init(&due);
    list_append_all(&due, &loop->tasks);
    struct list *link;
    while ((link = list_pop_front(&due))) {
        struct loop_task *task = container_of(link, struct loop_task, link);
        task->run(task);
    }
}

// libuv's cached time may be a millisecond ahead of or behind the turn's: the turn's end arms the rest that is missing.
static void loop_on_timer(uv_timer_t *handle)
{
    struct loop *loop = container_of(handle, struct loop, timer);
    loop->armed_ms = UINT64_MAX;
    loop_enter(loop);
}

// Within a turn, which may have looked for what the waker brought before it was there, nobody else would look again: another turn
// follows at once.
static void loop_on_wake(uv_async_t *handle)
{
    struct loop *loop = container_of(handle, struct loop, wake);
    if (loop->in_turn)
        uv_idle_start(&loop->idle, loop_on_idle);
    else
        loop_enter(loop);
}

static void loop_close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}
