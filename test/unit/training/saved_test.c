// SPDX-License-Identifier: Apache-2.0
// Files of weights: whole or not there, and the first one stays.
#include "saved.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/weir-saved-XXXXXX", path[64];
static float weights[] = {1, -0.5F, 1e-30F, 3e30F};

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/a.model", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int remove_file(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

static size_t count_files(void)
{
    size_t count = 0;
    DIR *open = opendir(folder);
    for (const struct dirent *entry; (entry = readdir(open));)
        count += entry->d_name[0] != '.';
    closedir(open);
    return count;
}

static int write_saved(const char *name, enum saved_when when)
{
    struct complaint complaint;
    struct saved saved = {json_pack("{s:s}", "name", name), weights, 4};
    int result = saved_write(path, &saved, when, &complaint);
    json_decref(saved.head);
    return result;
}

static void assert_saved(const char *name)
{
    struct complaint complaint;
    struct saved saved;
    assert_int_equal(saved_read(path, &saved, &complaint), 0);
    assert_string_equal(json_string_value(json_object_get(saved.head, "name")), name);
    assert_int_equal(saved.weights_count, 4);
    assert_memory_equal(saved.weights, weights, sizeof(weights));
    saved_deinit(&saved);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    assert_int_equal(write_saved("one", SAVED_REPLACE), 0);
    assert_saved("one");
    assert_int_equal(write_saved("two", SAVED_REPLACE), 0);
    assert_saved("two");
    assert_int_equal(count_files(), 1);
}

static void the_first_stays(void **state)
{
    (void)state;
    assert_int_equal(write_saved("one", SAVED_ONCE), 0);
    assert_int_equal(write_saved("two", SAVED_ONCE), 1);
    assert_saved("one");
    assert_int_equal(count_files(), 1);
}

static void every_changed_byte_and_every_missing_one_is_seen(void **state)
{
    uint8_t bytes[256];
    struct complaint complaint;
    struct saved saved;
    (void)state;
    assert_int_equal(write_saved("one", SAVED_ONCE), 0);
    FILE *file = fopen(path, "rb");
    size_t count = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    assert_true(count > 40 && count < sizeof(bytes));
    for (size_t i = 0; i < 2 * count; i++) {
        bytes[i % count] ^= i < count ? 1 : 0;
        file = fopen(path, "wb");
        assert_int_equal(fwrite(bytes, 1, i < count ? count : i - count, file), i < count ? count : i - count);
        fclose(file);
        assert_int_equal(saved_read(path, &saved, &complaint), -1);
        bytes[i % count] ^= i < count ? 1 : 0;
    }
}

static void what_cannot_be_written_is_said_and_leaves_nothing(void **state)
{
    struct complaint complaint;
    (void)state;
    assert_int_equal(saved_write_text("/nowhere/x", "text", SAVED_ONCE, &complaint), -1);
    assert_non_null(strstr(complaint.text, "/nowhere/x"));
    assert_int_equal(saved_write_text("/dev/full/x", "text", SAVED_ONCE, &complaint), -1);
    assert_int_equal(count_files(), 0);
}

static void touch(const char *suffix, bool write)
{
    char name[128];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    if (!write) {
        assert_int_equal(unlink(name), 0);
        return;
    }
    FILE *file = fopen(name, "wb");
    fputs("half", file);
    fclose(file);
}

static void what_a_killed_writer_left_is_removed_and_nothing_else(void **state)
{
    static const char *const others[] = {".tmp.a", ".tmp.abcdefg", ".tmpabcdefg", "x.tmp.abcdef", ".abc.abcdef"};
    struct complaint complaint;
    char name[128];
    (void)state;
    touch(".tmp.abcdef", true);
    touch(".tmp.123456", true);
    touch(".tmp.locked", true);
    for (size_t i = 0; i < 5; i++)
        touch(others[i], true);
    snprintf(name, sizeof(name), "%s.tmp.locked", path);
    int fd = open(name, O_RDONLY | O_CLOEXEC); // as who writes it has it
    assert_int_equal(flock(fd, LOCK_EX), 0);
    saved_clean(path);
    assert_int_equal(count_files(), 6);
    assert_int_equal(access(name, F_OK), 0);
    close(fd);
    saved_clean(path);
    assert_int_equal(count_files(), 5);
    assert_int_equal(saved_write_text(path, "text", SAVED_REPLACE, &complaint), 0);
    assert_int_equal(count_files(), 6);
    for (size_t i = 0; i < 5; i++)
        touch(others[i], false);
    saved_clean("/nowhere/x");
}

static void a_writer_that_dies_leaves_what_is_removed(void **state)
{
    struct complaint complaint;
    (void)state;
    // It dies in the middle, of writing more than a file may have.
    pid_t writer = fork();
    if (writer == 0) {
        static char text[4096];
        memset(text, 'x', sizeof(text) - 1);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, 100});
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGXFSZ, SIG_DFL);
        (void)saved_write_text(path, text, SAVED_ONCE, &complaint);
        _exit(1);
    }
    int status = 0;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count_files(), 1);
    saved_clean(path);
    assert_int_equal(count_files(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_written_is_read, remove_file),
        cmocka_unit_test_teardown(the_first_stays, remove_file),
        cmocka_unit_test_teardown(every_changed_byte_and_every_missing_one_is_seen, remove_file),
        cmocka_unit_test_teardown(what_cannot_be_written_is_said_and_leaves_nothing, remove_file),
        cmocka_unit_test_teardown(what_a_killed_writer_left_is_removed_and_nothing_else, remove_file),
        cmocka_unit_test(a_writer_that_dies_leaves_what_is_removed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
