// SPDX-License-Identifier: Apache-2.0
#include "os/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/must.h"

static int listener_resolve(const char *address, uint16_t port, struct sockaddr_storage *ret_address,
                            socklen_t *ret_len);
static int listener_bind(const struct sockaddr_storage *address, socklen_t len, int *ret_fd);
static int listener_error(int number);
static uint16_t listener_bound_port(int fd);
static void listener_on_ready(uv_poll_t *handle, int status, int events);
static bool listener_accept(struct listener *listener);
static bool listener_has_descriptor(const struct listener *listener);
static void listener_pause(struct listener *listener);
static void listener_recover(struct listener *listener);
static int listener_fd_limit(bool may_use_reserve);
static void listener_on_pause_over(uv_timer_t *handle);

int listener_open(struct listener *listener, struct tcp *tcp, const char *address, int port)
{
    *listener = (struct listener){.tcp = tcp, .fd = -1};
    if (port < -1 || port > 65535)
        return ERR_INVALID;
    struct sockaddr_storage storage;
    socklen_t len;
    int error = listener_resolve(address, (uint16_t)(port < 0 ? 0 : port), &storage, &len);
    if (error)
        return error;
    error = listener_bind(&storage, len, &listener->fd);
    if (error)
        return error;
    if (uv_poll_init(&tcp->loop->uv, &listener->poll, listener->fd) != 0) {
        close(listener->fd);
        return ERR_IO;
    }
    uv_timer_init(&tcp->loop->uv, &listener->pause);
    listener->port = listener_bound_port(listener->fd);
    listener->open = true;
    return 0;
}

int listener_start(struct listener *listener, const struct net_handler *handler, const struct logger *logger)
{
    listener->handler = handler;
    listener->logger = logger;
    listener->fd_limit = listener_fd_limit(listener->may_use_reserve);
    if (listen(listener->fd, LISTENER_BACKLOG) != 0)
        return listener_error(errno);
    must(uv_poll_start(&listener->poll, UV_READABLE, listener_on_ready) == 0);
    return 0;
}

void listener_close(struct listener *listener)
{
    if (!listener->open)
        return;
    listener->open = false;
    uv_close((uv_handle_t *)&listener->poll, NULL);
    uv_close((uv_handle_t *)&listener->pause, NULL);
    close(listener->fd);
}

// Plain addresses are read here: the resolver would load its plug-ins, which is memory an idle server does not need.
static int listener_resolve(const char *address, uint16_t port, struct sockaddr_storage *ret_address,
                            socklen_t *ret_len)
{
    if (!address || !*address)
        address = "0.0.0.0";
    *ret_address = (struct sockaddr_storage){0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret_address;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *ret_len = sizeof(*v4);
        return 0;
    }
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_address;
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        *ret_len = sizeof(*v6);
        return 0;
    }
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return ERR_INVALID;
    memcpy(ret_address, found->ai_addr, found->ai_addrlen);
    *ret_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

static int listener_bind(const struct sockaddr_storage *address, socklen_t len, int *ret_fd)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return listener_error(errno);
    // A restarted server must get its port back although old connections still linger in the kernel.
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (const struct sockaddr *)address, len) != 0) {
        int error = listener_error(errno);
        close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

static int listener_error(int number)
{
    switch (number) {
    case EADDRINUSE: return ERR_IN_USE;
    case EACCES:
    case EPERM: return ERR_PERMISSION;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: return ERR_NOT_FOUND;
    case EMFILE:
    case ENFILE: return ERR_LIMIT;
    default: return ERR_IO;
    }
}

static uint16_t listener_bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    must(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    struct net_peer self;
    tcp_describe_peer(&address, &self);
    return self.port;
}

static void listener_on_ready(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    struct listener *listener = container_of(handle, struct listener, poll);
    loop_enter(listener->tcp->loop);
    for (int i = 0; i < LISTENER_ACCEPTS_PER_TURN; i++) {
        if (!listener_accept(listener))
            return;
    }
}

// False when there is nothing more to accept now.
static bool listener_accept(struct listener *listener)
{
    if (!listener_has_descriptor(listener)) {
        listener_pause(listener);
        return false;
    }
    struct sockaddr_storage address;
    socklen_t len = sizeof(address);
    int fd = accept4(listener->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM)
            listener_pause(listener);
        else if (error == EAGAIN)
            listener_recover(listener);
        return error == EINTR || error == ECONNABORTED;
    }
    struct net_peer peer;
    tcp_describe_peer(&address, &peer);
    if (listener->place && listener->place(listener->place_owner, listener, fd, &peer))
        return true;
    (void)tcp_adopt(listener->tcp, fd, listener->handler, &peer, &listener->security);
    return true;
}

// Asked before accepting: whoever is accepted can only be served or sent away, but in the kernel's queue he can wait. The kernel
// gives the lowest descriptor that is free; a thread that opens a file in between makes the connection the owner of a reserved one.
static bool listener_has_descriptor(const struct listener *listener)
{
    int fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd >= 0 && fd < listener->fd_limit;
}

static void listener_pause(struct listener *listener)
{
    uint64_t now_ms = uv_now(&listener->tcp->loop->uv);
    bool may_tell = listener->told_ms == 0 || now_ms - listener->told_ms >= LISTENER_TELL_MS;
    listener->pauses++;
    if (!listener->is_told && may_tell) {
        logger_write(listener->logger, LOG_ERROR,
                     "no file descriptors left for new connections on port %u, which wait; raise the limit (ulimit -n)",
                     listener->port);
        listener->told_ms = now_ms;
        listener->is_told = true;
    }
    listener->is_short = true;
    uv_poll_stop(&listener->poll);
    uv_timer_start(&listener->pause, listener_on_pause_over, LISTENER_PAUSE_MS, 0);
}

// Nobody waits any more.
static void listener_recover(struct listener *listener)
{
    if (listener->is_told)
        logger_write(listener->logger, LOG_INFO, "new connections on port %u are accepted again", listener->port);
    listener->is_short = false;
    listener->is_told = false;
}

static int listener_fd_limit(bool may_use_reserve)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    rlim_t quarter = limit.rlim_cur / 4;
    rlim_t reserve = quarter < LISTENER_FILES_RESERVED ? quarter : LISTENER_FILES_RESERVED;
    return (int)(limit.rlim_cur - (may_use_reserve ? reserve / 2 : reserve));
}

static void listener_on_pause_over(uv_timer_t *handle)
{
    struct listener *listener = container_of(handle, struct listener, pause);
    must(uv_poll_start(&listener->poll, UV_READABLE, listener_on_ready) == 0);
    // Those who waited may be gone by now; then there is no readiness to wait for.
    listener_on_ready(&listener->poll, 0, UV_READABLE);
}
