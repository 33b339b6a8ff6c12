// SPDX-License-Identifier: Apache-2.0
// What the process costs the machine, for monitoring. os/ reads it, the simulator makes it up.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct process_usage {
    uint64_t resident_bytes; // memory that really is there
    uint64_t cpu_ns;         // used by all threads since the start
    uint64_t open_files;     // descriptors in use
    uint64_t max_files;      // descriptors allowed
    uint32_t cores;          // that this process may use
};

struct process_disk {
    uint64_t free_bytes; // that this process may still take
    uint64_t size_bytes;
};

struct process_source {
    void *owner;
    void (*read)(void *owner, struct process_usage *ret_usage);
    // Of the file system that a directory is in. False: that cannot be told. May be NULL.
    bool (*read_disk)(void *owner, const char *directory, struct process_disk *ret_disk);
};
