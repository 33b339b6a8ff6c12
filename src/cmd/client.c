// SPDX-License-Identifier: Apache-2.0
#include "cmd/client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/must.h"
#include "base/number.h"
#include "wire/connect.h"
#include "wire/info.h"
#include "wire/writer.h"

enum { READ_SIZE = 256 << 10, OUT_MAX = 128 << 20 };

struct address {
    char host[256], port[8], user[128], password[128];
};

static int address_parse(const char *server, struct address *ret);
static int socket_connect(struct client *client, const struct address *address, int timeout_ms);
static int greet(struct client *client, const struct client_options *options, const struct address *address);
static int read_some(struct client *client);
static int take_operations(struct client *client);
static int write_some(struct client *client);
static int fail(struct client *client, int error, const char *what, const char *detail);

int client_connect(struct client *client, const struct client_options *options)
{
    struct address address;
    *client = (struct client){.fd = -1, .in_size = READ_SIZE};
    if (address_parse(options->server, &address))
        return fail(client, ERR_INVALID, "not a server address", options->server);
    buffer_init(&client->out, OUT_MAX);
    client->in = mem_alloc(client->in_size);
    const struct parser_config config = {.payload_max = 64 << 20};
    parser_init(&client->parser, PARSER_CLIENT, &config);
    parser_set_memo(&client->parser, &client->parser_memo);
    int error = socket_connect(client, &address, options->timeout_ms);
    if (!error)
        error = greet(client, options, &address);
    if (error)
        client_close(client);
    return error;
}

void client_close(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    buffer_deinit(&client->out);
    mem_free(client->in);
    client->in = NULL;
}

int client_publish(struct client *client, struct bytes subject, struct bytes reply, struct bytes headers,
                   struct bytes payload)
{
    if (headers.len + payload.len > client->max_payload)
        return fail(client, ERR_TOO_BIG, "the message is larger than the server's max_payload", NULL);
    size_t room = WRITER_LINE_LEN_MAX(subject.len + reply.len) + headers.len + payload.len + 2;
    char *start = buffer_reserve(&client->out, room);
    if (!start)
        return fail(client, ERR_TOO_BIG, "too much is waiting to be sent", NULL);
    char *at = headers.len ? writer_hpub(start, subject, reply, headers.len, payload.len)
                           : writer_pub(start, subject, reply, payload.len);
    if (headers.len)
        memcpy(at, headers.ptr, headers.len);
    at += headers.len;
    if (payload.len)
        memcpy(at, payload.ptr, payload.len);
    at += payload.len;
    memcpy(at, "\r\n", 2);
    buffer_commit(&client->out, (size_t)(at + 2 - start));
    return 0;
}

static void put(struct client *client, const char *line, const char *end)
{
    must(buffer_append(&client->out, bytes_make(line, (size_t)(end - line))) == 0);
}

void client_subscribe(struct client *client, struct bytes subject, struct bytes queue, uint64_t sid)
{
    char *line = mem_alloc(WRITER_LINE_LEN_MAX(subject.len + queue.len));
    put(client, line, writer_sub(line, subject, queue, sid));
    mem_free(line);
}

void client_unsubscribe(struct client *client, uint64_t sid, uint64_t max)
{
    char line[WRITER_LINE_LEN_MAX(0)];
    put(client, line, writer_unsub(line, sid, max));
}

void client_ping(struct client *client)
{
    const char line[] = WRITER_PING;
    client->pings_sent++;
    put(client, line, line + sizeof(line) - 1);
}

int client_flush(struct client *client)
{
    while (client->out.len) {
        int error = write_some(client);
        if (error)
            return error;
        if (!client->out.len)
            break;
        struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN | POLLOUT};
        if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR)
            return fail(client, ERR_IO, "poll", strerror(errno));
        if (poll_fd.revents & (POLLIN | POLLHUP | POLLERR)) {
            error = read_some(client);
            if (error < 0)
                return error;
        }
    }
    return 0;
}

