// SPDX-License-Identifier: Apache-2.0
#include "os/log_thread.h"

#include "base/memory.h"
#include "base/must.h"
#include "os/file.h"

// The thread's stack: system calls and a vector of spans, nothing deep.
#define LOG_THREAD_STACK (256 * 1024)

static void log_thread_main(void *argument);
static void log_thread_on_finished(uv_async_t *handle);
static void log_thread_deliver(struct log_thread *thread);

int log_thread_start(struct log_thread *thread, struct loop *loop, const struct directory *directory)
{
    mailbox_init(&thread->inbox);
    mailbox_init(&thread->outbox);
    thread->loop = loop;
    thread->directory = directory;
    thread->pending = 0;
    if (uv_sem_init(&thread->wake, 0) != 0)
        return ERR_LIMIT;
    if (uv_async_init(&loop->uv, &thread->finished, log_thread_on_finished) != 0)
        goto fail_async;
    uv_thread_options_t options = {.flags = UV_THREAD_HAS_STACK_SIZE, .stack_size = LOG_THREAD_STACK};
    thread->bounce = mem_alloc_aligned(FILE_BLOCK, FILE_BOUNCE_SIZE);
    if (uv_thread_create_ex(&thread->thread, &options, log_thread_main, thread) != 0)
        goto fail_thread;
    return 0;

fail_thread:
    mem_free(thread->bounce);
    uv_close((uv_handle_t *)&thread->finished, NULL);
fail_async:
    uv_sem_destroy(&thread->wake);
    return ERR_LIMIT;
}

void log_thread_stop(struct log_thread *thread)
{
    if (mailbox_send(&thread->inbox, &thread->stop))
        uv_sem_post(&thread->wake);
    must(uv_thread_join(&thread->thread) == 0);
    log_thread_deliver(thread);
    must(thread->pending == 0);
    uv_close((uv_handle_t *)&thread->finished, NULL);
    uv_sem_destroy(&thread->wake);
    mem_free(thread->bounce);
}

void log_thread_submit(struct log_thread *thread, struct disk_request *request)
{
    thread->pending++;
    if (mailbox_send(&thread->inbox, &request->item))
        uv_sem_post(&thread->wake);
}

static void log_thread_main(void *argument)
{
    struct log_thread *thread = argument;
    for (;;) {
        struct mailbox_item *item = mailbox_receive(&thread->inbox);
        if (!item) {
            uv_sem_wait(&thread->wake);
            continue;
        }
        if (item == &thread->stop)
            return;
        struct disk_request *request = container_of(item, struct disk_request, item);
        directory_execute(thread->directory, request, request->op == DISK_READ ? NULL : thread->bounce);
        if (mailbox_send(&thread->outbox, item))
            uv_async_send(&thread->finished);
    }
}

static void log_thread_on_finished(uv_async_t *handle)
{
    struct log_thread *thread = container_of(handle, struct log_thread, finished);
    loop_enter(thread->loop);
    log_thread_deliver(thread);
}

static void log_thread_deliver(struct log_thread *thread)
{
    struct mailbox_item *item;
    while ((item = mailbox_receive(&thread->outbox))) {
        struct disk_request *request = container_of(item, struct disk_request, item);
        thread->pending--;
        request->done(request);
    }
}
