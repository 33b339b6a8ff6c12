// SPDX-License-Identifier: Apache-2.0
// tidy: prefix bench_relay bench_listen
// weir bench relay: what the least that a server can do for a request and its reply costs here. A process with two connections
// waits with epoll, reads what comes on one and writes it to the other; nothing is looked at. Its CPU time, nearly all of it
// the kernel's and the waking of sleeping processors, is the floor of `weir bench request`.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "cmd/bench.h"

enum { RELAY_READ = 65536 };

static int fail(const char *what)
{
    fprintf(stderr, "weir bench: %s: %s\n", what, strerror(errno));
    return 1;
}

// In the process that stands for the server. Ends when a connection does.
static void relay(int listener)
{
    static char buffer[RELAY_READ]; // tidy: allow mutable (of a process that does nothing else)
    int ends[2], epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        ends[i] = accept(listener, NULL, NULL);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = i};
        if (ends[i] < 0 || setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, ends[i], &event) != 0)
            exit(1);
    }
    for (;;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, -1) != 1)
            exit(1);
        ssize_t got = recv(ends[event.data.fd], buffer, sizeof(buffer), 0);
        if (got <= 0 || send(ends[1 - event.data.fd], buffer, (size_t)got, MSG_NOSIGNAL) != got)
            exit(0);
    }
}

int bench_listen(struct sockaddr_in *ret_address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(*ret_address);
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = (struct sockaddr *)ret_address;
    if (fd >= 0 && (bind(fd, address, len) != 0 || listen(fd, 2) != 0 || getsockname(fd, address, &len) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int end_open(const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 ||
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

// All of a payload from one end to the other.
static bool pass(struct bench *bench, int from, int to, struct bytes payload)
{
    if (send(from, payload.ptr, payload.len, MSG_NOSIGNAL) != (ssize_t)payload.len)
        return false;
    for (size_t got = 0; got < payload.len;) {
        ssize_t now = recv(to, bench->payload + got, payload.len - got, 0);
        if (now <= 0)
            return false;
        got += (size_t)now;
    }
    return true;
}

static int measure(struct bench *bench, const struct sockaddr_in *address)
{
    int ends[2] = {end_open(address), end_open(address)}, status = 0;
    if (ends[0] < 0 || ends[1] < 0)
        status = fail("connecting to the relay");
    bench_start(bench);
    for (uint64_t i = 0; i < bench->messages && !status; i++) {
        uint64_t number;
        struct bytes payload = bench_payload(bench, i);
        if (!pass(bench, ends[0], ends[1], payload) || !pass(bench, ends[1], ends[0], payload))
            status = fail("the relay");
        bench_verify(bench, payload, &number);
        bench->wrong += number != i;
        bench_progress(bench);
    }
    bench_stop(bench);
    for (int i = 0; i < 2; i++)
        close(ends[i]);
    return status;
}

int bench_relay(struct bench *bench)
{
    struct sockaddr_in address;
    int listener = bench_listen(&address);
    if (listener < 0)
        return fail("listening");
    bench->server_pid = fork();
    if (bench->server_pid == 0)
        relay(listener);
    close(listener);
    if (bench->server_pid < 0)
        return fail("starting the relay");
    int status = measure(bench, &address);
    kill(bench->server_pid, SIGKILL);
    waitpid(bench->server_pid, NULL, 0);
    return status;
}
