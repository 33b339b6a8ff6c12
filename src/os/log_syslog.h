// SPDX-License-Identifier: Apache-2.0
// Where lines go with -s (this machine's syslog) and -r (another's, over UDP); CO-X05. Facility and severities are nats-server's.
// Severities are those of syslog(3), as numbers: its names and those of env/log.h are the same words.
//
// Any number of threads may send, one may open and close.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define LOG_SYSLOG_CRITICAL 2
#define LOG_SYSLOG_ERROR    3
#define LOG_SYSLOG_WARNING  4
#define LOG_SYSLOG_NOTICE   5
#define LOG_SYSLOG_DEBUG    7

struct log_syslog {
    const char *tag; // names the program; borrowed for ever, since libc keeps it
    int fd;          // owned; of the remote one; -1: the local one
    bool open;
};

// `address`: NULL for this machine, else "udp://HOST:PORT". ERR_INVALID: not such an address; ERR_UNSUPPORTED: tcp;
// ERR_NOT_FOUND: the host has no address; ERR_IO.
int log_syslog_open(struct log_syslog *log, const char *tag, const char *address) MUST_USE;
// Never waits for a remote one. `line` is NUL-terminated, without a newline.
void log_syslog_send(const struct log_syslog *log, int severity, const char *line);
// Harmless when it is not open.
void log_syslog_close(struct log_syslog *log);
