// SPDX-License-Identifier: Apache-2.0
// Zeroing, alignment, copies, sizes of zero, and the abort when memory is out.
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void allocates(void **state)
{
    char *zeroes = mem_alloc_zero(100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(zeroes[i], 0);
    }
    zeroes[99] = 7;
    zeroes = mem_realloc(zeroes, 10000);
    assert_int_equal(zeroes[99], 7);
    mem_free(zeroes);
    mem_free(mem_realloc(NULL, 5));
    mem_free(NULL);
}

static void zero_bytes_are_unique_too(void **state)
{
    void *one = mem_alloc(0), *two = mem_alloc_zero(0), *three = mem_realloc(NULL, 0);
    assert_non_null(one);
    assert_ptr_not_equal(one, two);
    assert_ptr_not_equal(two, three);
    mem_free(one);
    mem_free(two);
    mem_free(mem_realloc(three, 0));
}

static void aligns(void **state)
{
    for (size_t align = sizeof(void *); align <= 4096; align *= 2) {
        char *ptr = mem_alloc_aligned(align, 100);
        assert_int_equal((uintptr_t)ptr % align, 0);
        memset(ptr, 1, 100);
        mem_free(ptr);
    }
}

static void copies(void **state)
{
    char *string = mem_copy_string(bytes_make("data/wal", 4));
    assert_string_equal(string, "data");
    mem_free(string);
    string = mem_copy_string(bytes_make(NULL, 0));
    assert_string_equal(string, "");
    mem_free(string);
    char *bytes = mem_copy(BYTES("a\0b"));
    assert_memory_equal(bytes, "a\0b", 3);
    mem_free(bytes);
    mem_free(mem_copy(bytes_make(NULL, 0)));
}

// A size beyond what any allocator gives; in a child, whose message is not part of the test's output.
static void aborts_when_out(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        volatile size_t size = SIZE_MAX / 2 - 4096;
        char *volatile ptr = mem_alloc(size);
        (void)ptr;
        _exit(0); // the one way to end that is wrong; AddressSanitizer ends with 1 by itself
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocates), cmocka_unit_test(zero_bytes_are_unique_too), cmocka_unit_test(aligns),
        cmocka_unit_test(copies),    cmocka_unit_test(aborts_when_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
