// SPDX-License-Identifier: Apache-2.0
// A log file that lines are appended to, moved away when it is full. One user at a time.
//
//   weir.log ──full──► weir.log.2026.11.23.08.00.00.000000000   and a new weir.log        (CO-X05: names as nats-server's)
//
// log_file_open ──► (log_file_rotate)* ──► log_file_close.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

// Longest path of a backup, with its NUL.
#define LOG_FILE_PATH_SIZE 4096

struct log_file {
    int fd;               // owned; -1: not open
    char *path;           // owned
    uint64_t size;        // bytes in it
    uint64_t size_limit;  // rotated before a line that would pass it; 0: never
    uint32_t max_files;   // with the current one; older backups are removed; 0: all are kept
    bool rotation_failed; // once is enough: the file just grows
};

// Created if missing, with mode 0640; lines go to its end. ERR_* of file_error(), ERR_TOO_BIG for the path.
int log_file_open(struct log_file *file, const char *path, uint64_t size_limit, uint32_t max_files) MUST_USE;
// Harmless when it is not open (fd -1).
void log_file_close(struct log_file *file);

// Would `more` bytes pass the limit?
static inline bool log_file_is_full(const struct log_file *file, size_t more)
{
    return file->size_limit > 0 && file->size > 0 && file->size + more > file->size_limit && !file->rotation_failed;
}

// Moves the file to its backup name, which is returned, opens a new one and removes the oldest backups over max_files. On failure
// the old file stays in use and is not rotated again.
int log_file_rotate(struct log_file *file, char ret_backup[LOG_FILE_PATH_SIZE]) MUST_USE;
