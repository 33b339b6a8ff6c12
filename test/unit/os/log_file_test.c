// SPDX-License-Identifier: Apache-2.0
// CO-X05: a log file moves away when it is full, and old ones go.
#include "os_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "os/log_file.h"

static int count_files(const char *path)
{
    DIR *list = opendir(path);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(list));)
        count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

static void put(struct log_file *file, const char *text)
{
    assert_int_equal(write(file->fd, text, strlen(text)), strlen(text));
    file->size += strlen(text);
}

static void full_means_that_a_line_would_pass_the_limit(void **state)
{
    const char *path = os_test_directory();
    char name[96];
    snprintf(name, sizeof(name), "%s/log", path);
    struct log_file file;
    assert_int_equal(log_file_open(&file, name, 10, 0), 0);
    assert_false(log_file_is_full(&file, 100)); // an empty file takes any line
    put(&file, "1234567");
    assert_false(log_file_is_full(&file, 3));
    assert_true(log_file_is_full(&file, 4));
    log_file_close(&file);
    assert_int_equal(log_file_open(&file, name, 10, 0), 0);
    assert_true(log_file_is_full(&file, 4)); // what was there counts
    log_file_close(&file);
    assert_int_equal(log_file_open(&file, name, 0, 0), 0);
    assert_false(log_file_is_full(&file, 1 << 20));
    log_file_close(&file);
    log_file_close(&file);
    os_test_remove(path);
}

static void backups_over_the_number_go_the_oldest_first(void **state)
{
    const char *path = os_test_directory();
    char name[96], other[128], backups[4][LOG_FILE_PATH_SIZE];
    snprintf(name, sizeof(name), "%s/log", path);
    snprintf(other, sizeof(other), "%s/log.2000.01.01.00.00.00.0000000xx", path); // not a backup of ours
    close(open(other, O_CREAT | O_WRONLY, 0600));
    struct log_file file;
    assert_int_equal(log_file_open(&file, name, 10, 3), 0);
    for (int i = 0; i < 4; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%d", i);
        put(&file, text);
        assert_int_equal(log_file_rotate(&file, backups[i]), 0);
        assert_int_equal(file.size, 0);
    }
    log_file_close(&file);
    assert_int_equal(count_files(path), 1 + 2 + 1);
    assert_int_equal(access(backups[0], F_OK), -1);
    assert_int_equal(access(backups[1], F_OK), -1);
    for (int i = 2; i < 4; i++) {
        char text[8] = "";
        int fd = open(backups[i], O_RDONLY);
        assert_int_equal(read(fd, text, sizeof(text) - 1), 1);
        assert_int_equal(text[0], '0' + i);
        close(fd);
    }
    assert_int_equal(access(other, F_OK), 0);
    os_test_remove(path);
}

static void a_rotation_that_fails_is_not_tried_again(void **state)
{
    const char *path = os_test_directory();
    char name[96], backup[LOG_FILE_PATH_SIZE] = "untouched";
    snprintf(name, sizeof(name), "%s/log", path);
    struct log_file file;
    assert_int_equal(log_file_open(&file, name, 10, 0), 0);
    put(&file, "1234567890");
    unlink(name);
    assert_int_equal(log_file_rotate(&file, backup), ERR_NOT_FOUND);
    assert_string_equal(backup, "untouched");
    assert_false(log_file_is_full(&file, 1));
    put(&file, "more");
    log_file_close(&file);
    os_test_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_means_that_a_line_would_pass_the_limit),
        cmocka_unit_test(backups_over_the_number_go_the_oldest_first),
        cmocka_unit_test(a_rotation_that_fails_is_not_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
