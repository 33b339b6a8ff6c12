// SPDX-License-Identifier: Apache-2.0
// A disk over a disk: what is written through it is encrypted, what is read through it is decrypted and checked (seal.h has the
// bytes). Everything above reads and writes content, at offsets of content, and is told by vault_block() how much of it fits into a
// block. A store without a key has no vault, and pays nothing for it.
//
// Which files: those of the log, sidecars, segments, checkpoints; every other one passes through. A file is sealed, or clear, from the
// beginning of its life: a log file's is the write of its header, the others' is their creation. Files that are found stay
// what they are.
//
// Reading: a block that does not open (damaged, stale, never written) reads as zeros, of which nothing verifies: to those above it
// is the same as any other damage. Writing: sealed files are written from front to back; a log file also from the beginning of any
// block on. What does not fill a block waits for the next write or the sync.
//
// One thread. Nothing here is an error of its own: what the disk below says is passed on.
#pragma once

#include "env/disk.h"
#include "store/seal.h"

struct vault;

// `disk` and `encryption->crypto`, `->random` are borrowed for life; the secrets are not looked at again.
struct vault *vault_new(struct disk *disk, const struct store_encryption *encryption, const struct logger *logger);
// Files whose clear block was found damaged so far, while others of their blocks could be read. Each was logged.
uint64_t vault_damaged(const struct vault *vault);
// All files are closed and no request is under way. NULL is fine. Wipes the keys.
void vault_free(struct vault *vault);
// The disk that encrypts. Requests that it is given complete as those of the one below do.
struct disk *vault_disk(struct vault *vault);

// For the header of a log file that is about to begin: a new salt; of a clear one only which key older files may need. All zero
// without a vault.
struct seal_mark vault_mark(struct vault *vault);
// Is this the id of one of the keys? Not without a vault.
bool vault_has_key(const struct vault *vault, uint64_t key_id);
// Logs, with what to do, that the file is encrypted and none of the keys is its own. Returns ERR_KEY.
int vault_refuse(const struct vault *vault, const char *path, uint64_t key_id, const struct logger *logger);
// Can all segments and checkpoints be read? `disk` is that of the store; `vault` may be NULL. Else ERR_KEY, logged; or an error of
// the disk. With disk_run.
int vault_check_files(const struct vault *vault, struct disk *disk, const struct logger *logger) MUST_USE;
// Bytes of content in a block of a file that is made now.
uint32_t vault_new_block(const struct vault *vault);
// Bytes of content in a block of this file, which the vault opened.
uint32_t vault_block(const struct disk_file *file);
