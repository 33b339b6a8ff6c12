// SPDX-License-Identifier: Apache-2.0
// tidy: prefix enqueue
// What people see of `weir enqueue`: a bar on a terminal, and in the end what was stored, and where.
#include <stdio.h>
#include <unistd.h>

#include "cmd/enqueue_internal.h"
#include "cmd/terminal.h"
#include "codec/json_writer.h"

enum { BAR_WIDTH = 30, JSON_MAX = 1 << 20 };

static const uint64_t SHOW_EVERY_NS = 100000000;

static void show_json(const struct enqueue *enqueue, double seconds);

void enqueue_show_progress(struct enqueue *enqueue)
{
    uint64_t now_ns = client_now_ns();
    if (enqueue->options.quiet || now_ns - enqueue->shown_ns < SHOW_EVERY_NS || !isatty(STDERR_FILENO))
        return;
    enqueue->shown_ns = now_ns;
    double seconds = (double)(now_ns - enqueue->began_ns) / 1e9;
    fputs("\r\033[K", stderr);
    if (enqueue->goal_bytes) {
        double part = (double)enqueue->stored_bytes / (double)enqueue->goal_bytes;
        int filled = (int)(part > 1 ? BAR_WIDTH : part * BAR_WIDTH);
        fprintf(stderr, "[%.*s%*s] %3.0f %%  ", filled, "##############################", BAR_WIDTH - filled, "",
                100 * (part > 1 ? 1 : part));
    }
    fprintf(stderr, "%llu jobs, %.1f MB, %.0f a second, %s", (unsigned long long)enqueue->stored,
            (double)enqueue->stored_bytes / 1e6, seconds > 0 ? (double)enqueue->stored / seconds : 0,
            enqueue->list.entries[enqueue->at].name);
    fflush(stderr);
}

void enqueue_show_end(struct enqueue *enqueue, int status)
{
    double seconds = (double)(client_now_ns() - enqueue->began_ns) / 1e9;
    if (enqueue->shown_ns)
        fputs("\r\033[K", stderr);
    if (enqueue->options.json)
        show_json(enqueue, seconds);
    else if (!status)
        printf("%llu jobs stored in %s\n", (unsigned long long)enqueue->stored, enqueue->options.channel);
    if (!status)
        return;
    fprintf(stderr, "weir enqueue: %llu jobs are stored, %llu may not be\n", (unsigned long long)enqueue->stored,
            (unsigned long long)(enqueue->taken - enqueue->stored));
    if (enqueue->error[0]) {
        fputs("weir enqueue: ", stderr);
        terminal_print(bytes_from_string(enqueue->error), true, stderr);
        fputc('\n', stderr);
    }
    for (size_t i = 0; enqueue->has_failed && i < enqueue->list.count; i++) {
        const char *error = enqueue->servers[i].error;
        fprintf(stderr, "  %s: ", enqueue->list.entries[i].name);
        terminal_print(bytes_from_string(error[0] ? error : "not tried"), true, stderr);
        fputc('\n', stderr);
    }
}

static void show_json(const struct enqueue *enqueue, double seconds)
{
    struct buffer text;
    struct json_writer json;
    buffer_init(&text, JSON_MAX);
    json_writer_init(&json, &text);
    json_writer_begin_object(&json);
    json_writer_put_string(&json, "channel", bytes_from_string(enqueue->options.channel));
    json_writer_put_u64(&json, "jobs", enqueue->taken);
    json_writer_put_u64(&json, "stored", enqueue->stored);
    json_writer_put_u64(&json, "bytes", enqueue->stored_bytes);
    json_writer_put_double(&json, "seconds", seconds);
    if (enqueue->error[0])
        json_writer_put_string(&json, "error", bytes_from_string(enqueue->error));
    json_writer_key(&json, "servers");
    json_writer_begin_array(&json);
    for (size_t i = 0; i < enqueue->list.count; i++) {
        json_writer_begin_object(&json);
        json_writer_put_string(&json, "server", bytes_from_string(enqueue->list.entries[i].name));
        json_writer_put_u64(&json, "stored", enqueue->servers[i].stored);
        if (enqueue->servers[i].error[0])
            json_writer_put_string(&json, "error", bytes_from_string(enqueue->servers[i].error));
        json_writer_end(&json);
    }
    json_writer_end(&json);
    json_writer_end(&json);
    if (json_writer_finish(&json) == 0)
        printf("%.*s\n", (int)text.len, text.ptr);
    buffer_deinit(&text);
}
