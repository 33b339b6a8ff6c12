// SPDX-License-Identifier: Apache-2.0
// Lines have nats-server's form, cannot be forged from inside, and never wait for a reader.
#include "os_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <regex.h>
#include <string.h>
#include <sys/socket.h>

#include "os/server_log.h"

static void open_pipe(int fds[2])
{
    assert_int_equal(pipe(fds), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
}

// A log into a pipe.
struct piped {
    int fds[2];
    struct server_log log;
};

static void begin(struct piped *piped)
{
    open_pipe(piped->fds);
    server_log_init(&piped->log, piped->fds[1], LOG_INFO);
}

static void end(struct piped *piped)
{
    server_log_deinit(&piped->log);
    close(piped->fds[0]);
    close(piped->fds[1]);
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
    struct piped piped;
    begin(&piped);
    logger_write(&piped.log.logger, LOG_DEBUG, "not this one");
    logger_write(&piped.log.logger, LOG_WARN, "disk at %d%%", 97);
    assert_matches(read_some(piped.fds[0]),
                   "^\\[[0-9]+\\] [0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6} "
                   "\\[WRN\\] disk at 97%\n$");
    end(&piped);
}

static void control_characters_and_length_are_tamed(void **state)
{
    struct piped piped;
    begin(&piped);
    logger_write(&piped.log.logger, LOG_INFO, "name %s", "a\n[1] forged\x1b[2J");
    assert_matches(read_some(piped.fds[0]), "\\[INF\\] name a\\?\\[1\\] forged\\?\\[2J\n$");
    char *longer = mem_alloc(2 * SERVER_LOG_LINE_MAX);
    memset(longer, 'x', 2 * SERVER_LOG_LINE_MAX - 1);
    longer[2 * SERVER_LOG_LINE_MAX - 1] = '\0';
    logger_write(&piped.log.logger, LOG_ERROR, "%s", longer);
    const char *line = read_some(piped.fds[0]);
    assert_int_equal(strlen(line), SERVER_LOG_LINE_MAX);
    assert_int_equal(line[SERVER_LOG_LINE_MAX - 1], '\n');
    assert_int_equal(line[SERVER_LOG_LINE_MAX - 2], 'x');
    mem_free(longer);
    end(&piped);
}

// Reads until what came ends with `end`, blocking; a test that hangs is killed by meson.
static char *read_until(int fd, const char *end, size_t *ret_len)
{
    static char text[4 * SERVER_LOG_QUEUE_MAX];
    fcntl(fd, F_SETFL, 0);
    size_t len = 0;
    text[0] = '\0';
    while (len < strlen(end) || strcmp(text + len - strlen(end), end) != 0) {
        ssize_t got = read(fd, text + len, sizeof(text) - 1 - len);
        assert_true(got > 0);
        len += (size_t)got;
        text[len] = '\0';
    }
    *ret_len = len;
    return text;
}

#define MANY 4000 // lines that fit into the queue

static void a_full_pipe_makes_nobody_wait_and_loses_nothing(void **state)
{
    struct piped piped;
    begin(&piped);
    for (int i = 0; i < MANY; i++)
        logger_write(&piped.log.logger, LOG_INFO, "line %d of many that nobody reads", i);
    size_t len;
    const char *at = read_until(piped.fds[0], "line 3999 of many that nobody reads\n", &len);
    for (int i = 0; i < MANY; i++) {
        char line[64];
        snprintf(line, sizeof(line), "[INF] line %d of many that nobody reads\n", i);
        at = strstr(at, line);
        assert_non_null(at);
        at += strlen(line);
    }
    end(&piped);
}

static void a_full_queue_drops_and_owns_up_once(void **state)
{
    struct piped piped;
    begin(&piped);
    int sent = 0;
    for (; sent < 40000; sent++)
        logger_write(&piped.log.logger, LOG_INFO, "line %d of more than there is room for", sent);
    size_t len;
    const char *text = read_until(piped.fds[0], "nobody took them\n", &len);
    unsigned long long dropped = 0, lines = 0;
    const char *note = strstr(text, "[WRN] ");
    assert_non_null(note);
    assert_int_equal(sscanf(note, "[WRN] %llu log lines dropped: nobody took them", &dropped), 1);
    assert_null(strstr(note + 1, "[WRN] "));
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines - 1 + dropped, sent);
    logger_write(&piped.log.logger, LOG_INFO, "readers are back");
    text = read_until(piped.fds[0], "readers are back\n", &len);
    assert_null(strstr(text, "dropped"));
    end(&piped);
}

