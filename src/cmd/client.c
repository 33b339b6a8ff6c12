// SPDX-License-Identifier: Apache-2.0
#include "cmd/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "base/must.h"
#include "cmd/client_login.h"
#include "wire/connect.h"
#include "wire/info.h"
#include "wire/writer.h"

enum { IN_MAX = 128 << 20, OUT_MAX = 128 << 20 };

static int greet(struct client *client, const struct client_options *options, const struct nats_url *url);
static int wait_for_info(struct client *client, int timeout_ms);
static int secure(struct client *client, const struct client_options *options, const struct nats_url *url);
static int send_connect(struct client *client, const struct client_options *options, const struct nats_url *url);
static int read_some(struct client *client);
static int take_operations(struct client *client);
static int take_info(struct client *client, struct bytes json);
static int write_some(struct client *client);
static int fail(struct client *client, int error, const char *what, const char *detail);

int client_connect(struct client *client, const struct client_options *options)
{
    struct nats_url url;
    *client = (struct client){.link.fd = -1};
    // The text may hold a password.
    if (nats_url_parse(options->server, &url))
        return fail(client, ERR_INVALID, "--server is not a server's address", NULL);
    buffer_init(&client->out, OUT_MAX);
    buffer_init(&client->in, IN_MAX);
    const struct parser_config config = {.payload_max = 64 << 20};
    parser_init(&client->parser, PARSER_CLIENT, &config);
    parser_set_memo(&client->parser, &client->parser_memo);
    int error = client_link_open(&client->link, &url, options->timeout_ms);
    if (error)
        fail(client, error, client->link.error, NULL);
    else
        error = greet(client, options, &url);
    if (error)
        client_close(client);
    return error;
}

