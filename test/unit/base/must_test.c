// SPDX-License-Identifier: Apache-2.0
// must() lets the true pass, evaluates once, and ends the process with the place in its message.
#include "base/must.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void lets_pass_and_evaluates_once(void **state)
{
    int count = 0;
    must(++count == 1);
    assert_int_equal(count, 1);
    void *pointer = &count;
    must(pointer);
}

static void says_where_and_aborts(void **state)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        must(ends[0] == -1);
        _exit(0);
    }
    close(ends[1]);
    char message[500] = "";
    ssize_t size = read(ends[0], message, sizeof(message) - 1);
    assert_true(size > 0);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_non_null(strstr(message, "must failed: ends[0] == -1 "));
    assert_non_null(strstr(message, "must_test.c:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_pass_and_evaluates_once),
        cmocka_unit_test(says_where_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
