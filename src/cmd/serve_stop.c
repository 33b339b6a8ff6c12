// SPDX-License-Identifier: Apache-2.0
#include "cmd/serve_stop.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

static void on_alarm(int number);

void serve_stop_bound(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    (void)sigaction(SIGALRM, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
    (void)alarm(SERVE_STOP_LAST_S);
}

void serve_stop_tell(struct server_log *log)
{
    logger_write(&log->logger, LOG_FATAL,
                 "the disk has not finished %d seconds after the stop was asked for: ending without it; what was not "
                 "acknowledged may be lost",
                 (SERVE_STOP_MS + SERVE_STOP_HUNG_MS) / 1000);
    server_log_finish(log);
}

// Only what a signal handler may do, and without waiting for whoever should read standard error.
static void on_alarm(int number)
{
    static const char text[] = "the disk does not let the server stop: ending without it\n";
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
    (void)number;
    if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) && write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        _exit(2);
    _exit(1);
}
