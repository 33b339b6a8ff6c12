// SPDX-License-Identifier: Apache-2.0
// What this process costs (env/process.h), as the kernel counts it.
#pragma once

#include "env/process.h"

// A dozen system calls per reading. Static, any thread, no owner.
extern const struct process_source process_self;

// Lets the process open as many files as the administrator allows (Go programs do the same).
void process_raise_file_limit(void);
// From now on no memory gets into a core dump, where keys would be found. As far as the system lets us: nothing depends on it.
void process_empty_core(void);
