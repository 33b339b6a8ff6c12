// SPDX-License-Identifier: Apache-2.0
#include "sim_trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"

static void add(struct sim_trace *trace, const char *line, int length);

void sim_trace_init(struct sim_trace *trace, bool verbose)
{
    memset(trace, 0, sizeof(*trace));
    trace->verbose = verbose;
}

void sim_trace_note(struct sim_trace *trace, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    add(trace, line, length < (int)sizeof(line) ? length : (int)sizeof(line) - 1);
}

void sim_trace_fail(struct sim_trace *trace, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (!trace->failed)
        snprintf(trace->failure, sizeof(trace->failure), "at %.6f s: %s", (double)trace->now_ns / 1e9, line);
    trace->failed = true;
    add(trace, line, (int)strlen(line));
}

static void add(struct sim_trace *trace, const char *line, int length)
{
    trace->hash = hash_bytes(bytes_make(line, (size_t)length), trace->hash ^ trace->now_ns);
    trace->lines++;
    if (trace->verbose)
        printf("# %12.6f %s\n", (double)trace->now_ns / 1e9, line);
}
