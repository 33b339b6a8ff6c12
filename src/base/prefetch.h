// SPDX-License-Identifier: Apache-2.0
// Hints to the processor: this memory is needed before long. Worth it where many things that no cache holds are worked on one after the other: first
// all of them are called for, then each has its turn. The memory need not be there any more.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { PREFETCH_LINE_BYTES = 64 };

// Every line that has a part of it. NULL: nothing.
static inline void prefetch_lines(const void *from, size_t size)
{
    if (!from)
        return;
    const char *line = (const char *)from - (uintptr_t)from % PREFETCH_LINE_BYTES;
    for (; line < (const char *)from + size; line += PREFETCH_LINE_BYTES)
        __builtin_prefetch(line, 1);
}
