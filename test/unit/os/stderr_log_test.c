// SPDX-License-Identifier: Apache-2.0
// Lines have nats-server's form, cannot be forged from inside, and never wait for a reader.
#include "os_test.h"

#include <fcntl.h>
#include <regex.h>

#include "os/stderr_log.h"

static void open_pipe(int fds[2])
{
    assert_int_equal(pipe(fds), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
}

static const char *read_some(int fd)
{
    static char text[8192];
    ssize_t got = read(fd, text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        fail_msg("\"%s\" does not match %s", text, pattern);
    regfree(&regex);
}

static void a_line_has_process_time_and_level(void **state)
{
    int fds[2];
    open_pipe(fds);
    struct stderr_log log;
    stderr_log_init(&log, fds[1], LOG_INFO);
    logger_write(&log.logger, LOG_DEBUG, "not this one");
    logger_write(&log.logger, LOG_WARN, "disk at %d%%", 97);
    assert_matches(read_some(fds[0]), "^\\[[0-9]+\\] [0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6} "
                                      "\\[WRN\\] disk at 97%\n$");
    close(fds[0]);
    close(fds[1]);
}

static void control_characters_and_length_are_tamed(void **state)
{
    int fds[2];
    open_pipe(fds);
    struct stderr_log log;
    stderr_log_init(&log, fds[1], LOG_INFO);
    logger_write(&log.logger, LOG_INFO, "name %s", "a\n[1] forged\x1b[2J");
    assert_matches(read_some(fds[0]), "\\[INF\\] name a\\?\\[1\\] forged\\?\\[2J\n$");
    char *longer = mem_alloc(2 * STDERR_LOG_LINE_MAX);
    memset(longer, 'x', 2 * STDERR_LOG_LINE_MAX - 1);
    longer[2 * STDERR_LOG_LINE_MAX - 1] = '\0';
    logger_write(&log.logger, LOG_ERROR, "%s", longer);
    const char *line = read_some(fds[0]);
    assert_int_equal(strlen(line), STDERR_LOG_LINE_MAX);
    assert_int_equal(line[STDERR_LOG_LINE_MAX - 1], '\n');
    assert_int_equal(line[STDERR_LOG_LINE_MAX - 2], 'x');
    mem_free(longer);
    close(fds[0]);
    close(fds[1]);
}

static void a_full_pipe_drops_and_owns_up(void **state)
{
    int fds[2];
    open_pipe(fds);
    struct stderr_log log;
    stderr_log_init(&log, fds[1], LOG_INFO);
    for (int i = 0; i < 3000; i++)
        logger_write(&log.logger, LOG_INFO, "line %d of many that nobody reads", i);
    assert_in_range(log.dropped, 1, 2999);
    uint64_t dropped = log.dropped;
    while (*read_some(fds[0])) {
    }
    logger_write(&log.logger, LOG_INFO, "readers are back");
    char pattern[128];
    snprintf(pattern, sizeof(pattern), "\\[WRN\\] %llu log lines dropped.*\n.*\\[INF\\] readers are back\n$",
             (unsigned long long)dropped);
    assert_matches(read_some(fds[0]), pattern);
    assert_int_equal(log.dropped, 0);
    close(fds[0]);
    close(fds[1]);
}

static void a_file_is_appended_to(void **state)
{
    const char *path = os_test_directory();
    char name[96];
    snprintf(name, sizeof(name), "%s/log", path);
    for (int i = 0; i < 2; i++) {
        struct stderr_log log;
        stderr_log_init(&log, 2, LOG_INFO);
        assert_int_equal(stderr_log_to_file(&log, name), 0);
        logger_write(&log.logger, LOG_INFO, "start %d", i);
        stderr_log_deinit(&log);
    }
    int fd = open(name, O_RDONLY);
    assert_matches(read_some(fd), "start 0\n.*start 1\n$");
    close(fd);
    struct stderr_log log;
    stderr_log_init(&log, 2, LOG_INFO);
    snprintf(name, sizeof(name), "%s/no/log", path);
    assert_int_equal(stderr_log_to_file(&log, name), ERR_NOT_FOUND);
    os_test_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_process_time_and_level),
        cmocka_unit_test(control_characters_and_length_are_tamed),
        cmocka_unit_test(a_full_pipe_drops_and_owns_up),
        cmocka_unit_test(a_file_is_appended_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
