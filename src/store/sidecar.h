// SPDX-License-Identifier: Apache-2.0
// The sidecar of a closed log file: its part of the index of messages and its dedupe ids, so that a start need not read the log
// file for them. It can always be made again from the log file: whatever is wrong with it, it is ignored, and the log file is
// scanned. FORMAT.md describes every byte.
//
//   head │ runs of the index │ saved dedupe ids │ trailer
//
// Names, encodes, decodes and reads (disk_run); sidecar_writer.c writes.
#pragma once

#include "base/buffer.h"
#include "store/context.h"
#include "store/index.h"

enum {
    SIDECAR_HEAD_SIZE = 32,
    SIDECAR_RUN_SIZE = 24,
    SIDECAR_TRAILER_SIZE = 128,
    SIDECAR_CHECK_BYTES = 64 * 1024, // the check of a section is a chain over pieces of this size
};

struct sidecar_info {
    uint64_t file;         // id of the log file
    uint64_t header_check; // the last eight bytes of its header: it is that very file
    uint64_t valid;        // bytes of it that count
    uint64_t first_index;  // of its entries, which follow each other without gaps or damage
    uint64_t last_index;
    uint64_t messages;   // in the runs
    uint64_t ids_offset; // where the runs end and the ids begin
    uint64_t ids_bytes;
    uint64_t ids_until_ns; // wall clock: none of them is in its window any more
    uint64_t runs_check;
    uint64_t ids_check;
};

// "wal/%016x.idx".
void sidecar_name(uint64_t file, char ret_path[STORE_PATH_BYTES]);
// The id in a name without its folder, also of one that was being written (.idx.tmp). ERR_NOT_OURS for any other name.
int sidecar_parse_name(const char *name, uint64_t *ret_file, bool *ret_temporary) MUST_USE;

void sidecar_head_encode(uint64_t file, char to[SIDECAR_HEAD_SIZE]);
void sidecar_run_encode(const struct index_piece *piece, char to[SIDECAR_RUN_SIZE]);
void sidecar_trailer_encode(const struct sidecar_info *info, char to[SIDECAR_TRAILER_SIZE]);
// ERR_CORRUPT; ERR_NEWER.
int sidecar_trailer_decode(const char from[SIDECAR_TRAILER_SIZE], uint64_t file, uint64_t bytes,
                           struct sidecar_info *ret_info) MUST_USE;
// The chain goes on: `seed` is 0 at the beginning of a section, then what was returned for the piece before. All pieces but the
// last of a section are SIDECAR_CHECK_BYTES long.
uint64_t sidecar_check(struct bytes pieces, uint64_t seed);

// The trailer of this log file's sidecar. ERR_NOT_FOUND, ERR_CORRUPT, ERR_NEWER or an error of the disk.
int sidecar_look(struct disk *disk, uint64_t file, struct sidecar_info *ret_info) MUST_USE;
// The whole of it, verified: *ret_runs is owned by the caller, as is *ret_ids, which is NULL if there are none or with_ids is not
// set. Errors as above; then both are NULL.
int sidecar_read(struct disk *disk, const struct sidecar_info *info, bool with_ids, char **ret_runs,
                 char **ret_ids) MUST_USE;
// Walks the runs that sidecar_read() gave, from *position 0 on. False at the end.
bool sidecar_next_piece(const struct sidecar_info *info, const char *runs, uint64_t *position,
                        struct index_piece *ret_piece);