// The end does not wait for ever for a reader, and a descriptor that is closed is nobody's fault.
static void the_end_comes_although_nobody_reads(void **state)
{
    int fds[2];
    open_pipe(fds);
    struct server_log log;
    server_log_init(&log, fds[1], LOG_INFO);
    for (int i = 0; i < MANY; i++)
        logger_write(&log.logger, LOG_INFO, "line %d of many that nobody reads", i);
    server_log_deinit(&log);
    close(fds[0]);
    close(fds[1]);
    server_log_init(&log, fds[1], LOG_INFO);
    logger_write(&log.logger, LOG_INFO, "to nobody");
    server_log_deinit(&log);
}

// A full disk behind standard error: lines are dropped, not tried for ever, and owned up to when there is room again.
static void what_cannot_be_written_is_dropped_and_owned_up_to(void **state)
{
    int fds[2];
    open_pipe(fds);
    int out = open("/dev/full", O_WRONLY);
    assert_true(out >= 0);
    struct server_log log;
    server_log_init(&log, out, LOG_INFO);
    for (int i = 0; i < 3; i++)
        logger_write(&log.logger, LOG_INFO, "line %d for a full disk", i);
    assert_int_equal(log.queue.len, 0);
    assert_false(log.has_thread);
    assert_int_equal(dup2(fds[1], out), out);
    logger_write(&log.logger, LOG_INFO, "there is room");
    size_t len;
    const char *text = read_until(fds[0], "nobody took them\n", &len);
    assert_matches(text, "^[^\n]*\\[INF\\] there is room\n[^\n]*\\[WRN\\] 3 log lines dropped: nobody took them\n$");
    logger_write(&log.logger, LOG_INFO, "still");
    text = read_until(fds[0], "still\n", &len);
    assert_null(strstr(text, "dropped"));
    server_log_deinit(&log);
    close(out);
    close(fds[0]);
    close(fds[1]);
}

// What the thread has in its hands when writing begins to fail goes the same way, and the end comes.
static void what_waits_is_dropped_when_writing_fails(void **state)
{
    int fds[2];
    open_pipe(fds);
    int out = dup(fds[1]);
    struct server_log log;
    server_log_init(&log, out, LOG_INFO);
    for (int i = 0; i < MANY; i++)
        logger_write(&log.logger, LOG_INFO, "line %d of many that nobody reads", i);
    int full = open("/dev/full", O_WRONLY);
    assert_int_equal(dup2(full, out), out);
    while (*read_some(fds[0]))
        continue;
    server_log_deinit(&log);
    assert_int_equal(log.queue.len, 0);
    assert_true(log.dropped > 0 && log.dropped < MANY);
    close(full);
    close(out);
    close(fds[0]);
    close(fds[1]);
}

static void write_some(void *context)
{
    struct logger *logger = context;
    for (int i = 0; i < 500; i++)
        logger_write(logger, LOG_INFO, "a line of a thread, %d", i);
}

