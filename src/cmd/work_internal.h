// SPDX-License-Identifier: Apache-2.0
// tidy: prefix work
// `weir work`: runs a command for each message of a channel, as a member of a group on every server. One thread, one poll():
//
//   fleet_take() ──► waiting ──► running ──► ended ──► acknowledged, given back with a delay, or dead
//                       │          │            └ its server is away ──► owed ──► …
//                       └──────────┴──► given back without counting (no free place for long, the worker stops)
//
// Every server may have as many messages with us as there are places, because nobody knows which of them has work. What finds no free place
// within `hold_ns` goes back, for others. What we have is extended every third of the ack wait.
#pragma once

#include <stdio.h>

#include "cmd/job.h"

enum { WORK_JOBS_MAX = 1024, WORK_HTTP_MAX = 16 };

enum work_outcome { WORK_DONE, WORK_FAILED, WORK_DEAD, WORK_GIVEN_BACK, WORK_LOST, WORK_OUTCOMES };

struct work_options {
    struct client_options connection; // .server counts when `servers` is NULL
    const char *servers, *cluster, *client_id, *channel, *group, *durable;
    uint64_t slots;        // -j
    uint64_t ack_wait_ns;  // whole seconds
    uint64_t max_attempts; // 0: the server's limit alone
    uint64_t dead_exit;    // 0: none
    uint64_t backoff_ns, backoff_max_ns;
    uint64_t timeout_ns, kill_after_ns; // timeout 0: none
    uint64_t grace_ns, hold_ns;
    bool file, tell, json, quiet, help;
    const char *http; // [HOST:]PORT; NULL: none
    char **arguments; // of the command, with its NULL
};

// A monitoring client.
struct work_http_client {
    int fd; // -1: free
    struct buffer in, out;
    uint64_t since_ns;
};

struct work_http {
    int fd; // -1: not listening
    struct work_http_client clients[WORK_HTTP_MAX];
};

struct work {
    struct work_options options;
    struct server_list list;
    struct fleet fleet;
    struct job_command command;
    struct work_http http;
    int signal_fd;
    struct list waiting, running, owed; // struct job
    size_t waiting_count, running_count;
    bool stopping, hurried;
    uint64_t stop_ns; // when what still runs is given back
    uint64_t began_ns, shown_ns;
    uint64_t outcomes[WORK_OUTCOMES], timeouts, extensions, surplus;
    uint64_t busy_ns; // of ended jobs
    bool was_up[SERVER_LIST_MAX];
    uint32_t told_failures[SERVER_LIST_MAX];
    uint64_t told_losses[SERVER_LIST_MAX];
};

// work_loop.c: until it is told to stop. Returns the exit code.
int work_loop(struct work *work);

// work_jobs.c
// Takes what came, starts what has a place, gives back what has waited too long, extends, terminates.
void work_jobs_step(struct work *work, uint64_t now_ns);
// A child has ended; `status` is of waitpid().
void work_jobs_ended(struct work *work, pid_t pid, int status, uint64_t now_ns);
// The first signal: nothing more is started. The end: what runs is killed and, as fleet_close() comes next, given back.
void work_jobs_stop(struct work *work, uint64_t now_ns);
void work_jobs_give_back_all(struct work *work);
void work_jobs_free(struct work *work);

// work_show.c: a line a job and event, the progress on a terminal.
extern const char *const work_outcome_names[WORK_OUTCOMES];
void work_show_job(const struct work *work, const struct job *job, enum work_outcome outcome, const char *detail,
                   uint64_t now_ns);
void work_show_event(const struct work *work, const char *server, const char *text);
void work_show_progress(struct work *work, uint64_t now_ns);

// work_http.c: /metrics, /healthz, /readyz.
enum { WORK_HTTP_FDS_MAX = WORK_HTTP_MAX + 1 };
// ERR_INVALID: no address; ERR_IO: it cannot be had. Says so. ret_port: which it is.
int work_http_open(struct work_http *http, const char *address, unsigned *ret_port) MUST_USE;
void work_http_close(struct work_http *http);
size_t work_http_poll(const struct work_http *http, struct pollfd *fds);
void work_http_step(struct work *work, const struct pollfd *fds, uint64_t now_ns);
// work_metrics.c: the page.
int work_metrics(const struct work *work, struct buffer *out) MUST_USE;
