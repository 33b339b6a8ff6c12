// SPDX-License-Identifier: Apache-2.0
// What a backup is made of: frames as the log has them (base/record.h), each with its own check, between one that says what it is and
// one that says that it is whole. BACKUP.md is the reference.
// tidy: prefix backup_sum
#pragma once

#include "base/buffer.h"
#include "base/record.h"

enum { BACKUP_VERSION = 1 };

// Kinds that occur in backups only; the numbers are kept free in base/record.h.
enum backup_kind {
    BACKUP_BEGIN = 0x8070, // the first frame
    BACKUP_END = 0x8071,   // the last
};

// Over all frames before the end, with their padding.
struct backup_sum {
    uint64_t frames, bytes;
    uint64_t digest; // of each frame with that of those before it as the seed
};

void backup_sum_add(struct backup_sum *sum, struct bytes frame);

struct backup_begin {
    uint64_t time_ns;
    struct bytes cluster_id;
    struct bytes channel; // len 0: all
};

// Append one whole frame, which is not yet in any sum. `missing`: messages that are not in it because they could not be read.
void backup_file_put_begin(struct buffer *to, const struct backup_begin *begin);
void backup_file_put_end(struct buffer *to, const struct backup_sum *sum, uint64_t missing);
// ERR_CORRUPT; ERR_NEWER: of a version that is not ours.
int backup_file_get_begin(const struct record *record, struct backup_begin *ret) MUST_USE;
int backup_file_get_end(const struct record *record, struct backup_sum *ret, uint64_t *ret_missing) MUST_USE;
