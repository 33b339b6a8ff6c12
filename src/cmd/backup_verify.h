// SPDX-License-Identifier: Apache-2.0
// A backup file, frame by frame (admin/backup_file.h).
// tidy: prefix backup
#pragma once

#include <stdio.h>

#include "admin/backup_file.h"

// Reads a file in pieces: the frames between the first and the last one are given out.
struct backup_reader {
    int fd;
    char *window; // owned
    size_t start, end, capacity;
    uint64_t offset; // in the file, of the frame that comes next
    uint64_t size;   // of the file
    struct backup_sum sum;
    bool ended;       // the last frame was there, and says what was read
    uint64_t missing; // then: messages that the server could not read
};

// ERR_NOT_FOUND, ERR_PERMISSION, ERR_IO; ERR_CORRUPT: it begins as no backup; ERR_NEWER. *ret_begin is borrowed until the next call.
int backup_reader_open(struct backup_reader *reader, const char *path, struct backup_begin *ret_begin) MUST_USE;
void backup_reader_close(struct backup_reader *reader);
// 1: a frame, borrowed until the next call; 0: the end, and everything is whole; ERR_CORRUPT: at reader->offset; ERR_IO.
int backup_reader_next(struct backup_reader *reader, struct record *ret_record) MUST_USE;

// Reads all of it and says what it is; what is wrong goes to standard error. 0: it is whole.
int backup_verify(const char *path, FILE *out);
