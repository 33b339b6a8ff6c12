// SPDX-License-Identifier: Apache-2.0
// The manifest: which segments are in force, as items in the checkpoint. A base has all of them, a delta what changed since
// the checkpoint before. FORMAT.md describes the bytes.
#pragma once

#include "base/buffer.h"
#include "store/segment_set.h"

// Walks the set while it is written. Zeroed: from the beginning.
struct segment_manifest {
    struct list *at; // the next segment of the set
    size_t gone;     // of set->gone, written
    bool finished;
};

// Appends items until about max_bytes: of all segments (`base`), else of the changes. Those whose entries are not all up to
// rolled_index are left for a later checkpoint. True while there is more; nothing may leave the set until then.
bool segment_manifest_encode(const struct segment_set *set, struct segment_manifest *manifest, bool base,
                             uint64_t rolled_index, size_t max_bytes, struct buffer *out);
// Applies items to the set. ERR_CORRUPT, ERR_NEWER.
int segment_manifest_apply(struct segment_set *set, struct bytes items) MUST_USE;