void client_close(struct client *client)
{
    client_link_close(&client->link);
    buffer_deinit(&client->out);
    buffer_deinit(&client->in);
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
    while (client->out.len || client_link_owes(&client->link)) {
        int error = write_some(client);
        if (error)
            return error;
        if (!client->out.len && !client_link_owes(&client->link))
            break;
        struct pollfd poll_fd = {.fd = client->link.fd, .events = POLLIN | POLLOUT};
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
    struct pollfd poll_fd = {.fd = client->link.fd, .events = POLLIN};
    int ready = poll(&poll_fd, 1, timeout_ms);
    if (ready <= 0)
        return ready < 0 && errno != EINTR ? fail(client, ERR_IO, "poll", strerror(errno)) : 0;
    int got = read_some(client);
    error = got < 0 ? got : client_flush(client);
    return error ? error : got;
}

short client_events(const struct client *client)
{
    return client->out.len || client_link_owes(&client->link) ? POLLIN | POLLOUT : POLLIN;
}

int client_step(struct client *client)
{
    int got = read_some(client);
    if (got >= 0 && (client->out.len || client_link_owes(&client->link)))
        got = write_some(client);
    return got < 0 ? got : 0;
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

// Reads INFO, sends CONNECT and waits for the PONG behind it.
static int greet(struct client *client, const struct client_options *options, const struct nats_url *url)
{
    int error = options->tls_first ? secure(client, options, url) : 0;
    if (!error)
        error = wait_for_info(client, options->timeout_ms);
    bool wants_tls = options->wants_tls || url->is_tls;
    if (!error && wants_tls && !client->link.tls && !client->needs_tls && !client->may_tls)
        error = fail(client, ERR_UNSUPPORTED, "the server has no TLS", NULL);
    if (!error && (wants_tls || client->needs_tls) && !client->link.tls) {
        // Whatever came behind INFO was not encrypted, so anybody can have written it.
        if (client->in.len > 0)
            return fail(client, ERR_PROTOCOL, "the server sends something in front of the TLS handshake", NULL);
        error = secure(client, options, url);
    }
    if (!error && client->in.len > 0)
        error = take_operations(client); // why it will close, perhaps
    if (!error)
        error = send_connect(client, options, url);
    return error ? error : client_round_trip(client, options->timeout_ms);
}

static int wait_for_info(struct client *client, int timeout_ms)
{
    uint64_t end = client_now_ns() + (uint64_t)timeout_ms * 1000000;
    int error = client->in.len ? take_operations(client) : 0; // a handshake may have brought it along
    while (!error && client->max_payload == 0) {
        struct pollfd poll_fd = {.fd = client->link.fd, .events = POLLIN};
        if (client_now_ns() >= end || poll(&poll_fd, 1, timeout_ms) == 0)
            return fail(client, ERR_TIMEOUT, "no INFO from the server", NULL);
        int got = read_some(client);
        error = got < 0 ? got : 0;
    }
    return error;
}

static int secure(struct client *client, const struct client_options *options, const struct nats_url *url)
{
    int error = client_link_secure(&client->link, &options->tls, url->host, options->timeout_ms, &client->in);
    return error ? fail(client, error, client->link.error, NULL) : 0;
}

static int send_connect(struct client *client, const struct client_options *options, const struct nats_url *url)
{
    struct wire_connect connect;
    connect_init(&connect);
    connect.verbose = connect.pedantic = false;
    connect.headers = client->headers;
    connect.no_responders = client->headers && options->no_responders;
    connect.name = bytes_from_string(options->name);
    connect.lang = BYTES("c");
    connect.version = BYTES(WEIR_VERSION);
    connect.protocol = 1;
    connect.tls_required = client->link.tls != NULL;
    struct client_login login;
    char line[CONNECT_LINE_SIZE_MAX];
    size_t len;
    int error = client_login_fill(&login, options, url, bytes_from_string(client->nonce), &connect, client->error,
                                  sizeof(client->error));
    if (!error && connect_encode(&connect, line, sizeof(line), &len))
        error = fail(client, ERR_INVALID, "user, password or token is too long or not UTF-8", NULL);
    if (!error)
        put(client, line, line + len);
    return error;
}

// One read and everything in it. 1: something came.
static int read_some(struct client *client)
{
    int got = client_link_receive(&client->link, &client->in);
    if (got < 0 && !client->error[0])
        fail(client, got, client->link.error, NULL);
    if (got <= 0)
        return got;
    int error = take_operations(client);
    return error ? error : 1;
}

static int take_info(struct client *client, struct bytes json)
{
    struct wire_info info;
    if (info_parse(json, &info))
        return fail(client, ERR_PROTOCOL, "INFO that cannot be read", NULL);
    client->headers = info.headers;
    client->needs_tls = info.tls_required;
    client->may_tls = info.tls_available;
    snprintf(client->nonce, sizeof(client->nonce), "%.*s", BYTES_ARG(info.nonce));
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

// All that is there, but not what comes behind the greeting: TLS may begin there.
static int take_operations(struct client *client)
{
    struct bytes input = buffer_bytes(&client->in);
    struct wire_op op;
    int got = 0, error = 0;
    bool was_greeted, is_greeted = client->max_payload > 0;
    do {
        was_greeted = is_greeted;
        got = parser_next(&client->parser, &input, &op);
        if (got > 0)
            error = take_operation(client, &op);
        is_greeted = client->max_payload > 0;
    } while (!error && got > 0 && is_greeted == was_greeted);
    if (!error && got < 0)
        error = fail(client, ERR_PROTOCOL, "the server sends something else than the NATS protocol", NULL);
    if (error)
        return error;
    buffer_consume(&client->in, client->in.len - input.len);
    return 0;
}

static int write_some(struct client *client)
{
    int error = client_link_send(&client->link, &client->out);
    if (!error)
        return 0;
    char why[CLIENT_ERROR_MAX];
    snprintf(why, sizeof(why), "%s", client->link.error);
    // The server may have said why it closed.
    while (read_some(client) > 0)
        continue;
    return client->error[0] ? ERR_CLOSED : fail(client, error, why, NULL);
}

static int fail(struct client *client, int error, const char *what, const char *detail)
{
    snprintf(client->error, sizeof(client->error), "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
    return error;
}
