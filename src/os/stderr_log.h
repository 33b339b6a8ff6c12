// SPDX-License-Identifier: Apache-2.0
// The log operators read (env/log.h), on a descriptor: standard error or a file. One write() a line, so lines of several
// processes do not mix. It never waits: a line that a full pipe has no room for is dropped, counted and owned up to later.
//
//   [4711] 2026/11/23 05:00:00.000000 [INF] text
//
// The format is nats-server's, which log shippers know. Times are local. Any thread, but lines of two threads at once may
// miscount what was dropped: in practice the worker alone logs.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "env/log.h"

// Longer lines are cut. A pipe takes this much in one piece or not at all.
#define STDERR_LOG_LINE_MAX 4096

struct stderr_log {
    struct logger logger; // what the rest of the server gets; its owner points here
    int fd;               // borrowed (standard error) or owned (a file)
    bool owned;
    uint64_t dropped; // lines since the last one that got through
};

// Lines go to fd, which stays the caller's. The struct may not move afterwards.
void stderr_log_init(struct stderr_log *log, int fd, enum log_level level);
// Lines go to the end of a file instead, created if missing. ERR_* of file_error().
int stderr_log_to_file(struct stderr_log *log, const char *path) MUST_USE;
void stderr_log_deinit(struct stderr_log *log);
