// SPDX-License-Identifier: Apache-2.0
#include "os/dialer.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/must.h"

// One attempt. It outlives a dial that was stopped while its name is looked up.
struct attempt {
    uv_getaddrinfo_t request;
    struct loop_task failure; // a look-up that could not begin
    struct dialer *dialer;    // borrowed
    struct net_dial *dial;    // borrowed; NULL: it was stopped
    struct addrinfo *list;    // owned
    struct addrinfo *next;    // in it: the address to be tried after this one
    struct try *try;          // owned: of the address that is being tried
    const char *why;          // static: what the last one said
};

// A socket that connects. Its own, because libuv frees a handle later.
struct
try {
    uv_poll_t poll;
    struct attempt *attempt; // borrowed; NULL: let go
    int fd;                  // owned until it is connected
    struct net_peer peer;
};

static void start(struct net_dialer *net, struct net_dial *dial);
static void stop(struct net_dialer *net, struct net_dial *dial);
static void run_failure(struct loop_task *task);
static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list);
static void try_next(struct attempt *attempt);
static int try_one(struct attempt *attempt, const struct addrinfo *info);
static void on_ready(uv_poll_t *handle, int status, int events);
static void try_drop(struct try *try, bool closes);
static void on_freed(uv_handle_t *handle);
static void connected(struct attempt *attempt);
static void fail(struct attempt *attempt, const char *why);
static void attempt_free(struct attempt *attempt);

void dialer_init(struct dialer *dialer, struct tcp *tcp, struct tls *tls)
{
    *dialer = (struct dialer){.net = {start, stop}, .tcp = tcp, .tls = tls};
}

static void start(struct net_dialer *net, struct net_dial *dial)
{
    struct dialer *dialer = container_of(net, struct dialer, net);
    must(!dial->implementation);
    struct attempt *attempt = mem_alloc_zero(sizeof(*attempt));
    attempt->dialer = dialer;
    attempt->dial = dial;
    list_init(&attempt->failure.link);
    dial->implementation = attempt;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    int error = uv_getaddrinfo(&dialer->tcp->loop->uv, &attempt->request, on_resolved, dial->host, dial->port, &hints);
    if (error) {
        attempt->why = uv_strerror(error);
        attempt->failure.run = run_failure;
        loop_defer(dialer->tcp->loop, &attempt->failure);
    }
}

static void stop(struct net_dialer *net, struct net_dial *dial)
{
    (void)net;
    struct attempt *attempt = dial->implementation;
    if (!attempt)
        return;
    dial->implementation = NULL;
    attempt->dial = NULL;
    bool is_resolving = !attempt->list && !list_is_linked(&attempt->failure.link);
    if (is_resolving)
        (void)uv_cancel((uv_req_t *)&attempt->request); // what has begun ends as it will
    else
        attempt_free(attempt);
}

static void run_failure(struct loop_task *task)
{
    struct attempt *attempt = container_of(task, struct attempt, failure);
    fail(attempt, attempt->why);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct attempt *attempt = container_of(request, struct attempt, request);
    attempt->list = attempt->next = list;
    if (!attempt->dial) {
        attempt_free(attempt); // perhaps there are no turns any more
        return;
    }
    loop_enter(attempt->dialer->tcp->loop);
    if (status)
        fail(attempt, uv_strerror(status));
    else
        try_next(attempt);
}

static void try_next(struct attempt *attempt)
{
    while (attempt->next) {
        const struct addrinfo *info = attempt->next;
        attempt->next = info->ai_next;
        int problem = try_one(attempt, info);
        if (!problem)
            return;
        attempt->why = strerror(problem);
    }
    fail(attempt, attempt->why ? attempt->why : "the name has no address");
}

// 0: under way; else an errno.
static int try_one(struct attempt *attempt, const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, info->ai_addr, info->ai_addrlen) && errno != EINPROGRESS) {
        int problem = errno;
        close(fd);
        return problem;
    }
    struct try *try = mem_alloc_zero(sizeof(*try));
    if (uv_poll_init(&attempt->dialer->tcp->loop->uv, &try->poll, fd)) {
        close(fd);
        mem_free(try);
        return EMFILE;
    }
    try->fd = fd;
    try->attempt = attempt;
    struct sockaddr_storage address = {0};
    memcpy(&address, info->ai_addr, info->ai_addrlen);
    tcp_describe_peer(&address, &try->peer);
    attempt->try = try;
    must(uv_poll_start(&try->poll, UV_WRITABLE, on_ready) == 0);
    return 0;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct try *try = container_of(handle, struct try, poll);
    struct attempt *attempt = try->attempt;
    loop_enter(attempt->dialer->tcp->loop);
    int problem = status < 0 ? ECONNREFUSED : 0;
    socklen_t size = sizeof(problem);
    int told = 0;
    if (getsockopt(try->fd, SOL_SOCKET, SO_ERROR, &told, &size) == 0 && told)
        problem = told;
    if (problem) {
        attempt->why = strerror(problem);
        attempt->try = NULL;
        try_drop(try, true);
        try_next(attempt);
    } else {
        connected(attempt);
    }
}

static void try_drop(struct try *try, bool closes)
{
    try->attempt = NULL;
    uv_close((uv_handle_t *)&try->poll, on_freed);
    if (closes)
        close(try->fd);
}

static void on_freed(uv_handle_t *handle)
{
    mem_free(container_of(handle, struct try, poll));
}

static void connected(struct attempt *attempt)
{
    struct net_dial *dial = attempt->dial;
    struct dialer *dialer = attempt->dialer;
    const struct tcp_security security = {
        .tls = dialer->tls,
        .server_name = dial->tls_name ? dial->tls_name : dial->host,
    };
    struct net_peer peer = attempt->try->peer;
    int fd = attempt->try->fd;
    try_drop(attempt->try, false); // its watcher; the descriptor goes on
    attempt->try = NULL;
    dial->implementation = NULL;
    attempt_free(attempt);
    if (tcp_adopt(dialer->tcp, fd, dial->handler, &peer, &security) == ERR_IO)
        dial->on_failed(dial, "no file descriptors left to watch it");
}

static void fail(struct attempt *attempt, const char *why)
{
    struct net_dial *dial = attempt->dial;
    dial->implementation = NULL;
    attempt_free(attempt);
    dial->on_failed(dial, why);
}

static void attempt_free(struct attempt *attempt)
{
    list_remove(&attempt->failure.link);
    if (attempt->try)
        try_drop(attempt->try, true);
    if (attempt->list)
        uv_freeaddrinfo(attempt->list);
    mem_free(attempt);
}
