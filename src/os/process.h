// SPDX-License-Identifier: Apache-2.0
// What this process costs (env/process.h), as the kernel counts it.
#pragma once

#include "base/error.h"
#include "env/process.h"

// A dozen system calls per reading. Static, any thread, no owner.
extern const struct process_source process_self;

// Opens the null device for every one of descriptors 0, 1 and 2 that is closed: otherwise the next file or socket would take its number, and
// be what the log is written to. First thing in a program, before anything else opens a descriptor. ERR_IO: not even that opens.
int process_open_standard(void) MUST_USE;
// Lets the process open as many files as the administrator allows (Go programs do the same).
void process_raise_file_limit(void);
// From now on no memory gets into a core dump, where keys would be found. As far as the system lets us: nothing depends on it.
void process_empty_core(void);