static void several_threads_write_whole_lines(void **state)
{
    const char *path = os_test_directory();
    char name[96];
    snprintf(name, sizeof(name), "%s/log", path);
    struct server_log log;
    server_log_init(&log, 2, LOG_INFO);
    assert_int_equal(server_log_configure(&log, &(struct server_log_config){.file = name}), 0);
    uv_thread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(uv_thread_create(&threads[i], write_some, &log.logger), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(server_log_reopen(&log), 0);
    for (int i = 0; i < 4; i++)
        uv_thread_join(&threads[i]);
    server_log_deinit(&log);
    FILE *file = fopen(name, "r");
    char line[128];
    int lines = 0;
    for (; fgets(line, sizeof(line), file); lines++)
        assert_matches(line, "^\\[[0-9]+\\] \\[INF\\] a line of a thread, [0-9]+\n$");
    assert_int_equal(lines, 4 * 500);
    fclose(file);
    os_test_remove(path);
}

static void levels_and_trace_are_asked_for_apart(void **state)
{
    struct piped piped;
    begin(&piped);
    assert_int_equal(server_log_configure(&piped.log, &(struct server_log_config){.style.time = false}), 0);
    logger_write(&piped.log.logger, LOG_TRACE, "1");
    logger_set(&piped.log.logger, LOG_INFO, true);
    logger_write(&piped.log.logger, LOG_TRACE, "2");
    logger_write(&piped.log.logger, LOG_DEBUG, "3");
    logger_set(&piped.log.logger, LOG_DEBUG, false);
    logger_write(&piped.log.logger, LOG_TRACE, "4");
    logger_write(&piped.log.logger, LOG_DEBUG, "5");
    logger_write(&piped.log.logger, LOG_FATAL, "6");
    assert_matches(read_some(piped.fds[0]), "^\\[[0-9]+\\] \\[TRC\\] 2\n[^\n]*\\[DBG\\] 5\n[^\n]*\\[FTL\\] 6\n$");
    end(&piped);
}

static void a_file_is_appended_to(void **state)
{
    const char *path = os_test_directory();
    char name[96];
    snprintf(name, sizeof(name), "%s/log", path);
    struct server_log log;
    for (int i = 0; i < 2; i++) {
        server_log_init(&log, 2, LOG_INFO);
        assert_int_equal(server_log_configure(&log, &(struct server_log_config){.file = name, .style.time = true}), 0);
        logger_write(&log.logger, LOG_INFO, "start %d", i);
        server_log_deinit(&log);
    }
    int fd = open(name, O_RDONLY);
    assert_matches(read_some(fd), "start 0\n.*start 1\n$");
    close(fd);
    server_log_init(&log, 2, LOG_INFO);
    snprintf(name, sizeof(name), "%s/no/log", path);
    assert_int_equal(server_log_configure(&log, &(struct server_log_config){.file = name}), ERR_NOT_FOUND);
    assert_int_equal(server_log_reopen(&log), ERR_NOT_FOUND);
    server_log_deinit(&log);
    os_test_remove(path);
}

// CO-X05: a rotated file says where the old lines are.
static void a_full_file_is_rotated(void **state)
{
    const char *path = os_test_directory();
    char name[96];
    snprintf(name, sizeof(name), "%s/log", path);
    struct server_log log;
    server_log_init(&log, 2, LOG_INFO);
    struct server_log_config config = {.file = name, .file_size_limit = 200, .file_max = 2};
    assert_int_equal(server_log_configure(&log, &config), 0);
    for (int i = 0; i < 10; i++)
        logger_write(&log.logger, LOG_INFO, "%d is a line of more than fifty bytes, so that few of them fit", i);
    server_log_deinit(&log);
    int fd = open(name, O_RDONLY);
    assert_matches(read_some(fd),
                   "^\\[[0-9]+\\] \\[INF\\] Rotated log, backup saved as \"[^\"]*/log\\.[0-9.]{29}\"\n.* 9 is");
    close(fd);
    os_test_remove(path);
}

// CO-X05: -r.
static void lines_go_to_a_remote_syslog(void **state)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    char url[64];
    snprintf(url, sizeof(url), "udp://127.0.0.1:%u", ntohs(address.sin_port));
    struct server_log log;
    server_log_init(&log, 2, LOG_INFO);
    struct server_log_config config = {.remote_syslog = url, .tag = "weir-test"};
    assert_int_equal(server_log_configure(&log, &config), 0);
    logger_write(&log.logger, LOG_ERROR, "something is wrong");
    assert_matches(read_some(fd),
                   "^<27>[A-Z][a-z]{2} [ 0-9]{2} [0-9:]{8} [^ ]+ weir-test\\[[0-9]+\\]: something is wrong$");
    static const char *const bad[] = {"127.0.0.1:514", "udp://127.0.0.1", "udp://:514", "udp://127.0.0.1:"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        config.remote_syslog = bad[i];
        assert_int_equal(server_log_configure(&log, &config), ERR_INVALID);
    }
    config.remote_syslog = "tcp://127.0.0.1:514";
    assert_int_equal(server_log_configure(&log, &config), ERR_UNSUPPORTED);
    server_log_deinit(&log);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_process_time_and_level),
        cmocka_unit_test(control_characters_and_length_are_tamed),
        cmocka_unit_test(a_full_pipe_makes_nobody_wait_and_loses_nothing),
        cmocka_unit_test(a_full_queue_drops_and_owns_up_once),
        cmocka_unit_test(the_end_comes_although_nobody_reads),
        cmocka_unit_test(what_cannot_be_written_is_dropped_and_owned_up_to),
        cmocka_unit_test(what_waits_is_dropped_when_writing_fails),
        cmocka_unit_test(several_threads_write_whole_lines),
        cmocka_unit_test(levels_and_trace_are_asked_for_apart),
        cmocka_unit_test(a_full_file_is_rotated),
        cmocka_unit_test(lines_go_to_a_remote_syslog),
        cmocka_unit_test(a_file_is_appended_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
