// SPDX-License-Identifier: Apache-2.0
// Slow work of the processor, away from the worker's thread: password hashes. os/ runs it on a few threads, a simulator
// when it likes. Jobs run in any order; each worker has an offload of its own, whatever threads they share.
#pragma once

#include "base/mailbox.h"

// Embedded by its owner, who keeps it and all that it points to untouched from offload_submit() until `done`.
struct offload_job {
    struct mailbox_item item;              // the implementation's while under way
    void *implementation;                  // the same
    void (*run)(struct offload_job *job);  // on some thread: may touch the job only
    void (*done)(struct offload_job *job); // on the worker's thread, within a turn, exactly once; never inside
                                           // offload_submit(). When everything stops perhaps without `run`
};

struct offload {
    void (*submit)(struct offload *offload, struct offload_job *job);
};

// On the worker's thread. Never fails and never waits: who submits bounds how many.
static inline void offload_submit(struct offload *offload, struct offload_job *job)
{
    offload->submit(offload, job);
}
