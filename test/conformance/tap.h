// SPDX-License-Identifier: Apache-2.0
// TAP for the C programs of this folder: a table of named functions that return NULL, or what was wrong. check() returns from
// such a function when its condition does not hold.
#pragma once

#include <stdio.h>
#include <stdlib.h>

struct tap_test {
    const char *name; // begins with the ID of the fact it shows
    const char *(*run)(const char *url);
};

#define TAP_LINE_2(line) #line
#define TAP_LINE(line)   TAP_LINE_2(line)
#define check(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return __FILE__ ":" TAP_LINE(__LINE__) ": " #condition;                                                    \
    } while (0)

// Runs all; returns the program's exit code.
static inline int tap_run(const struct tap_test *tests, size_t count, const char *url)
{
    int failed = 0;
    for (size_t i = 0; i < count; i++) {
        const char *wrong = tests[i].run(url);
        printf("%s %zu - %s\n", wrong ? "not ok" : "ok", i + 1, tests[i].name);
        if (wrong)
            printf("    %s\n", wrong);
        fflush(stdout);
        failed |= wrong != NULL;
    }
    printf("1..%zu\n", count);
    return failed;
}