int client_wait(struct client *client, int timeout_ms)
{
    int error = client_flush(client);
    if (error)
        return error;
    struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
    int ready = poll(&poll_fd, 1, timeout_ms);
    if (ready <= 0)
        return ready < 0 && errno != EINTR ? fail(client, ERR_IO, "poll", strerror(errno)) : 0;
    int got = read_some(client);
    error = got < 0 ? got : client_flush(client);
    return error ? error : got;
}

int client_round_trip(struct client *client, int timeout_ms)
{
    uint64_t end = client_now_ns() + (uint64_t)timeout_ms * 1000000;
    client_ping(client);
    uint64_t wanted = client->pings_sent;
    while (client->pongs < wanted) {
        uint64_t now = client_now_ns();
        if (now >= end)
            return fail(client, ERR_TIMEOUT, "the server does not answer", NULL);
        int got = client_wait(client, (int)((end - now) / 1000000) + 1);
        if (got < 0)
            return got;
    }
    return 0;
}

int client_complain(const char *command, const char *what, const char *text)
{
    fprintf(stderr, "weir %s: %s, not \"%s\"\n", command, what, text);
    return 2;
}

int client_refuse_options(const char *command)
{
    fprintf(stderr, "weir %s --help lists the options\n", command);
    return 2;
}

uint64_t client_now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// [nats://][user[:password]@]host[:port]; an IPv6 host stands in brackets.
static int address_parse(const char *server, struct address *ret)
{
    struct bytes rest = bytes_from_string(server);
    if (bytes_starts_with(rest, BYTES("nats://")))
        rest = bytes_skip(rest, 7);
    *ret = (struct address){.port = "4222"};
    const char *at = rest.len ? memchr(rest.ptr, '@', rest.len) : NULL;
    if (at) {
        size_t len = (size_t)(at - rest.ptr);
        const char *colon = memchr(rest.ptr, ':', len);
        size_t user = colon ? (size_t)(colon - rest.ptr) : len;
        size_t password = colon ? len - user - 1 : 0;
        if (user >= sizeof(ret->user) || password >= sizeof(ret->password))
            return ERR_TOO_BIG;
        memcpy(ret->user, rest.ptr, user);
        if (password)
            memcpy(ret->password, colon + 1, password);
        rest = bytes_skip(rest, len + 1);
    }
    const char *host_end = rest.len && rest.ptr[0] == '[' ? memchr(rest.ptr, ']', rest.len) : NULL;
    size_t host_at = host_end ? 1 : 0;
    const char *colon =
        memchr(host_end ? host_end : rest.ptr, ':', rest.len - (host_end ? (size_t)(host_end - rest.ptr) : 0));
    size_t host_len = (size_t)((host_end ? host_end : colon ? colon : rest.ptr + rest.len) - rest.ptr) - host_at;
    if (host_len == 0 || host_len >= sizeof(ret->host))
        return ERR_INVALID;
    memcpy(ret->host, rest.ptr + host_at, host_len);
    size_t port_len = colon ? (size_t)(rest.ptr + rest.len - colon) - 1 : 0;
    if (colon && (port_len == 0 || port_len >= sizeof(ret->port)))
        return ERR_INVALID;
    uint64_t port;
    if (port_len && (number_parse_u64(bytes_make(colon + 1, port_len), UINT16_MAX, &port) || port == 0))
        return ERR_INVALID;
    if (port_len) {
        memcpy(ret->port, colon + 1, port_len);
        ret->port[port_len] = 0;
    }
    return 0;
}

static int socket_connect(struct client *client, const struct address *address, int timeout_ms)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int error = getaddrinfo(address->host, address->port, &hints, &list);
    if (error)
        return fail(client, ERR_NOT_FOUND, address->host, gai_strerror(error));
    error = ERR_IO;
    for (struct addrinfo *info = list; info && error; info = info->ai_next) {
        int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
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
            fail(client, ERR_IO, "cannot connect", strerror(problem));
            continue;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        client->fd = fd;
        error = 0;
    }
    freeaddrinfo(list);
    return error;
}

