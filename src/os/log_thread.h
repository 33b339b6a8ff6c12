// SPDX-License-Identifier: Apache-2.0
// The thread that executes the log's disk requests, one after the other, so that the worker never waits for a disk. While
// one sync runs, the worker gathers the next batch.
//
// Requests come and go through two mailboxes (base/mailbox.h); a semaphore wakes the thread, an async handle the loop.
// Everything here is called by the loop's thread.
#pragma once

#include <uv.h>

#include "os/directory.h"
#include "os/loop.h"

struct log_thread {
    struct mailbox inbox;              // to the thread
    struct mailbox outbox;             // back to the loop
    struct loop *loop;                 // borrowed
    const struct directory *directory; // borrowed
    uv_async_t finished;               // wakes the loop
    uv_sem_t wake;                     // wakes the thread
    uv_thread_t thread;
    struct mailbox_item stop; // received: the thread ends
    size_t pending;           // requests whose `done` has not run
    char *bounce;             // owned; the thread\'s, see file_write()
};

// ERR_LIMIT: no thread to be had.
int log_thread_start(struct log_thread *thread, struct loop *loop, const struct directory *directory) MUST_USE;
// Executes what was submitted before, then ends the thread and waits for it. Requests that are finished but whose `done`
// has not run get it here. The memory may go after loop_deinit().
void log_thread_stop(struct log_thread *thread);

// Queues a request. `done` runs in a later turn of the loop.
void log_thread_submit(struct log_thread *thread, struct disk_request *request);
