// SPDX-License-Identifier: Apache-2.0
#include "os/server_log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"

// How long the thread waits for room before it looks whether it shall end.
#define SERVER_LOG_POLL_MS   100
#define SERVER_LOG_NS_PER_MS UINT64_C(1000000)

static void server_log_write(void *owner, enum log_level level, const char *format, va_list arguments);
static size_t server_log_format(const struct server_log *log, char *line, enum log_level level, size_t *ret_begin,
                                const char *format, va_list arguments) __attribute__((format(printf, 5, 0)));
static void server_log_to_syslog(struct server_log *log, enum log_level level, char *line, size_t used, size_t len);
static void server_log_to_file(struct server_log *log, const char *line, size_t len);
static void server_log_rotate(struct server_log *log);
static void server_log_note(struct server_log *log, enum log_level level, char *line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void server_log_to_descriptor(struct server_log *log, const char *line, size_t len);
static bool server_log_has_room(int fd, int wait_ms, bool *ret_broken);
static size_t server_log_put(int fd, const char *data, size_t len, bool *ret_broken);
static void server_log_queue(struct server_log *log, const char *line, size_t len);
static void server_log_own_up(struct server_log *log);
static void server_log_run(void *owner);
static void server_log_drain(struct server_log *log);
static int server_log_patience_ms(const struct server_log *log);
static void server_log_give_up(struct server_log *log);

void server_log_init(struct server_log *log, int fd, enum log_level level)
{
    *log = (struct server_log){.fd = fd, .file.fd = -1, .style.time = true};
    log->logger = (struct logger){.owner = log, .level = level, .write = server_log_write};
    buffer_init(&log->queue, SERVER_LOG_QUEUE_MAX);
    must(uv_mutex_init(&log->mutex) == 0);
    must(uv_cond_init(&log->changed) == 0);
}

int server_log_configure(struct server_log *log, const struct server_log_config *config)
{
    struct log_file file = {.fd = -1};
    struct log_syslog syslog = {.open = false};
    int error = 0;
    if (config->file)
        error = log_file_open(&file, config->file, config->file_size_limit, config->file_max);
    else if (config->remote_syslog || config->syslog)
        error = log_syslog_open(&syslog, config->tag ? config->tag : "weir", config->remote_syslog);
    if (error)
        return error;
    uv_mutex_lock(&log->mutex);
    struct log_file old_file = log->file;
    struct log_syslog old_syslog = log->syslog;
    log->file = file;
    log->syslog = syslog;
    log->style = config->style;
    uv_mutex_unlock(&log->mutex);
    log_file_close(&old_file);
    log_syslog_close(&old_syslog);
    return 0;
}

int server_log_reopen(struct server_log *log)
{
    uv_mutex_lock(&log->mutex);
    struct log_file old = log->file;
    struct log_file file = {.fd = -1};
    int error = ERR_NOT_FOUND;
    if (old.fd >= 0)
        error = log_file_open(&file, old.path, old.size_limit, old.max_files);
    if (!error)
        log->file = file;
    uv_mutex_unlock(&log->mutex);
    if (!error)
        log_file_close(&old);
    return error;
}

void server_log_finish(struct server_log *log)
{
    uv_mutex_lock(&log->mutex);
    bool has_thread = log->has_thread;
    log->stopping = true;
    log->flush_by_ns = uv_hrtime() + SERVER_LOG_FLUSH_MS * SERVER_LOG_NS_PER_MS;
    uv_cond_broadcast(&log->changed);
    uv_mutex_unlock(&log->mutex);
    if (!has_thread)
        return;
    uv_thread_join(&log->thread);
    uv_mutex_lock(&log->mutex);
    log->has_thread = false;
    uv_mutex_unlock(&log->mutex);
}

void server_log_deinit(struct server_log *log)
{
    server_log_finish(log);
    log_file_close(&log->file);
    log_syslog_close(&log->syslog);
    buffer_deinit(&log->queue);
    uv_cond_destroy(&log->changed);
    uv_mutex_destroy(&log->mutex);
}

static void server_log_write(void *owner, enum log_level level, const char *format, va_list arguments)
{
    struct server_log *log = owner;
    char line[SERVER_LOG_LINE_MAX];
    uv_mutex_lock(&log->mutex);
    size_t begin;
    size_t len = server_log_format(log, line, level, &begin, format, arguments);
    if (log->file.fd >= 0)
        server_log_to_file(log, line, len);
    else if (log->syslog.open)
        server_log_to_syslog(log, level, line, begin, len);
    else
        server_log_to_descriptor(log, line, len);
    uv_mutex_unlock(&log->mutex);
}

static size_t server_log_format(const struct server_log *log, char *line, enum log_level level, size_t *ret_begin,
                                const char *format, va_list arguments)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return log_line_format(line, &log->style, &now, (long)getpid(), level, ret_begin, format, arguments);
}

// syslog has its own time, process and severity in front of a line.
static void server_log_to_syslog(struct server_log *log, enum log_level level, char *line, size_t used, size_t len)
{
    static const int severities[] = {
        [LOG_TRACE] = LOG_SYSLOG_NOTICE, [LOG_DEBUG] = LOG_SYSLOG_DEBUG, [LOG_INFO] = LOG_SYSLOG_NOTICE,
        [LOG_WARN] = LOG_SYSLOG_WARNING, [LOG_ERROR] = LOG_SYSLOG_ERROR, [LOG_FATAL] = LOG_SYSLOG_CRITICAL,
    };
    line[len - 1] = '\0';
    log_syslog_send(&log->syslog, severities[level], line + used);
}

