// SPDX-License-Identifier: Apache-2.0
// What the process costs the machine, for monitoring. os/ reads it, the simulator makes it up.
#pragma once

#include <stdint.h>

struct process_usage {
    uint64_t resident_bytes; // memory that really is there
    uint64_t cpu_ns;         // used by all threads since the start
    uint64_t open_files;     // descriptors in use
    uint64_t max_files;      // descriptors allowed
    uint32_t cores;          // that this process may use
};

struct process_source {
    void *owner;
    void (*read)(void *owner, struct process_usage *ret_usage);
};
