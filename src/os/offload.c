// SPDX-License-Identifier: Apache-2.0
// One lock for everything: a job takes milliseconds, so nobody ever waits long for it.
#include "os/offload.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/must.h"

// bcrypt keeps its tables on the heap; nothing else is deep.
#define OFFLOAD_STACK 262144
#define OFFLOAD_NICE  10

static void add_thread(struct offload_pool *pool);
static void destroy_locks(struct offload_pool *pool);
static void thread_main(void *argument);
static void finish(struct offload_pool *pool, struct offload_job *job);
static void submit(struct offload *offload, struct offload_job *job);
static void take_back(struct offload_port *port);
static void on_wake(uv_async_t *handle);
static void deliver(struct offload_port *port);
static void queue_init(struct offload_queue *queue);
static void queue_push(struct offload_queue *queue, struct offload_job *job);
static struct offload_job *queue_pop(struct offload_queue *queue);

int offload_pool_start(struct offload_pool *pool, uint32_t thread_max)
{
    *pool = (struct offload_pool){.thread_max = thread_max < OFFLOAD_THREADS_MAX ? thread_max : OFFLOAD_THREADS_MAX};
    must(pool->thread_max > 0);
    queue_init(&pool->jobs);
    must(uv_mutex_init(&pool->mutex) == 0);
    must(uv_cond_init(&pool->work) == 0 && uv_cond_init(&pool->finished) == 0);
    uv_mutex_lock(&pool->mutex);
    add_thread(pool);
    uv_mutex_unlock(&pool->mutex);
    if (pool->thread_count > 0)
        return 0;
    destroy_locks(pool);
    return ERR_LIMIT;
}

void offload_pool_stop(struct offload_pool *pool)
{
    uv_mutex_lock(&pool->mutex);
    must(!pool->jobs.first);
    pool->stopping = true;
    uv_cond_broadcast(&pool->work);
    uv_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        must(uv_thread_join(&pool->threads[i]) == 0);
    destroy_locks(pool);
}

int offload_port_open(struct offload_port *port, struct offload_pool *pool, struct loop *loop)
{
    port->offload.submit = submit;
    port->pool = pool;
    port->loop = loop;
    port->pending = 0;
    queue_init(&port->finished);
    return uv_async_init(&loop->uv, &port->wake, on_wake) == 0 ? 0 : ERR_LIMIT;
}

void offload_port_close(struct offload_port *port)
{
    struct offload_pool *pool = port->pool;
    take_back(port);
    while (port->pending > 0) {
        uv_mutex_lock(&pool->mutex);
        while (!port->finished.first)
            uv_cond_wait(&pool->finished, &pool->mutex);
        uv_mutex_unlock(&pool->mutex);
        deliver(port);
    }
    uv_close((uv_handle_t *)&port->wake, NULL);
}

// With the lock. Where the system gives no more, those that are there do the work.
static void add_thread(struct offload_pool *pool)
{
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = OFFLOAD_STACK};
    if (uv_thread_create_ex(&pool->threads[pool->thread_count], &options, thread_main, pool) == 0)
        pool->thread_count++;
}

static void destroy_locks(struct offload_pool *pool)
{
    uv_cond_destroy(&pool->work);
    uv_cond_destroy(&pool->finished);
    uv_mutex_destroy(&pool->mutex);
}

static void thread_main(void *argument)
{
    struct offload_pool *pool = argument;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), OFFLOAD_NICE);
    uv_mutex_lock(&pool->mutex);
    while (!pool->stopping) {
        struct offload_job *job = queue_pop(&pool->jobs);
        if (!job) {
            uv_cond_wait(&pool->work, &pool->mutex);
            continue;
        }
        uv_mutex_unlock(&pool->mutex);
        job->run(job);
        uv_mutex_lock(&pool->mutex);
        finish(pool, job);
    }
    uv_mutex_unlock(&pool->mutex);
}

// With the lock, under which the port cannot go: it waits for this job.
static void finish(struct offload_pool *pool, struct offload_job *job)
{
    struct offload_port *port = job->implementation;
    queue_push(&port->finished, job);
    uv_async_send(&port->wake);
    uv_cond_broadcast(&pool->finished);
}

static void submit(struct offload *offload, struct offload_job *job)
{
    struct offload_port *port = container_of(offload, struct offload_port, offload);
    struct offload_pool *pool = port->pool;
    port->pending++;
    job->implementation = port;
    uv_mutex_lock(&pool->mutex);
    queue_push(&pool->jobs, job);
    if (pool->thread_count < pool->thread_max)
        add_thread(pool);
    uv_cond_signal(&pool->work);
    uv_mutex_unlock(&pool->mutex);
}

// The port's jobs that no thread has begun count as finished; those of other ports stay in their order.
static void take_back(struct offload_port *port)
{
    struct offload_pool *pool = port->pool;
    uv_mutex_lock(&pool->mutex);
    struct offload_queue all = pool->jobs; // only to be taken from
    queue_init(&pool->jobs);
    struct offload_job *job;
    while ((job = queue_pop(&all)))
        queue_push(job->implementation == port ? &port->finished : &pool->jobs, job);
    uv_mutex_unlock(&pool->mutex);
}

static void on_wake(uv_async_t *handle)
{
    struct offload_port *port = container_of(handle, struct offload_port, wake);
    loop_enter(port->loop);
    deliver(port);
}

static void deliver(struct offload_port *port)
{
    struct offload_job *job;
    do {
        uv_mutex_lock(&port->pool->mutex);
        job = queue_pop(&port->finished);
        uv_mutex_unlock(&port->pool->mutex);
        if (job) {
            port->pending--;
            job->done(job);
        }
    } while (job);
}

static void queue_init(struct offload_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_push(struct offload_queue *queue, struct offload_job *job)
{
    job->item.next = NULL;
    *queue->last = &job->item;
    queue->last = &job->item.next;
}

// The oldest; NULL: none. After the last one the queue is as new.
static struct offload_job *queue_pop(struct offload_queue *queue)
{
    struct mailbox_item *item = queue->first;
    if (!item)
        return NULL;
    queue->first = item->next;
    if (!queue->first)
        queue->last = &queue->first;
    return container_of(item, struct offload_job, item);
}