static void server_log_to_file(struct server_log *log, const char *line, size_t len)
{
    if (log_file_is_full(&log->file, len))
        server_log_rotate(log);
    bool broken = false;
    if (server_log_put(log->file.fd, line, len, &broken) != len) {
        log->dropped++; // the disk is full, most likely; there is nobody to tell now
        return;
    }
    log->file.size += len;
    if (log->dropped > 0)
        server_log_own_up(log);
}

static void server_log_rotate(struct server_log *log)
{
    char backup[LOG_FILE_PATH_SIZE];
    char line[SERVER_LOG_LINE_MAX];
    int error = log_file_rotate(&log->file, backup);
    if (error)
        server_log_note(log, LOG_ERROR, line, "Unable to rotate the log, which grows on: %s", error_text(error));
    else
        server_log_note(log, LOG_INFO, line, "Rotated log, backup saved as \"%s\"", backup);
}

// A line of the log's own, with the mutex held.
static void server_log_note(struct server_log *log, enum log_level level, char *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t begin;
    size_t len = server_log_format(log, line, level, &begin, format, arguments);
    va_end(arguments);
    bool broken = false;
    if (log->file.fd < 0)
        server_log_queue(log, line, len);
    else if (server_log_put(log->file.fd, line, len, &broken) == len)
        log->file.size += len;
}

static void server_log_to_descriptor(struct server_log *log, const char *line, size_t len)
{
    bool broken = false;
    size_t taken = 0;
    if (log->queue.len == 0 && server_log_has_room(log->fd, 0, &broken))
        taken = server_log_put(log->fd, line, len, &broken);
    if (broken)
        log->dropped++;
    else if (taken < len)
        server_log_queue(log, line + taken, len - taken);
    else if (log->dropped > 0)
        server_log_own_up(log);
}

// The descriptor may be a pipe shared with others, so it cannot be made non-blocking; asking first comes to the same.
// Broken: it is closed, or nobody has the other end.
static bool server_log_has_room(int fd, int wait_ms, bool *ret_broken)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int count = poll(&ready, 1, wait_ms);
    *ret_broken = count == 1 && (ready.revents & (POLLERR | POLLNVAL | POLLHUP));
    return count == 1 && (ready.revents & POLLOUT) && !*ret_broken;
}

// Broken: it failed for another reason than want of room, a full disk for instance, and may well do so again at once. Otherwise
// ret_broken stays.
static size_t server_log_put(int fd, const char *data, size_t len, bool *ret_broken)
{
    ssize_t written;
    do {
        written = write(fd, data, len);
    } while (written < 0 && errno == EINTR);
    if (written < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        *ret_broken = true;
    return written > 0 ? (size_t)written : 0;
}

// Once lines have been dropped, more are until the thread has made room for the line that says so.
static void server_log_queue(struct server_log *log, const char *line, size_t len)
{
    if (!log->has_thread)
        log->has_thread = !log->stopping && uv_thread_create(&log->thread, server_log_run, log) == 0;
    if (log->dropped > 0 || !log->has_thread || buffer_append(&log->queue, bytes_make(line, len)) != 0)
        log->dropped++;
    else
        uv_cond_signal(&log->changed);
}

static void server_log_own_up(struct server_log *log)
{
    char line[SERVER_LOG_LINE_MAX];
    uint64_t dropped = log->dropped;
    log->dropped = 0;
    server_log_note(log, LOG_WARN, line, "%llu log lines dropped: nobody took them", (unsigned long long)dropped);
}

static void server_log_run(void *owner)
{
    struct server_log *log = owner;
    uv_mutex_lock(&log->mutex);
    while (!log->stopping || log->queue.len > 0) {
        if (log->queue.len == 0)
            uv_cond_wait(&log->changed, &log->mutex);
        else
            server_log_drain(log);
    }
    uv_mutex_unlock(&log->mutex);
}

// One write, and a wait for room before it in which others may queue lines. Nobody else writes while something is queued.
static void server_log_drain(struct server_log *log)
{
    bool broken = false;
    int patience_ms = server_log_patience_ms(log);
    bool last = log->stopping && patience_ms == 0;
    uv_mutex_unlock(&log->mutex);
    bool has_room = server_log_has_room(log->fd, patience_ms, &broken);
    uv_mutex_lock(&log->mutex);
    size_t taken = 0;
    if (has_room) {
        size_t len = log->queue.len < SERVER_LOG_LINE_MAX ? log->queue.len : SERVER_LOG_LINE_MAX;
        taken = server_log_put(log->fd, log->queue.ptr, len, &broken);
        buffer_consume(&log->queue, taken);
    }
    if (broken || last)
        server_log_give_up(log);
    else if (has_room && taken == 0) // there was none after all; asking again at once may go on for ever
        uv_cond_timedwait(&log->changed, &log->mutex, (uint64_t)patience_ms * SERVER_LOG_NS_PER_MS);
    else if (taken > 0 && log->dropped > 0 && log->queue.len < SERVER_LOG_QUEUE_MAX / 2)
        server_log_own_up(log);
    if (log->queue.len == 0)
        buffer_shrink(&log->queue);
}

static int server_log_patience_ms(const struct server_log *log)
{
    if (!log->stopping)
        return SERVER_LOG_POLL_MS;
    uint64_t now_ns = uv_hrtime();
    uint64_t left_ms = now_ns < log->flush_by_ns ? (log->flush_by_ns - now_ns) / SERVER_LOG_NS_PER_MS : 0;
    return left_ms < SERVER_LOG_POLL_MS ? (int)left_ms : SERVER_LOG_POLL_MS;
}

// What is queued counts as dropped; the next line that can be written is followed by their number.
static void server_log_give_up(struct server_log *log)
{
    for (size_t i = 0; i < log->queue.len; i++)
        log->dropped += log->queue.ptr[i] == '\n';
    buffer_clear(&log->queue);
}
