// SPDX-License-Identifier: Apache-2.0
#include "base/shared_block.h"

#include "base/memory.h"
#include "base/must.h"

struct shared_block *shared_block_new(size_t len)
{
    struct shared_block *block = mem_alloc(sizeof(*block) + len);
    atomic_init(&block->refs, 1);
    block->len = len;
    return block;
}

void shared_block_ref(struct shared_block *block)
{
    unsigned before = atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    must(before > 0);
}

void shared_block_unref(struct shared_block *block)
{
    // Whoever frees it must see everything others did with it before they let go.
    unsigned before = atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel);
    must(before > 0);
    if (before == 1)
        mem_free(block);
}
