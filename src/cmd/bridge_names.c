// SPDX-License-Identifier: Apache-2.0
#include "cmd/bridge_names.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cmd/client.h"
#include "codec/conf.h"

enum { PAGE = 1024, ANSWER_MAX = 16 << 20 };

static int parse_url(struct bridge_names *names, struct nats_url *ret_url);
static int fetch_page(struct bridge_names *names, const struct nats_url *url, size_t offset, struct buffer *answer);
static int exchange(struct bridge_names *names, struct client_link *link, struct buffer *request,
                    struct buffer *answer);
static int read_page(struct bridge_names *names, struct bytes answer, size_t *ret_count);
static int take_names(struct bridge_names *names, const struct conf_value *root, size_t *ret_count);
static int no_file(void *owner, const char *path, struct buffer *content);
static const char *no_variable(void *owner, const char *name);
static int fail(struct bridge_names *names, int error, const char *what);

int bridge_names_fetch(struct bridge_names *names)
{
    struct nats_url url;
    struct buffer answer;
    size_t count = PAGE;
    int error = parse_url(names, &url);
    buffer_init(&answer, ANSWER_MAX);
    for (size_t offset = 0; !error && count == PAGE; offset += count) {
        buffer_clear(&answer);
        error = offset < names->max ? fetch_page(names, &url, offset, &answer)
                                    : fail(names, ERR_LIMIT, "the old server has too many channels");
        if (!error)
            error = read_page(names, buffer_bytes(&answer), &count);
    }
    buffer_deinit(&answer);
    return error;
}

// As an address of NATS, which takes hosts, ports and brackets apart.
static int parse_url(struct bridge_names *names, struct nats_url *ret_url)
{
    char text[512];
    bool is_secure = strncasecmp(names->url, "https://", 8) == 0;
    if (!is_secure && strncasecmp(names->url, "http://", 7) != 0)
        return fail(names, ERR_INVALID, "it begins with http:// or https://");
    const char *host = names->url + (is_secure ? 8 : 7);
    if (strchr(host, '@')) {
        snprintf(names->error, sizeof(names->error), "a monitoring port takes no user and no password");
        return ERR_INVALID;
    }
    const char *bracket = strchr(host, ']');
    size_t len = strcspn(host, "/");
    bool has_port = memchr(bracket ? bracket : host, ':', len - (size_t)(bracket ? bracket - host : 0)) != NULL;
    if (host[len] && strcmp(host + len, "/") != 0 && strcmp(host + len, "/streaming/channelsz") != 0)
        return fail(names, ERR_INVALID, "it has no path: http://HOST:PORT");
    int size = snprintf(text, sizeof(text), "%s%.*s%s", is_secure ? "tls://" : "nats://", (int)len, host,
                        has_port ? "" : ":8222");
    if (size >= (int)sizeof(text) || nats_url_parse(text, ret_url))
        return fail(names, ERR_INVALID, "it is no address: http://HOST:PORT");
    return 0;
}

static int fetch_page(struct bridge_names *names, const struct nats_url *url, size_t offset, struct buffer *answer)
{
    struct client_link link;
    struct buffer request;
    int error = client_link_open(&link, url, names->timeout_ms);
    if (error)
        return fail(names, error, link.error);
    buffer_init(&request, 4096);
    if (url->is_tls)
        error = client_link_secure(&link, &names->tls, url->host, names->timeout_ms, answer);
    if (error)
        fail(names, error, link.error);
    else if (buffer_printf(&request,
                           "GET /streaming/channelsz?limit=%d&offset=%zu HTTP/1.0\r\nHost: %s:%s\r\n"
                           "Accept: application/json\r\n\r\n",
                           PAGE, offset, url->host, url->port))
        error = fail(names, ERR_TOO_BIG, "its name is too long");
    if (!error)
        error = exchange(names, &link, &request, answer);
    buffer_deinit(&request);
    client_link_close(&link);
    return error;
}

// Until the server closes: HTTP/1.0 has no other end.
static int exchange(struct bridge_names *names, struct client_link *link, struct buffer *request, struct buffer *answer)
{
    uint64_t end_ns = client_now_ns() + (uint64_t)names->timeout_ms * 1000000;
    int got = 0;
    while (got != ERR_CLOSED) {
        bool owes = request->len || client_link_owes(link);
        struct pollfd poll_fd = {.fd = link->fd, .events = owes ? POLLIN | POLLOUT : POLLIN};
        if (client_now_ns() >= end_ns)
            return fail(names, ERR_TIMEOUT, "no answer");
        (void)poll(&poll_fd, 1, 100);
        if (owes && client_link_send(link, request))
            return fail(names, ERR_IO, link->error);
        got = client_link_receive(link, answer);
        if (got < 0 && got != ERR_CLOSED)
            return fail(names, got, link->error);
    }
    return 0;
}

static int read_page(struct bridge_names *names, struct bytes answer, size_t *ret_count)
{
    const char *body = answer.len ? memmem(answer.ptr, answer.len, "\r\n\r\n", 4) : NULL;
    const char *status = answer.len ? memchr(answer.ptr, ' ', answer.len) : NULL;
    if (!body || !bytes_starts_with(answer, BYTES("HTTP/1.")) || !status)
        return fail(names, ERR_PROTOCOL, "what answers there is no HTTP");
    if (memcmp(status, " 200", 4) != 0) // there are four bytes behind it at least
        return fail(names, ERR_NOT_FOUND, "there is no page /streaming/channelsz");
    const struct conf_source source = {.read = no_file, .environment = no_variable};
    struct conf conf;
    struct conf_error conf_error;
    int error =
        conf_read_text(&conf, &source, "channelsz", bytes_skip(answer, (size_t)(body + 4 - answer.ptr)), &conf_error);
    error = error ? fail(names, ERR_PROTOCOL, "its page /streaming/channelsz cannot be read")
                  : take_names(names, &conf.root, ret_count);
    conf_deinit(&conf);
    return error;
}

static int take_names(struct bridge_names *names, const struct conf_value *root, size_t *ret_count)
{
    *ret_count = 0;
    const struct conf_member *list = conf_find(root, BYTES("names"));
    const struct conf_member *total = conf_find(root, BYTES("count"));
    if (!list && total && total->value.type == CONF_INTEGER && total->value.integer == 0)
        return 0; // a server of Go leaves out, or nulls, what is empty
    if (!list || list->value.type != CONF_ARRAY)
        return list && bytes_equal(list->value.text, BYTES("null"))
                   ? 0
                   : fail(names, ERR_PROTOCOL, "its page /streaming/channelsz has no names");
    for (const struct conf_member *name = list->value.first; name; name = name->next) {
        if (name->value.type != CONF_STRING)
            return fail(names, ERR_PROTOCOL, "its page /streaming/channelsz has a name that is none");
        names->on_name(names->owner, name->value.text);
    }
    *ret_count = list->value.count;
    return 0;
}

// The page is a stranger's: it gets to no file and no variable of ours.
static int no_file(void *owner, const char *path, struct buffer *content)
{
    (void)owner, (void)path, (void)content;
    return ERR_PERMISSION;
}

static const char *no_variable(void *owner, const char *name)
{
    (void)owner, (void)name;
    return NULL;
}

static int fail(struct bridge_names *names, int error, const char *what)
{
    snprintf(names->error, sizeof(names->error), "%s: %s", names->url, what);
    return error;
}
