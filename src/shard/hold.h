// SPDX-License-Identifier: Apache-2.0
// The hold queue: answers that were encoded when their record was appended and leave when it is durable. A ring of frames,
// no allocation per answer after warm-up; one commit notice releases a run.
#pragma once

#include "base/bytes.h"
#include "base/list.h"

struct shard;

struct hold {
    void *owner;
    // The record is durable: send.
    void (*release)(void *owner, struct bytes subject, struct bytes frame);
    // It will never be (full disk, FAILED log): say so instead. The frame is what would have been sent.
    void (*refuse)(void *owner, struct bytes subject, struct bytes frame, int error);
    struct list link;       // shard's
    struct hold_ring *ring; // owned
};

// Registers with the shard; holds are released in the order of registration, each in the order of its pushes.
void hold_init(struct hold *hold, struct shard *shard);
void hold_deinit(struct hold *hold);
// Answers `subject` with `frame` (both copied) when `index` is committed; an index that is already waits for the next
// release too, so the order of answers is the order of pushes. Indexes never decrease.
void hold_push(struct hold *hold, uint64_t index, struct bytes subject, struct bytes frame);
// Bytes waiting.
uint64_t hold_bytes(const struct hold *hold);
// Shard's: everything up to `index` leaves; everything above `last_good` is refused.
void hold_commit(struct hold *hold, uint64_t index);
void hold_drop(struct hold *hold, uint64_t last_good, int error);
