// SPDX-License-Identifier: Apache-2.0
#include "os/stderr_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "os/file.h"

static void stderr_log_write(void *owner, enum log_level level, const char *format, va_list arguments);
static size_t stderr_log_prefix(char *line, size_t size, enum log_level level);
static size_t stderr_log_finish(char *line, size_t used, int more);
static bool stderr_log_put(struct stderr_log *log, const char *line, size_t len);
static bool stderr_log_own_up(struct stderr_log *log);

void stderr_log_init(struct stderr_log *log, int fd, enum log_level level)
{
    log->logger = (struct logger){.owner = log, .level = level, .write = stderr_log_write};
    log->fd = fd;
    log->owned = false;
    log->dropped = 0;
}

int stderr_log_to_file(struct stderr_log *log, const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0)
        return file_error(errno);
    stderr_log_deinit(log);
    log->fd = fd;
    log->owned = true;
    return 0;
}

void stderr_log_deinit(struct stderr_log *log)
{
    if (log->owned)
        close(log->fd);
    log->owned = false;
}

static void stderr_log_write(void *owner, enum log_level level, const char *format, va_list arguments)
{
    struct stderr_log *log = owner;
    char line[STDERR_LOG_LINE_MAX];
    size_t used = stderr_log_prefix(line, sizeof(line), level);
    size_t len = stderr_log_finish(line, used, vsnprintf(line + used, sizeof(line) - used, format, arguments));
    if (!stderr_log_own_up(log) || !stderr_log_put(log, line, len))
        log->dropped++;
}

static size_t stderr_log_prefix(char *line, size_t size, enum log_level level)
{
    static const char *const names[] = {"DBG", "INF", "WRN", "ERR"};
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm local;
    localtime_r(&now.tv_sec, &local);
    char date[32];
    strftime(date, sizeof(date), "%Y/%m/%d %H:%M:%S", &local);
    return (size_t)snprintf(line, size, "[%ld] %s.%06ld [%s] ", (long)getpid(), date, now.tv_nsec / 1000, names[level]);
}

// Ends the line with its newline, cutting what does not fit; control characters (a client's name may hold some) must not
// be able to forge lines or to drive a terminal.
static size_t stderr_log_finish(char *line, size_t used, int more)
{
    size_t len = used + (more > 0 ? (size_t)more : 0);
    if (len > STDERR_LOG_LINE_MAX - 1)
        len = STDERR_LOG_LINE_MAX - 1;
    for (size_t i = used; i < len; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';
    }
    line[len] = '\n';
    return len + 1;
}

// The descriptor may be a pipe shared with others, so it cannot be made non-blocking; asking first comes to the same.
static bool stderr_log_put(struct stderr_log *log, const char *line, size_t len)
{
    struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
        return false;
    ssize_t written;
    do {
        written = write(log->fd, line, len);
    } while (written < 0 && errno == EINTR);
    return written == (ssize_t)len;
}

static bool stderr_log_own_up(struct stderr_log *log)
{
    if (log->dropped == 0)
        return true;
    char line[256];
    size_t used = stderr_log_prefix(line, sizeof(line), LOG_WARN);
    size_t len =
        stderr_log_finish(line, used,
                          snprintf(line + used, sizeof(line) - used, "%llu log lines dropped: nobody read them",
                                   (unsigned long long)log->dropped));
    if (!stderr_log_put(log, line, len))
        return false;
    log->dropped = 0;
    return true;
}
