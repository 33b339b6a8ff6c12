// SPDX-License-Identifier: Apache-2.0
// tidy: prefix work
// What people see of `weir work`, on standard error: standard output is the commands'.
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cmd/terminal.h"
#include "cmd/work_internal.h"
#include "codec/json_writer.h"
#include "codec/timestamp.h"

enum { LINE_MAX_BYTES = 16 << 10 };

static const uint64_t SHOW_EVERY_NS = 200000000;

const char *const work_outcome_names[WORK_OUTCOMES] = {"done", "failed", "dead", "given_back", "lost"};

static void begin_json(struct json_writer *json, struct buffer *line, const char *event);
static void end_json(struct json_writer *json, struct buffer *line);
static void clear_progress(void);

void work_show_job(const struct work *work, const struct job *job, enum work_outcome outcome, const char *detail,
                   uint64_t now_ns)
{
    const struct fleet_message *message = job->message;
    double seconds = job->started_ns ? (double)(now_ns - job->started_ns) / 1e9 : 0;
    struct buffer line;
    struct json_writer json;
    if (work->options.quiet && outcome == WORK_DONE)
        return;
    if (!work->options.json) {
        clear_progress();
        fputs("weir work: job ", stderr);
        terminal_print(bytes_from_string(job->id), true, stderr);
        fprintf(stderr, " (%llu at %s, attempt %u): %s after %.3f s, %s\n", (unsigned long long)message->sequence,
                message->server->name, (unsigned)job_attempt(job), work_outcome_names[outcome], seconds, detail);
        return;
    }
    begin_json(&json, &line, "job");
    json_writer_put_string(&json, "id", bytes_from_string(job->id));
    json_writer_put_string(&json, "channel", bytes_from_string(work->options.channel));
    json_writer_put_string(&json, "server", bytes_from_string(message->server->name));
    json_writer_put_u64(&json, "sequence", message->sequence);
    json_writer_put_u64(&json, "attempt", job_attempt(job));
    json_writer_put_string(&json, "outcome", bytes_from_string(work_outcome_names[outcome]));
    json_writer_put_string(&json, "detail", bytes_from_string(detail));
    json_writer_put_double(&json, "seconds", seconds);
    end_json(&json, &line);
}

void work_show_event(const struct work *work, const char *server, const char *text)
{
    struct buffer line;
    struct json_writer json;
    if (!work->options.json) {
        clear_progress();
        fprintf(stderr, "weir work: %s%s", server ? server : "", server ? ": " : "");
        terminal_print(bytes_from_string(text), true, stderr);
        fputc('\n', stderr);
        return;
    }
    begin_json(&json, &line, server ? "server" : "worker");
    if (server)
        json_writer_put_string(&json, "server", bytes_from_string(server));
    json_writer_put_string(&json, "detail", bytes_from_string(text));
    end_json(&json, &line);
}

void work_show_progress(struct work *work, uint64_t now_ns)
{
    if (work->options.quiet || work->options.json || now_ns - work->shown_ns < SHOW_EVERY_NS || !isatty(STDERR_FILENO))
        return;
    work->shown_ns = now_ns;
    fprintf(stderr, "\r\033[K%zu of %llu running, %llu done, %llu failed, %llu dead; %zu of %zu servers",
            work->running_count, (unsigned long long)work->options.slots, (unsigned long long)work->outcomes[WORK_DONE],
            (unsigned long long)work->outcomes[WORK_FAILED], (unsigned long long)work->outcomes[WORK_DEAD],
            fleet_up_count(&work->fleet), work->fleet.count);
    fflush(stderr);
}

static void begin_json(struct json_writer *json, struct buffer *line, const char *event)
{
    struct timespec wall;
    char time[TIMESTAMP_TEXT_SIZE];
    clock_gettime(CLOCK_REALTIME, &wall);
    timestamp_format((uint64_t)wall.tv_sec * 1000000000 + (uint64_t)wall.tv_nsec, time);
    buffer_init(line, LINE_MAX_BYTES);
    json_writer_init_compact(json, line);
    json_writer_begin_object(json);
    json_writer_put_string(json, "time", bytes_from_string(time));
    json_writer_put_string(json, "event", bytes_from_string(event));
}

// In one write: commands write there too.
static void end_json(struct json_writer *json, struct buffer *line)
{
    json_writer_end(json);
    if (json_writer_finish(json) == 0 && buffer_append_char(line, '\n') == 0)
        (void)!write(STDERR_FILENO, line->ptr, line->len);
    buffer_deinit(line);
}

static void clear_progress(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}
