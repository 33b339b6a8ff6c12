// SPDX-License-Identifier: Apache-2.0
// tidy: prefix enqueue
// `weir enqueue`: puts jobs into a channel of one of several servers that know nothing of each other.
//
//   input ──► window (up to ENQUEUE_WINDOW jobs without an answer) ──► one server, taken at random
//                 ▲                                                        │ refuses, is silent, goes away
//                 └──────── all without an answer, same ids ───────────────┴──► the next one
//
// A job leaves the window when a server has it on disk. Ids stay the same whatever happens, so a server that had a job already stores it
// once; another server knows nothing of that: a job may then be there twice, never lost.
#pragma once

#include "cmd/server_list.h"
#include "cmd/stan_session.h"

enum { ENQUEUE_WINDOW = 256, ENQUEUE_ID_SIZE = 256, ENQUEUE_MESSAGE_MAX = 64 << 20, ENQUEUE_WINDOW_BYTES = 64 << 20 };

struct enqueue_options {
    struct client_options connection; // .server is of no use here: see `servers`
    const char *servers, *cluster, *client_id;
    const char *channel;
    const char *id_template; // NULL: ids made up here
    uint64_t deadline_ns;    // so long nothing may be stored before it is given up
    bool lines;              // a job a line
    bool json, quiet, help;
    char *const *files; // none: standard input
    size_t file_count;
};

struct enqueue_job {
    char *data; // owned; NULL: the place is free
    size_t len;
    uint64_t sent_ns;
    char id[ENQUEUE_ID_SIZE];
};

// What is known of a server.
struct enqueue_server {
    uint64_t stored;
    uint32_t refusals; // since something was stored anywhere
    char error[CLIENT_ERROR_MAX];
};

struct enqueue {
    struct enqueue_options options;
    struct server_list list;
    struct enqueue_server servers[SERVER_LIST_MAX];
    size_t at; // which of them is spoken to
    struct stan_session session;
    bool is_open;
    bool is_refused; // by the server that is spoken to
    char made_id[64];
    uint64_t attempt_end_ns; // of what waits for an answer now

    struct enqueue_job window[ENQUEUE_WINDOW];
    size_t in_window, window_bytes;
    uint64_t taken, stored, stored_bytes; // jobs
    uint64_t goal_bytes, read_bytes;      // goal 0: not known
    uint64_t began_ns, progress_ns, shown_ns;
    bool has_failed;
    char error[CLIENT_ERROR_MAX]; // of the input, or of a job that no server could take; else the servers have theirs
};

// enqueue_input.c: hands all jobs to enqueue_put(), to the end or until that fails. 0, or ERR_* with enqueue->error set.
int enqueue_read(struct enqueue *enqueue) MUST_USE;

// enqueue_send.c
// Whether every word in braces of an --id is one that we know.
bool enqueue_knows_id(const char *template);
// Takes a job when there is room; `file` is where it came from, for its id. ERR_TIMEOUT: the deadline passed; ERR_FAILED: all servers
// refuse; ERR_TOO_BIG, ERR_INVALID: this job or its id, with enqueue->error set.
int enqueue_put(struct enqueue *enqueue, struct bytes data, const char *file) MUST_USE;
// Waits until there is something to read, and serves the connection meanwhile. Errors as above.
int enqueue_wait_input(struct enqueue *enqueue, int fd) MUST_USE;
// Waits until all are stored. Errors as above.
int enqueue_drain(struct enqueue *enqueue) MUST_USE;
void enqueue_close(struct enqueue *enqueue);

// enqueue_show.c
void enqueue_show_progress(struct enqueue *enqueue);
void enqueue_show_end(struct enqueue *enqueue, int status);
