// SPDX-License-Identifier: Apache-2.0
// An import on this machine, for `weir import` and for `serve --import`: source locked and read, target filled by a shard as a server has
// one, on a loop of its own, and made whole or left marked as unfinished (cmd/intake_target.h).
#pragma once

#include "stan/import/importer.h"

struct intake {
    const char *source;                        // the old server's --dir
    const char *directory;                     // the new one's; NULL: a dry run
    const char *cluster_id;                    // that the store must be of; NULL: whichever it is of
    struct importer_options options;           // source, crypto, cluster_id and logger are filled in here
    const struct store_encryption *encryption; // of the new directory; NULL: none
    const struct logger *logger;
    // Now and then, and at the end; may be NULL.
    void (*progress)(void *owner, const struct importer_stats *stats);
    void *owner;
    // What came over, and from whom.
    struct importer_stats stats;
    char ret_cluster_id[260];
};

// The new directory will be encrypted.
static inline bool intake_encrypts(const struct intake *run)
{
    return run->encryption && run->encryption->key.len && run->encryption->cipher;
}

// Would importer_options.keep_going have gone on? Of an error of intake_run().
static inline bool intake_is_damage(int error)
{
    return error == ERR_CORRUPT || error == ERR_PROTOCOL;
}

// 0, or ERR_* when it was said why.
int intake_run(struct intake *run) MUST_USE;
