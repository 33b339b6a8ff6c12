// SPDX-License-Identifier: Apache-2.0
// The operations of env/disk.h on one open file: the loops around pwritev and preadv, allocation, listing. All block; any
// thread, but not two at once on one file unless both only read. Results are 0 or the ERR_* that env/disk.h names.
#pragma once

#include "base/error.h"
#include "env/disk.h"

// Zeros are written in slices of this many bytes, those that go through the page cache synced one by one: a write or sync of
// the log that comes in between then waits for one slice at most. A device takes about 1 ms for a megabyte.
#define FILE_ALLOCATE_SLICE (256 * 1024)

// Around the page cache: copying new data into fresh pages costs four times the processor time of the write itself, and
// zeroing a file through the cache fifteen times. So zeros go around it, and so do the whole blocks of writes that begin at a
// multiple of FILE_BLOCK and are synced now or soon, and gathers of spans that lie close together, when the caller lends a
// bounce buffer. Where the file system cannot, all go through it. Reads with DISK_FLAG_AROUND are spared the same: a window that
// is filled again and again stays in the processor's caches and is warm memory, while the page cache takes new pages all the time.
#define FILE_BLOCK       4096
#define FILE_BOUNCE_SIZE (256 * 1024)
#define FILE_WINDOW_SIZE (1024 * 1024)

// What errno says in the words of base/error.h. ENOSPC and a used-up quota are ERR_NO_SPACE; what has no word is ERR_IO.
int file_error(int number);

// flags are DISK_FLAG_*. The handle is freed by file_close().
int file_open(int directory_fd, const char *path, unsigned flags, struct disk_file **ret_file) MUST_USE;
int file_close(struct disk_file *file);

// All spans, all bytes, whatever the kernel takes at once; then a sync with DISK_FLAG_SYNC, and with DISK_FLAG_SOON if anything
// but the last part of a block went through the cache. Sets request->transferred.
// `bounce`: FILE_BOUNCE_SIZE bytes aligned to FILE_BLOCK that nobody else uses meanwhile, or NULL.
int file_write(struct disk_file *file, struct disk_request *request, char *bounce) MUST_USE;
// Until the spans are full or the file ends. Sets request->transferred. `window`: FILE_WINDOW_SIZE bytes, otherwise as `bounce`.
int file_read(struct disk_file *file, struct disk_request *request, char *window) MUST_USE;
// Each span from its own offset; ERR_IO when the file ends before a span is full. `bounce` as above.
int file_read_each(struct disk_file *file, struct disk_request *request, char *bounce) MUST_USE;
// Any failure is ERR_IO, the lack of space too: what the file holds is then unknown.
int file_sync(struct disk_file *file) MUST_USE;
// Blocks for [0, length), zeros really written behind the present end: after a sync, a later one has no metadata to write.
// On failure the file is as long as before.
int file_allocate(struct disk_file *file, uint64_t length) MUST_USE;
int file_truncate(struct disk_file *file, uint64_t length) MUST_USE;
int file_size(struct disk_file *file, uint64_t *ret_size) MUST_USE;
// Names in a folder, without "." and "..", in byte order.
int file_list(int directory_fd, const char *path, struct disk_names *ret_names) MUST_USE;
