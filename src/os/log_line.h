// SPDX-License-Identifier: Apache-2.0
// One line of the log, as text or as JSON:
//
//   [4711] 2026/11/23 05:00:00.000000 [INF] 127.0.0.1:4711 - cid:5 - "v1:c:worker" - text
//   {"time":"2026-11-23T05:00:00.000000Z","level":"info","pid":4711,"client":"127.0.0.1:4711","cid":5,"name":"v1:c:worker","msg":"text"}
//
// The first is nats-server's, which log shippers know (CO-X05). The second is one object a line, valid whatever bytes the text is made of, in UTC; what
// the text of a connection begins with (broker/connection_log.h) are members of their own there.
//
// Pure but for the time zone.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "env/log.h"

// With its newline; what is longer is cut.
#define LOG_LINE_MAX 4096

struct log_line_style {
    bool json;
    bool time;     // lines have the time
    bool time_utc; // of text: and it is not the local one
};

// Returns the length. *ret_begin: where what syslog wants begins, which has its own time, process and severity in front.
size_t log_line_format(char line[LOG_LINE_MAX], const struct log_line_style *style, const struct timespec *now,
                       long pid, enum log_level level, size_t *ret_begin, const char *format, va_list arguments)
    __attribute__((format(printf, 7, 0)));
