// SPDX-License-Identifier: Apache-2.0
// What went wrong, as a sentence for people, and memory that is there: what all files of this example use.
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct complaint {
    char text[512];
};

// Returns -1, so that a function can end with `return complaint_set(…)`.
__attribute__((format(printf, 2, 3))) static inline int complaint_set(struct complaint *complaint, const char *format,
                                                                      ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint->text, sizeof(complaint->text), format, arguments);
    va_end(arguments);
    return -1;
}

// Zeroed; ends the program when there is no memory. Everything that others can make large has a limit before it comes here.
static inline void *complaint_alloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return memory;
}
