// SPDX-License-Identifier: Apache-2.0
#include "wire_server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"

enum { LIMIT_MS = 30000, LOG_MAX = 64 * 1024 * 1024 };

#define RELOADED "Reloaded server configuration"

static bool launch(struct wire_server *server);
static bool end(struct wire_server *server);
static void write_config(const struct wire_server *server, struct bytes config);
static void become(const struct wire_server *server, int log_fd);
static bool wait_for_log(struct wire_server *server, size_t from, const char *words, const char *or_words);
static const char *find_in_log(const struct wire_server *server, size_t from, const char *words);
static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where);

bool wire_server_start(struct wire_server *server, const char *program, const char *threads, struct bytes config)
{
    *server = (struct wire_server){
        .program = program, .threads = threads, .log_fd = -1, .directory = "/tmp/weir-wire-XXXXXX"};
    const char *name = strrchr(program, '/');
    server->is_nats_server = strcmp(name ? name + 1 : program, "nats-server") == 0;
    buffer_init(&server->log, LOG_MAX);
    must(mkdtemp(server->directory) != NULL);
    write_config(server, config);
    return launch(server);
}

bool wire_server_stop(struct wire_server *server)
{
    bool ended = end(server);
    nftw(server->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return ended;
}

void wire_server_deinit(struct wire_server *server)
{
    buffer_deinit(&server->log);
}

bool wire_server_restart(struct wire_server *server)
{
    return end(server) && launch(server);
}

bool wire_server_reload(struct wire_server *server, struct bytes config)
{
    size_t from = server->log.len;
    write_config(server, config);
    kill(server->pid, SIGHUP);
    return wait_for_log(server, from, RELOADED, "Failed to reload") && find_in_log(server, from, RELOADED);
}

void wire_server_lame_duck(struct wire_server *server)
{
    kill(server->pid, SIGUSR2);
}

void wire_server_read_log(struct wire_server *server)
{
    char piece[4096];
    ssize_t got = read(server->log_fd, piece, sizeof(piece));
    if (got < 0 && errno == EINTR)
        return;
    if (got > 0 && buffer_append(&server->log, bytes_make(piece, (size_t)got)) == 0)
        return;
    close(server->log_fd);
    server->log_fd = -1;
}

uint64_t wire_server_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool launch(struct wire_server *server)
{
    size_t from = server->log.len;
    int ends[2];
    must(pipe2(ends, O_CLOEXEC) == 0);
    server->pid = fork();
    must(server->pid >= 0);
    if (server->pid == 0)
        become(server, ends[1]);
    close(ends[1]);
    server->log_fd = ends[0];
    const char *ready = server->is_nats_server ? "Server is ready" : "Ready for clients on ";
    if (!wait_for_log(server, from, ready, NULL))
        return false;
    const char *port = find_in_log(
        server, from, server->is_nats_server ? "client connections on 127.0.0.1:" : "Ready for clients on 127.0.0.1:");
    must(port != NULL);
    server->port = (uint16_t)strtoul(strchr(port, ':') + 1, NULL, 10);
    return true;
}

static bool end(struct wire_server *server)
{
    if (server->pid <= 0)
        return false;
    kill(server->pid, SIGINT);
    // Its end is the end of its log.
    bool ended = !wait_for_log(server, server->log.len, "\xff", NULL) && server->log_fd < 0;
    if (!ended)
        kill(server->pid, SIGKILL);
    int status = -1;
    must(waitpid(server->pid, &status, 0) == server->pid);
    server->pid = 0;
    if (server->log_fd >= 0)
        close(server->log_fd);
    server->log_fd = -1;
    bool forced = server->is_nats_server && WIFEXITED(status) && WEXITSTATUS(status) == 1; // its way of ending
    return ended && (forced || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

static void write_config(const struct wire_server *server, struct bytes config)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/server.conf", server->directory);
    FILE *file = fopen(path, "w");
    must(file != NULL);
    must(config.len == 0 || fwrite(config.ptr, config.len, 1, file) == 1);
    must(fclose(file) == 0);
}

// In the child.
static void become(const struct wire_server *server, int log_fd)
{
    char config[128], data[128];
    snprintf(config, sizeof(config), "%s/server.conf", server->directory);
    snprintf(data, sizeof(data), "%s/data", server->directory);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(log_fd, STDERR_FILENO);
    if (server->is_nats_server)
        execl(server->program, server->program, "-c", config, "-a", "127.0.0.1", "-p", "-1", (char *)NULL);
    else
        execl(server->program, server->program, "serve", "-c", config, "-a", "127.0.0.1", "-p", "-1", "--dir", data,
              "--threads", server->threads, (char *)NULL);
    fprintf(stderr, "%s: %s\n", server->program, strerror(errno));
    _exit(127);
}

// False: the log ended, or it took too long.
static bool wait_for_log(struct wire_server *server, size_t from, const char *words, const char *or_words)
{
    uint64_t until_ms = wire_server_now_ms() + LIMIT_MS;
    while (!find_in_log(server, from, words) && !(or_words && find_in_log(server, from, or_words))) {
        uint64_t at_ms = wire_server_now_ms();
        struct pollfd wanted = {.fd = server->log_fd, .events = POLLIN};
        if (server->log_fd < 0 || at_ms >= until_ms)
            return false;
        if (poll(&wanted, 1, (int)(until_ms - at_ms)) > 0)
            wire_server_read_log(server);
    }
    return true;
}

// Only in whole lines.
static const char *find_in_log(const struct wire_server *server, size_t from, const char *words)
{
    const char *end = server->log.len > from ? memrchr(server->log.ptr + from, '\n', server->log.len - from) : NULL;
    return end ? memmem(server->log.ptr + from, (size_t)(end - server->log.ptr) - from, words, strlen(words)) : NULL;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}
