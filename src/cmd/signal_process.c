// SPDX-License-Identifier: Apache-2.0
#include "cmd/signal_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/number.h"

// More running servers than anybody wants to read.
#define SIGNAL_PROCESS_MAX 64

static const struct {
    const char *name;
    int number;
} signals[] = {
    {"ldm", SIGUSR2}, {"stop", SIGKILL}, {"quit", SIGINT}, {"term", SIGTERM}, {"reopen", SIGUSR1}, {"reload", SIGHUP},
};

static bool find_signal(const char *name, size_t len, int *ret_number);
static bool find_process(const char *program, const char *text, pid_t *ret_pid);
static bool read_pid(struct bytes text, pid_t *ret_pid);
static bool read_pid_file(const char *program, const char *path, pid_t *ret_pid);
static size_t list_processes(const char *program, pid_t pids[SIGNAL_PROCESS_MAX]);
static bool is_called(pid_t pid, const char *program);
static size_t read_start(const char *path, char *text, size_t size);

int signal_process(const char *program, const char *text)
{
    size_t len = strcspn(text, "=");
    int number;
    pid_t pid;
    if (!find_signal(text, len, &number)) {
        fprintf(stderr, "%s: unknown signal \"%.*s\"\n", program, (int)(len < 100 ? len : 100), text);
        return 1;
    }
    if (!find_process(program, text[len] ? text + len + 1 : "", &pid))
        return 1;
    if (kill(pid, number) != 0) {
        fprintf(stderr, "%s: %s\n", program,
                errno == ESRCH   ? "no such process"
                : errno == EPERM ? "operation not permitted"
                                 : strerror(errno));
        return 1;
    }
    return 0;
}

static bool find_signal(const char *name, size_t len, int *ret_number)
{
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        if (strlen(signals[i].name) == len && memcmp(signals[i].name, name, len) == 0) {
            *ret_number = signals[i].number;
            return true;
        }
    }
    return false;
}

static bool find_process(const char *program, const char *text, pid_t *ret_pid)
{
    if (*text) {
        if (read_pid(bytes_from_string(text), ret_pid))
            return true;
        return read_pid_file(program, text, ret_pid);
    }
    pid_t pids[SIGNAL_PROCESS_MAX];
    size_t count = list_processes(program, pids);
    if (count == 1) {
        *ret_pid = pids[0];
        return true;
    }
    if (count == 0) {
        fprintf(stderr, "%s: no %s processes running\n", program, program);
        return false;
    }
    fprintf(stderr, "%s: multiple %s processes running:\n", program, program);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "%ld\n", (long)pids[i]);
    return false;
}

static bool read_pid(struct bytes text, pid_t *ret_pid)
{
    uint64_t number;
    if (number_parse_u64(text, INT32_MAX, &number) != 0 || number == 0)
        return false;
    *ret_pid = (pid_t)number;
    return true;
}

// What has no slash and is no file was meant to be a number.
static bool read_pid_file(const char *program, const char *path, pid_t *ret_pid)
{
    char text[64];
    errno = 0;
    size_t len = read_start(path, text, sizeof(text));
    if (errno != 0 && (errno != ENOENT || strchr(path, '/'))) {
        fprintf(stderr, "%s: invalid pid: %s: cannot read the pid file: %s\n", program, path, strerror(errno));
        return false;
    }
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r' || text[len - 1] == ' '))
        len--;
    if (read_pid(bytes_make(text, len), ret_pid))
        return true;
    fprintf(stderr, "%s: invalid pid: %s\n", program, path);
    return false;
}

static size_t list_processes(const char *program, pid_t pids[SIGNAL_PROCESS_MAX])
{
    DIR *folder = opendir("/proc");
    if (!folder)
        return 0;
    size_t count = 0;
    for (struct dirent *entry; count < SIGNAL_PROCESS_MAX && (entry = readdir(folder));) {
        pid_t pid;
        if (read_pid(bytes_from_string(entry->d_name), &pid) && pid != getpid() && is_called(pid, program))
            pids[count++] = pid;
    }
    closedir(folder);
    return count;
}

// By the name it was called with, not by its executable: that is the same for all names of this program. What runs another
// sub-command than `serve` is no server.
static bool is_called(pid_t pid, const char *program)
{
    char path[64], name[4096] = {0};
    snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
    size_t len = read_start(path, name, sizeof(name) - 2);
    const char *slash = strrchr(name, '/');
    if (strcmp(slash ? slash + 1 : name, program) != 0)
        return false;
    const char *argument = strlen(name) + 1 < len ? name + strlen(name) + 1 : "";
    return argument[0] == '\0' || argument[0] == '-' || strcmp(argument, "serve") == 0;
}

static size_t read_start(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t len = read(fd, text, size);
    int number = errno;
    close(fd);
    errno = len < 0 ? number : 0;
    return len > 0 ? (size_t)len : 0;
}