// Reads INFO, sends CONNECT and waits for the PONG behind it.
static int greet(struct client *client, const struct client_options *options, const struct address *address)
{
    int error = 0;
    uint64_t end = client_now_ns() + (uint64_t)options->timeout_ms * 1000000;
    while (!error && client->max_payload == 0) {
        struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};
        if (client_now_ns() >= end || poll(&poll_fd, 1, options->timeout_ms) == 0)
            return fail(client, ERR_TIMEOUT, "no INFO from the server", NULL);
        int got = read_some(client);
        error = got < 0 ? got : 0;
    }
    if (error)
        return error;
    struct wire_connect connect;
    connect_init(&connect);
    connect.verbose = connect.pedantic = false;
    connect.headers = client->headers;
    connect.no_responders = client->headers && options->no_responders;
    connect.name = bytes_from_string(options->name);
    connect.lang = BYTES("c");
    connect.version = BYTES(WEIR_VERSION);
    connect.user = bytes_from_string(address->user);
    connect.pass = bytes_from_string(address->password);
    connect.protocol = 1;
    char line[CONNECT_LINE_SIZE_MAX];
    size_t len;
    if (connect_encode(&connect, line, sizeof(line), &len))
        return fail(client, ERR_INVALID, "user or password is not UTF-8", NULL);
    put(client, line, line + len);
    return client_round_trip(client, options->timeout_ms);
}

// One read and everything in it. 1: something came.
static int read_some(struct client *client)
{
    ssize_t got = recv(client->fd, client->in + client->in_len, client->in_size - client->in_len, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : fail(client, ERR_IO, "connection lost", strerror(errno));
    if (got == 0)
        return client->error[0] ? ERR_CLOSED : fail(client, ERR_CLOSED, "the server closed the connection", NULL);
    client->in_len += (size_t)got;
    int error = take_operations(client);
    return error ? error : 1;
}

static int take_info(struct client *client, struct bytes json)
{
    struct wire_info info;
    if (info_parse(json, &info))
        return fail(client, ERR_PROTOCOL, "INFO that cannot be read", NULL);
    client->headers = info.headers;
    client->max_payload = info.max_payload > 0 ? (uint64_t)info.max_payload : PARSER_PAYLOAD_DEFAULT;
    info_deinit(&info);
    return 0;
}

static int take_operation(struct client *client, const struct wire_op *op)
{
    static const char pong[] = WRITER_PONG;
    switch (op->kind) {
    case WIRE_MSG:
        if (client->on_message)
            client->on_message(client->owner, op);
        return 0;
    case WIRE_PING: put(client, pong, pong + sizeof(pong) - 1); return 0;
    case WIRE_PONG: client->pongs++; return 0;
    case WIRE_INFO: return take_info(client, op->text);
    case WIRE_MINUS_ERR:
        snprintf(client->error, sizeof(client->error), "the server says: %.*s", BYTES_ARG(op->text));
        return bytes_starts_with(op->text, BYTES("Permissions Violation")) ? 0 : ERR_PROTOCOL;
    default: return 0;
    }
}

static int take_operations(struct client *client)
{
    struct bytes input = bytes_make(client->in, client->in_len);
    struct wire_op op;
    int got, error = 0;
    while (!error && (got = parser_next(&client->parser, &input, &op)) > 0)
        error = take_operation(client, &op);
    if (!error && got < 0)
        error = fail(client, ERR_PROTOCOL, "the server sends something else than the NATS protocol", NULL);
    if (error)
        return error;
    memmove(client->in, input.ptr, input.len);
    client->in_len = input.len;
    size_t needed = parser_needed_bytes(&client->parser);
    if (needed > client->in_size) {
        client->in_size = needed;
        client->in = mem_realloc(client->in, client->in_size);
    }
    return 0;
}

static int write_some(struct client *client)
{
    ssize_t sent = send(client->fd, client->out.ptr, client->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        int problem = errno;
        // The server may have said why it closed.
        while (read_some(client) > 0)
            continue;
        return client->error[0] ? ERR_CLOSED : fail(client, ERR_IO, "connection lost", strerror(problem));
    }
    if (sent > 0)
        buffer_consume(&client->out, (size_t)sent);
    return 0;
}

static int fail(struct client *client, int error, const char *what, const char *detail)
{
    snprintf(client->error, sizeof(client->error), "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
    return error;
}
