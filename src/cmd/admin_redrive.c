// SPDX-License-Identifier: Apache-2.0
#include "cmd/admin_redrive.h"

#include <string.h>
#include <unistd.h>

enum { POLL_MS = 250, TIMEOUT_MS = 30000 };

static json_t *find_job(struct admin_link *link, json_int_t number);
static void show_progress(const json_t *job);
static uint64_t number_of(const json_t *job, const char *name);

int admin_redrive_follow(struct admin_link *link, const json_t *answer)
{
    const json_t *begun = json_object_get(answer, "job");
    json_int_t number = json_integer_value(json_is_object(begun) ? json_object_get(begun, "job") : begun);
    bool terminal = isatty(STDERR_FILENO);
    for (;;) {
        json_t *job = find_job(link, number);
        if (!job) {
            fprintf(stderr, "weir dlq redrive: job %lld: %s\n", (long long)number, link->error);
            return 1;
        }
        const char *state = json_string_value(json_object_get(job, "state"));
        bool running = state && strcmp(state, "running") == 0, done = state && strcmp(state, "done") == 0;
        if (terminal)
            show_progress(job);
        if (!running) {
            printf("%s%llu redriven, %llu gone\n", terminal ? "\n" : "", (unsigned long long)number_of(job, "redriven"),
                   (unsigned long long)number_of(job, "gone"));
            json_decref(job);
            return done ? 0 : 1;
        }
        json_decref(job);
        // Nothing is expected: this waits, and sees when the connection ends.
        if (client_wait(&link->client, POLL_MS) < 0) {
            fprintf(stderr, "weir dlq redrive: %s\n", link->client.error);
            return 1;
        }
    }
}

// The caller's. NULL with link->error.
static json_t *find_job(struct admin_link *link, json_int_t number)
{
    json_t *body = json_object(), *answer = admin_link_ask(link, "DLQ.JOBS", body, TIMEOUT_MS), *found = NULL, *job;
    size_t i;
    json_decref(body);
    json_array_foreach(json_object_get(answer, "jobs"), i, job)
    {
        if (json_integer_value(json_object_get(job, "job")) == number)
            found = json_incref(job);
    }
    if (answer && !found)
        snprintf(link->error, sizeof(link->error), "the server does not know it any more");
    json_decref(answer);
    return found;
}

static void show_progress(const json_t *job)
{
    uint64_t total = number_of(job, "total"), over = number_of(job, "redriven") + number_of(job, "gone");
    fprintf(stderr, "\r%llu of %llu redriven (%.0f %%)", (unsigned long long)number_of(job, "redriven"),
            (unsigned long long)total, total ? 100.0 * (double)over / (double)total : 100.0);
    fflush(stderr);
}

static uint64_t number_of(const json_t *job, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(job, name));
}
