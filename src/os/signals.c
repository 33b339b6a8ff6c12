// SPDX-License-Identifier: Apache-2.0
#include "os/signals.h"

#include <signal.h>
#include <unistd.h>

#include "base/must.h"

static void signals_on_signal(uv_signal_t *handle, int number);

void signals_start(struct signals *signals, struct loop *loop, void *owner, bool (*on_stop)(void *owner, int number),
                   void (*on_request)(void *owner, int number))
{
    static const int numbers[SIGNALS_COUNT] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
    signals->loop = loop;
    signals->owner = owner;
    signals->on_stop = on_stop;
    signals->on_request = on_request;
    signals->stopping = false;
    must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    for (int i = 0; i < SIGNALS_COUNT; i++) {
        must(uv_signal_init(&loop->uv, &signals->handles[i]) == 0);
        signals->handles[i].data = signals;
        must(uv_signal_start(&signals->handles[i], signals_on_signal, numbers[i]) == 0);
    }
}

// In between they are blocked: libuv gives each its default effect first, which is to kill.
void signals_stop(struct signals *signals)
{
    sigset_t all, before;
    sigfillset(&all);
    must(pthread_sigmask(SIG_BLOCK, &all, &before) == 0);
    for (int i = 0; i < SIGNALS_COUNT; i++) {
        int number = signals->handles[i].signum;
        uv_close((uv_handle_t *)&signals->handles[i], NULL);
        if (!signals->stopping || (number != SIGINT && number != SIGTERM))
            must(signal(number, SIG_IGN) != SIG_ERR);
    }
    must(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

static void signals_on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;
    loop_enter(signals->loop);
    if (number != SIGINT && number != SIGTERM) {
        signals->on_request(signals->owner, number);
        return;
    }
    // Somebody is in a hurry. What is acknowledged is on the disk.
    if (signals->stopping)
        _exit(128 + number);
    signals->stopping = signals->on_stop(signals->owner, number);
}
