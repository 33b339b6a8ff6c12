// SPDX-License-Identifier: Apache-2.0
// tidy: prefix work
// What asks `weir work` how it is: one request a connection, a few connections at a time, none for long.
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/work_internal.h"
#include "codec/http.h"

enum { OUT_MAX = 1 << 20, BACKLOG = 16 };

static const uint64_t PATIENCE_NS = 5000000000;

static int listen_at(const char *host, const char *port, const char **ret_why);
static void take_clients(struct work_http *http, uint64_t now_ns);
static void serve(struct work *work, struct work_http_client *client);
static int answer(struct work *work, const struct http_request *request, struct buffer *out);
static void end(struct work_http_client *client);

int work_http_open(struct work_http *http, const char *address, unsigned *ret_port)
{
    const char *colon = strrchr(address, ':'), *why = "";
    char host[256] = "";
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    if (colon)
        snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    size_t len = strlen(host);
    if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
        memmove(host, host + 1, len - 2);
        host[len - 2] = '\0';
    }
    for (size_t i = 0; i < WORK_HTTP_MAX; i++)
        http->clients[i].fd = -1;
    http->fd = listen_at(host[0] ? host : NULL, colon ? colon + 1 : address, &why);
    if (http->fd < 0) {
        fprintf(stderr, "weir work: --http %s: %s\n", address, why);
        return ERR_IO;
    }
    *ret_port = 0;
    if (getsockname(http->fd, (struct sockaddr *)&bound, &size) == 0) {
        char port[8] = "";
        (void)getnameinfo((struct sockaddr *)&bound, size, NULL, 0, port, sizeof(port), NI_NUMERICSERV);
        *ret_port = (unsigned)strtoul(port, NULL, 10);
    }
    return 0;
}

void work_http_close(struct work_http *http)
{
    if (http->fd < 0)
        return;
    close(http->fd);
    http->fd = -1;
    for (size_t i = 0; i < WORK_HTTP_MAX; i++) {
        if (http->clients[i].fd >= 0)
            end(&http->clients[i]);
    }
}

size_t work_http_poll(const struct work_http *http, struct pollfd *fds)
{
    if (http->fd < 0)
        return 0;
    bool has_place = false;
    for (size_t i = 0; i < WORK_HTTP_MAX; i++) {
        const struct work_http_client *client = &http->clients[i];
        has_place = has_place || client->fd < 0;
        fds[i + 1] = (struct pollfd){.fd = client->fd, .events = client->out.len ? POLLOUT : POLLIN};
    }
    fds[0] = (struct pollfd){.fd = has_place ? http->fd : -1, .events = POLLIN};
    return WORK_HTTP_FDS_MAX;
}

void work_http_step(struct work *work, const struct pollfd *fds, uint64_t now_ns)
{
    struct work_http *http = &work->http;
    if (http->fd < 0)
        return;
    for (size_t i = 0; i < WORK_HTTP_MAX; i++) {
        struct work_http_client *client = &http->clients[i];
        if (client->fd >= 0 && fds[i + 1].fd == client->fd && fds[i + 1].revents)
            serve(work, client);
        if (client->fd >= 0 && now_ns - client->since_ns > PATIENCE_NS)
            end(client);
    }
    if (fds[0].revents)
        take_clients(http, now_ns);
}

static int listen_at(const char *host, const char *port, const char **ret_why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int fd = -1, error = getaddrinfo(host, port, &hints, &list);
    if (error)
        *ret_why = gai_strerror(error);
    for (const struct addrinfo *info = list; info && fd < 0; info = info->ai_next) {
        fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd >= 0)
            (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
        if (fd >= 0 && (bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, BACKLOG))) {
            *ret_why = strerror(errno);
            close(fd);
            fd = -1;
        }
    }
    if (list)
        freeaddrinfo(list);
    return fd;
}

// While all places are taken, the others wait in the kernel.
static void take_clients(struct work_http *http, uint64_t now_ns)
{
    for (size_t i = 0; i < WORK_HTTP_MAX; i++) {
        struct work_http_client *client = &http->clients[i];
        if (client->fd >= 0)
            continue;
        int fd = accept4(http->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        *client = (struct work_http_client){.fd = fd, .since_ns = now_ns};
        buffer_init(&client->in, 2 * HTTP_HEAD_SIZE_MAX);
        buffer_init(&client->out, OUT_MAX);
    }
}

static void serve(struct work *work, struct work_http_client *client)
{
    struct http_request request;
    size_t used;
    if (client->out.len == 0) {
        char *to = buffer_reserve(&client->in, 1024);
        ssize_t got = to ? recv(client->fd, to, 1024, 0) : 0;
        if (got <= 0) {
            if (got == 0 || errno != EAGAIN)
                end(client);
            return;
        }
        buffer_commit(&client->in, (size_t)got);
        int error = http_request_parse(buffer_bytes(&client->in), 0, &request, &used);
        if (error == ERR_AGAIN)
            return;
        const struct http_response refusal = {
            .status = error ? http_error_status(error) : 0, .content_type = BYTES("text/plain"), .body = BYTES("no\n")};
        if (error ? http_response_append(&client->out, &refusal) : answer(work, &request, &client->out)) {
            end(client);
            return;
        }
    }
    ssize_t sent = send(client->fd, client->out.ptr, client->out.len, MSG_NOSIGNAL);
    if (sent > 0)
        buffer_consume(&client->out, (size_t)sent);
    if (client->out.len == 0 || (sent < 0 && errno != EAGAIN))
        end(client);
}

// /healthz says that the loop turns; that servers are away is no reason to kill what runs, so that is what /readyz says.
static int answer(struct work *work, const struct http_request *request, struct buffer *out)
{
    struct buffer page;
    struct http_response response = {.status = 200, .content_type = BYTES("application/json"), .head = request->head};
    size_t up = fleet_up_count(&work->fleet);
    buffer_init(&page, OUT_MAX);
    int error = 0;
    if (bytes_equal(request->path, BYTES("/metrics"))) {
        response.content_type = BYTES("text/plain; version=0.0.4; charset=utf-8");
        error = work_metrics(work, &page);
    } else if (bytes_equal(request->path, BYTES("/healthz")) || bytes_equal(request->path, BYTES("/readyz"))) {
        bool is_ready = up > 0 && !work->stopping;
        if (bytes_equal(request->path, BYTES("/readyz")) && !is_ready)
            response.status = 503;
        error = buffer_printf(&page, "{\"status\":\"%s\",\"servers\":%zu,\"connected\":%zu,\"running\":%zu}\n",
                              work->stopping ? "stopping"
                              : up           ? "ok"
                                             : "no server",
                              work->fleet.count, up, work->running_count);
    } else {
        response.status = 404;
        response.content_type = BYTES("text/plain");
        error = buffer_append(&page, BYTES("there are /metrics, /healthz and /readyz\n"));
    }
    response.body = buffer_bytes(&page);
    error = error ? error : http_response_append(out, &response);
    buffer_deinit(&page);
    return error;
}

static void end(struct work_http_client *client)
{
    close(client->fd);
    buffer_deinit(&client->in);
    buffer_deinit(&client->out);
    client->fd = -1;
}
