// SPDX-License-Identifier: Apache-2.0
// The log operators read (env/log.h): on standard error, in a file, or in syslog (CO-X05).
//
//   [4711] 2026/11/23 05:00:00.000000 [INF] text
//
// What a line looks like is log_line.h's. It never waits: while a full pipe has no room, lines gather in memory, up
// to a limit, and a thread of its own hands them on; beyond that they are dropped, counted, and owned up to once. So are those that
// the descriptor refuses (a full disk, a reader that is gone): nothing is tried twice, the next line is the next attempt.
//
//   logger_write ──► [room, nothing queued] ──────────► descriptor
//              └───► [queue, at most 1 MiB] ──► thread ──┘        full: dropped++
//
// Any thread may write lines; one thread, the one that started it, configures, reopens and ends it.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/buffer.h"
#include "base/error.h"
#include "env/log.h"
#include "os/log_file.h"
#include "os/log_line.h"
#include "os/log_syslog.h"

// Longer lines are cut. A pipe takes this much in one piece or not at all.
#define SERVER_LOG_LINE_MAX LOG_LINE_MAX
// What gathers while nobody reads.
#define SERVER_LOG_QUEUE_MAX (1024 * 1024)
// How long the end waits at most for somebody to read the rest.
#define SERVER_LOG_FLUSH_MS 500

// Where lines go and how they look. All zeroes: bare lines on standard error.
struct server_log_config {
    const char *file;          // NULL: none
    const char *remote_syslog; // "udp://HOST:PORT"; NULL: none
    const char *tag;           // the program's name in syslog, borrowed for ever; NULL: "weir"
    uint64_t file_size_limit;  // bytes, then the file is moved away; 0: never
    uint32_t file_max;         // files kept, with the current one; 0: all
    bool syslog;               // this machine's
    struct log_line_style style;
};

struct server_log {
    struct logger logger;     // what the rest of the server gets; its owner points here
    uv_mutex_t mutex;         // guards all below
    uv_cond_t changed;        // the queue, or `stopping`
    int fd;                   // borrowed: standard error
    struct log_file file;     // open: lines go here
    struct log_syslog syslog; // open: lines go here
    struct log_line_style style;
    struct buffer queue; // whole lines that wait for room, but for the first, of which a part may be gone
    uint64_t dropped;    // lines since the last one that was queued or written
    uv_thread_t thread;  // hands on what is queued
    bool has_thread;     // made when it is needed first
    bool stopping;
    uint64_t flush_by_ns; // of uv_hrtime(), once stopping: what is queued then is lost
};

// Lines go to fd, which stays the caller's, with the time in front. The struct may not move afterwards.
void server_log_init(struct server_log *log, int fd, enum log_level level);
// Lines go elsewhere and look otherwise from now on; `config` is not kept, but for `tag`. A file wins over a remote syslog, that over the local one,
// that over standard error. On failure all stays as it is: ERR_* of log_file_open() and log_syslog_open().
int server_log_configure(struct server_log *log, const struct server_log_config *config) MUST_USE;
// Opens the file of that name again, after somebody moved it away. ERR_NOT_FOUND: lines go to no file.
int server_log_reopen(struct server_log *log) MUST_USE;
// Waits a moment for what is queued. Other threads may still write: there is no waiting for room any more, what finds none is dropped.
void server_log_finish(struct server_log *log);
// Finishes. Nobody may write any more.
void server_log_deinit(struct server_log *log);
