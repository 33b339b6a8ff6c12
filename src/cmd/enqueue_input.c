// SPDX-License-Identifier: Apache-2.0
// tidy: prefix enqueue
// Where the jobs of `weir enqueue` come from: files, lines, all of standard input.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/enqueue_internal.h"

enum { READ_SIZE = 64 << 10 };

static int read_all(struct enqueue *enqueue, int fd, const char *name);
static int put_lines(struct enqueue *enqueue, struct buffer *buffer, const char *name, bool at_end);
static int put(struct enqueue *enqueue, struct bytes data, const char *name);
static int fail(struct enqueue *enqueue, int error, const char *name, const char *what);
static uint64_t size_of(const char *file);

int enqueue_read(struct enqueue *enqueue)
{
    const struct enqueue_options *options = &enqueue->options;
    int error = 0;
    if (options->file_count == 0)
        return read_all(enqueue, STDIN_FILENO, "-");
    for (size_t i = 0; i < options->file_count; i++)
        enqueue->goal_bytes += size_of(options->files[i]);
    for (size_t i = 0; i < options->file_count && !error; i++) {
        const char *name = options->files[i];
        int fd = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return fail(enqueue, ERR_NOT_FOUND, name, strerror(errno));
        error = read_all(enqueue, fd, name);
        close(fd);
    }
    return error;
}

static int read_all(struct enqueue *enqueue, int fd, const char *name)
{
    struct buffer buffer;
    buffer_init(&buffer, ENQUEUE_MESSAGE_MAX);
    int error = 0;
    ssize_t got = 1;
    while (!error && got > 0) {
        error = enqueue_wait_input(enqueue, fd);
        if (error)
            break;
        char *to = buffer_reserve(&buffer, READ_SIZE);
        got = to ? read(fd, to, READ_SIZE) : 0;
        if (!to)
            error = fail(enqueue, ERR_TOO_BIG, name, "larger than any message");
        else if (got < 0)
            error = fail(enqueue, ERR_IO, name, strerror(errno));
        else
            buffer_commit(&buffer, (size_t)got);
        if (!error && enqueue->options.lines)
            error = put_lines(enqueue, &buffer, name, got == 0);
    }
    if (!error && !enqueue->options.lines)
        error = put(enqueue, buffer_bytes(&buffer), name);
    buffer_deinit(&buffer);
    return error;
}

// The whole lines of the buffer; at the end also what has no line feed.
static int put_lines(struct enqueue *enqueue, struct buffer *buffer, const char *name, bool at_end)
{
    struct bytes rest = buffer_bytes(buffer);
    int error = 0;
    while (!error && rest.len > 0) {
        const char *end = memchr(rest.ptr, '\n', rest.len);
        if (!end && !at_end)
            break;
        struct bytes line = bytes_make(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len);
        rest = bytes_skip(rest, line.len + (end != NULL));
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len > 0)
            error = put(enqueue, line, name);
    }
    buffer_consume(buffer, buffer->len - rest.len);
    return error;
}

static int put(struct enqueue *enqueue, struct bytes data, const char *name)
{
    const char *slash = strrchr(name, '/');
    enqueue->read_bytes += data.len;
    return enqueue_put(enqueue, data, slash ? slash + 1 : name);
}

static int fail(struct enqueue *enqueue, int error, const char *name, const char *what)
{
    snprintf(enqueue->error, sizeof(enqueue->error), "%.300s: %s", strcmp(name, "-") ? name : "standard input", what);
    return error;
}

static uint64_t size_of(const char *file)
{
    struct stat status;
    return stat(file, &status) == 0 && S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
}
