// SPDX-License-Identifier: Apache-2.0
// Hints to the processor: this memory is needed before long. Worth it where many things that no cache holds are worked on one after the other: first
// all of them are called for, then each has its turn. The memory need not be there any more.
#pragma once

#include <stddef.h>

enum { PREFETCH_LINE_BYTES = 64 };

// NULL: nothing.
static inline void prefetch_lines(const void *from, size_t size)
{
    for (size_t skip = 0; from && skip < size; skip += PREFETCH_LINE_BYTES)
        __builtin_prefetch((const char *)from + skip, 1);
}
