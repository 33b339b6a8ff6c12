// SPDX-License-Identifier: Apache-2.0
// What the tests of os/ share: a loop that counts its turns and runs until a condition holds, a temporary directory.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "os/loop.h"

struct os_test_loop {
    struct loop loop;
    struct loop_handler handler;
    unsigned begins, ends;        // of turns
    bool again;                   // what turn_end answers, once
    bool spin;                    // what it answers otherwise
    uint64_t deadline_ms;         // what next_deadline_ms answers
    struct moment now;            // of the last turn
    bool (*until)(void *context); // asked at every end of turn; true stops the loop
    void *context;
};

static inline void os_test_turn_begin(void *owner, struct moment now)
{
    struct os_test_loop *test = owner;
    assert_int_equal(test->begins, test->ends);
    test->begins++;
    test->now = now;
}

static inline bool os_test_turn_end(void *owner)
{
    struct os_test_loop *test = owner;
    test->ends++;
    assert_int_equal(test->begins, test->ends);
    if (test->until && test->until(test->context))
        loop_stop(&test->loop);
    bool again = test->again || test->spin;
    test->again = false;
    return again;
}

static inline uint64_t os_test_deadline(void *owner)
{
    return ((struct os_test_loop *)owner)->deadline_ms;
}

static inline void os_test_loop_init(struct os_test_loop *test)
{
    *test = (struct os_test_loop){.deadline_ms = UINT64_MAX};
    test->handler = (struct loop_handler){test, os_test_turn_begin, os_test_turn_end, os_test_deadline};
    assert_int_equal(loop_init(&test->loop, &test->handler), 0);
}

static inline void os_test_wake(struct loop_task *task)
{
    (void)task;
}

// Begins with a turn, whatever else happens. A test that hangs is killed by meson; nothing here waits on time.
static inline void os_test_run_until(struct os_test_loop *test, bool (*until)(void *context), void *context)
{
    test->until = until;
    test->context = context;
    struct loop_task wake = {.run = os_test_wake};
    list_init(&wake.link);
    loop_defer(&test->loop, &wake);
    loop_run(&test->loop);
    test->until = NULL;
}

// A new directory under the system's folder for such; removed with os_test_remove().
static inline char *os_test_directory(void)
{
    static char path[64];
    snprintf(path, sizeof(path), "/tmp/weir-os-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void os_test_remove(const char *path)
{
    char command[96];
    snprintf(command, sizeof(command), "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}
