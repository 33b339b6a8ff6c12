// SPDX-License-Identifier: Apache-2.0
// tidy: prefix work
// The one loop of `weir work`: servers, children, signals, monitoring.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/work_internal.h"

enum { TICK_MS = 50, IDLE_TICK_MS = 1000 };

static int begin(struct work *work);
static int take_signals(struct work *work);
static void turn(struct work *work);
static void read_signals(struct work *work, uint64_t now_ns);
static void reap(struct work *work, uint64_t now_ns);
static bool is_finished(const struct work *work, uint64_t now_ns);
static void tell_of_servers(struct work *work);

int work_loop(struct work *work)
{
    list_init(&work->waiting);
    list_init(&work->running);
    list_init(&work->owed);
    work->began_ns = client_now_ns();
    int status = begin(work);
    if (status)
        return status;
    while (!is_finished(work, client_now_ns()))
        turn(work);
    work_jobs_give_back_all(work);
    bool is_clean = fleet_close(&work->fleet);
    work_jobs_free(work);
    work_http_close(&work->http);
    close(work->signal_fd);
    work_show_event(work, NULL, "stopped");
    // A try to reach a server cannot be broken off.
    if (!is_clean) {
        fflush(NULL);
        _exit(0);
    }
    return 0;
}

static int begin(struct work *work)
{
    const struct work_options *options = &work->options;
    const struct fleet_config config = {
        .connection = &options->connection,
        .list = &work->list,
        .cluster = options->cluster,
        .client_id = options->client_id,
        .channel = options->channel,
        .group = options->group,
        .durable = options->durable,
        .max_in_flight = (uint32_t)options->slots,
        .ack_wait_s = (uint32_t)(options->ack_wait_ns / 1000000000),
    };
    unsigned port = 0;
    char text[64];
    work->http.fd = -1;
    if (options->http && work_http_open(&work->http, options->http, &port))
        return 1;
    // Before the first thread: it inherits what is blocked.
    if (take_signals(work) || fleet_init(&work->fleet, &config)) {
        perror("weir work");
        work_http_close(&work->http);
        return 1;
    }
    if (options->http) {
        snprintf(text, sizeof(text), "monitoring on port %u", port);
        work_show_event(work, NULL, text);
    }
    return 0;
}

static int take_signals(struct work *work)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    work->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return work->signal_fd < 0 ? ERR_IO : 0;
}

static void turn(struct work *work)
{
    struct pollfd fds[1 + FLEET_FDS_MAX + WORK_HTTP_FDS_MAX];
    fds[0] = (struct pollfd){.fd = work->signal_fd, .events = POLLIN};
    size_t fleet_count = fleet_poll(&work->fleet, fds + 1);
    size_t http_count = work_http_poll(&work->http, fds + 1 + fleet_count);
    bool is_idle = work->waiting_count + work->running_count == 0 && list_empty(&work->owed) && !work->stopping &&
                   fleet_up_count(&work->fleet) == work->fleet.count;
    if (poll(fds, 1 + fleet_count + http_count, is_idle ? IDLE_TICK_MS : TICK_MS) < 0)
        return; // EINTR
    uint64_t now_ns = client_now_ns();
    if (fds[0].revents)
        read_signals(work, now_ns);
    fleet_step(&work->fleet, fds + 1, now_ns);
    tell_of_servers(work);
    work_jobs_step(work, now_ns);
    work_http_step(work, fds + 1 + fleet_count, now_ns);
    work_show_progress(work, now_ns);
}

static void read_signals(struct work *work, uint64_t now_ns)
{
    struct signalfd_siginfo told;
    while (read(work->signal_fd, &told, sizeof(told)) == (ssize_t)sizeof(told)) {
        if (told.ssi_signo == SIGCHLD)
            continue;
        work->hurried = work->stopping;
        if (!work->stopping)
            work_jobs_stop(work, now_ns);
    }
    reap(work, now_ns);
}

// Everybody's: as process 1 of a container those that commands left behind are ours.
static void reap(struct work *work, uint64_t now_ns)
{
    for (;;) {
        siginfo_t info = {0};
        int status;
        // It is looked at before it is gone, and its process group with it.
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid == 0)
            return;
        list_foreach(link, &work->running)
        {
            const struct job *job = container_of(link, struct job, link);
            if (job->pid == info.si_pid && job->timed_out)
                job_signal(job, SIGKILL);
        }
        if (waitpid(info.si_pid, &status, 0) == info.si_pid)
            work_jobs_ended(work, info.si_pid, status, now_ns);
    }
}

static bool is_finished(const struct work *work, uint64_t now_ns)
{
    if (!work->stopping)
        return false;
    return work->hurried || now_ns >= work->stop_ns || (work->running_count == 0 && list_empty(&work->owed));
}

// Once for each change, and once for each time that a server stays away for long.
static void tell_of_servers(struct work *work)
{
    for (size_t i = 0; i < work->fleet.count; i++) {
        const struct fleet_server *server = &work->fleet.servers[i];
        bool is_up = server->state == FLEET_UP;
        if (server->losses != work->told_losses[i]) {
            work->told_losses[i] = server->losses;
            work->was_up[i] = false;
            work_show_event(work, server->name, "the connection is lost");
        }
        if (server->state == FLEET_OPENING)
            continue;
        if (is_up && !work->was_up[i]) {
            work_show_event(work, server->name, "connected");
            work->told_failures[i] = 0;
        } else if (server->state == FLEET_AWAY && server->failures && !work->told_failures[i]) {
            work_show_event(work, server->name, server->error);
            work->told_failures[i] = server->failures + 1;
        }
        work->was_up[i] = is_up;
    }
}
