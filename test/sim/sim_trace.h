// SPDX-License-Identifier: Apache-2.0
// What happened in a simulation, as lines of text that are hashed, so that two runs of a seed can be compared, and printed on
// demand; and the first thing that went wrong. One trace per run; nothing global.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sim_trace {
    uint64_t now_ns;   // virtual time of the lines; set by whoever moves time
    uint64_t hash;     // of all lines so far
    uint64_t lines;    // count
    bool verbose;      // print them
    bool failed;       // sim_trace_fail() was called
    char failure[700]; // the first one
};

void sim_trace_init(struct sim_trace *trace, bool verbose);
// Something happened. Nothing that differs between two runs of a seed (pointers, real time) may be in it.
void sim_trace_note(struct sim_trace *trace, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A promise was broken. Only the first is kept; the run ends soon.
void sim_trace_fail(struct sim_trace *trace, const char *format, ...) __attribute__((format(printf, 2, 3)));
