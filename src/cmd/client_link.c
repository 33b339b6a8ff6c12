// SPDX-License-Identifier: Apache-2.0
#include "cmd/client_link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "cmd/client.h"
#include "os/tls_client.h"

static int try_address(struct client_link *link, const struct addrinfo *info, int timeout_ms);
static int shake_hands(struct client_link *link, const char *host, int timeout_ms, struct buffer *in);
static int receive_secure(struct client_link *link, struct bytes cipher, struct buffer *in);
static int send_some(struct client_link *link, struct buffer *bytes);
static int fail(struct client_link *link, int error, const char *what, const char *detail);

int client_link_open(struct client_link *link, const struct nats_url *url, int timeout_ms)
{
    *link = (struct client_link){.fd = -1};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int error = getaddrinfo(url->host, url->port, &hints, &list);
    if (error)
        return fail(link, ERR_NOT_FOUND, url->host, gai_strerror(error));
    error = ERR_IO;
    for (struct addrinfo *info = list; info && error; info = info->ai_next)
        error = try_address(link, info, timeout_ms);
    freeaddrinfo(list);
    return error;
}

void client_link_close(struct client_link *link)
{
    if (link->tls) {
        tls_session_deinit(&link->session);
        tls_io_deinit(&link->io);
        tls_unref(link->tls);
        mem_free(link->cipher);
    }
    if (link->fd >= 0)
        close(link->fd);
    link->tls = NULL;
    link->fd = -1;
}

int client_link_secure(struct client_link *link, const struct client_tls *config, const char *host, int timeout_ms,
                       struct buffer *in)
{
    const struct tls_client_config tls_config = {
        .ca_file = config->ca_file,
        .cert_file = config->cert_file,
        .key_file = config->key_file,
        .skip_verify = config->skip_verify,
    };
    char message[TLS_MESSAGE_SIZE];
    struct tls *tls = tls_new();
    int error = tls_client_load(tls, &tls_config, message);
    if (error) {
        tls_unref(tls);
        return fail(link, error, "TLS", message);
    }
    link->tls = tls;
    link->cipher = mem_alloc(CLIENT_LINK_READ_SIZE);
    tls_io_init(&link->io);
    tls_session_init(&link->session, tls, &link->io);
    return shake_hands(link, host, timeout_ms, in);
}

int client_link_receive(struct client_link *link, struct buffer *in)
{
    char *to = link->tls ? link->cipher : buffer_reserve(in, CLIENT_LINK_READ_SIZE);
    if (!to)
        return fail(link, ERR_TOO_BIG, "the server sends more than can be held", NULL);
    ssize_t got = recv(link->fd, to, CLIENT_LINK_READ_SIZE, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : fail(link, ERR_IO, "connection lost", strerror(errno));
    if (got == 0)
        return fail(link, ERR_CLOSED, "the server closed the connection", NULL);
    if (link->tls)
        return receive_secure(link, bytes_make(to, (size_t)got), in);
    buffer_commit(in, (size_t)got);
    return 1;
}

int client_link_send(struct client_link *link, struct buffer *out)
{
    if (!link->tls)
        return send_some(link, out);
    if (link->io.out.len == 0 && out->len > 0) {
        struct bytes plain = buffer_bytes(out);
        size_t taken = tls_session_send(&link->session, &plain, 1, 0);
        if (taken == 0)
            return fail(link, ERR_IO, "the TLS connection is broken", NULL);
        buffer_consume(out, taken);
    }
    return send_some(link, &link->io.out);
}

bool client_link_owes(const struct client_link *link)
{
    return link->tls && link->io.out.len > 0;
}

static int try_address(struct client_link *link, const struct addrinfo *info, int timeout_ms)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail(link, ERR_IO, "cannot connect", strerror(errno));
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int problem = connect(fd, info->ai_addr, info->ai_addrlen) ? errno : 0;
    socklen_t size = sizeof(problem);
    if (problem == EINPROGRESS) {
        problem = ETIMEDOUT;
        if (poll(&poll_fd, 1, timeout_ms) == 1)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
    }
    if (problem) {
        close(fd);
        return fail(link, ERR_IO, "cannot connect", strerror(problem));
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    link->fd = fd;
    return 0;
}

static int shake_hands(struct client_link *link, const char *host, int timeout_ms, struct buffer *in)
{
    uint64_t end = client_now_ns() + (uint64_t)timeout_ms * 1000000;
    int error = tls_session_connect(&link->session, host);
    while (!error && (link->session.state == TLS_SESSION_HANDSHAKE || client_link_owes(link))) {
        error = send_some(link, &link->io.out);
        uint64_t now = client_now_ns();
        if (!error && now >= end)
            error = fail(link, ERR_TIMEOUT, "no answer", NULL);
        bool is_done = link->session.state == TLS_SESSION_SECURE && !client_link_owes(link);
        struct pollfd poll_fd = {.fd = link->fd, .events = POLLIN | (client_link_owes(link) ? POLLOUT : 0)};
        if (!error && !is_done && poll(&poll_fd, 1, (int)((end - now) / 1000000) + 1) > 0 &&
            (poll_fd.revents & ~POLLOUT)) {
            int got = client_link_receive(link, in);
            error = got < 0 ? got : 0;
        }
    }
    if (error) {
        char why[CLIENT_LINK_ERROR_SIZE];
        snprintf(why, sizeof(why), "%s", link->session.failure ? link->session.failure : link->error);
        (void)send_some(link, &link->io.out); // the alert, for the other side's log
        return fail(link, error, "the TLS handshake failed", why);
    }
    return 0;
}

static int receive_secure(struct client_link *link, struct bytes cipher, struct buffer *in)
{
    size_t size = cipher.len + TLS_SESSION_RECORD_SIZE, len;
    char *plain = buffer_reserve(in, size);
    if (!plain)
        return fail(link, ERR_TOO_BIG, "the server sends more than can be held", NULL);
    int error = tls_session_receive(&link->session, cipher, plain, size, &len);
    buffer_commit(in, len);
    if (error && len == 0)
        return fail(link, error, "the server broke off the TLS connection",
                    error == ERR_CLOSED ? NULL : link->session.failure);
    return 1;
}

static int send_some(struct client_link *link, struct buffer *bytes)
{
    if (bytes->len == 0)
        return 0;
    ssize_t sent = send(link->fd, bytes->ptr, bytes->len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        return fail(link, ERR_IO, "connection lost", strerror(errno));
    if (sent > 0)
        buffer_consume(bytes, (size_t)sent);
    return 0;
}

static int fail(struct client_link *link, int error, const char *what, const char *detail)
{
    snprintf(link->error, sizeof(link->error), "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
    return error;
}
