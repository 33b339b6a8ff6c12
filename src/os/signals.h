// SPDX-License-Identifier: Apache-2.0
// Signals of the process, as calls within turns (CO-X01). The first SIGINT or SIGTERM asks for an orderly stop, the second
// ends the process at once, unless on_stop() said by false that it takes no notice of the first. SIGPIPE is ignored: a peer that is gone shows as an error of the write. SIGHUP, SIGUSR1 and SIGUSR2,
// which service managers and log rotation send to the servers we replace, are handed on.
#pragma once

#include <uv.h>

#include "os/loop.h"

#define SIGNALS_COUNT 5

struct signals {
    uv_signal_t handles[SIGNALS_COUNT];
    struct loop *loop; // borrowed
    void *owner;
    bool (*on_stop)(void *owner, int number);
    void (*on_request)(void *owner, int number);
    bool stopping;
};

// One per process: dispositions are the process's.
void signals_start(struct signals *signals, struct loop *loop, void *owner, bool (*on_stop)(void *owner, int number),
                   void (*on_request)(void *owner, int number));
// The process is about to end: signals are not heard any more, and do not kill it in its last steps. Only whoever asked for the stop and
// asks again ends it at once. The memory may go after loop_deinit().
void signals_stop(struct signals *signals);
