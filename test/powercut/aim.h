// SPDX-License-Identifier: Apache-2.0
// At which moment the power is cut: what a write holds, by the formats of src/store/FORMAT.md. Shares no code with what it tests.
//
//   POWERCUT_AIM    record:8015     a write with a record of this kind (log) or this kind of image (checkpoint)
//                   item:8001       … with this item of the manifest (checkpoint)
//                   header:wal/     … with the first block of a file whose path has this in it
//                   write:X create:X rename:X unlink:X truncate:X    X is in the (new) path
//   POWERCUT_SKIP   so many of these moments pass first
//   POWERCUT_WHEN   before: it has not happened; after: it has, and is not synced; synced: the next sync has succeeded
//   POWERCUT_HIT    a file that is made at that moment
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

// Reads the environment.
void aim_start(void);
// A write is about to happen, or has happened. `offset` in the file.
void aim_write(bool done, const char *path, const struct iovec *parts, int count, off_t offset);
// "create", "rename", "unlink" or "truncate".
void aim_name(bool done, const char *what, const char *path);
// A sync has succeeded, of a file or a folder.
void aim_synced(void);
