// SPDX-License-Identifier: Apache-2.0
#include "broker/websocket_opening.h"

#include <stdio.h>

#include "base/must.h"
#include "codec/base64.h"

#define KEY_LEN_MAX 128
#define GUID        "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, 1.3

struct origin {
    struct bytes scheme;
    struct bytes host;
    struct bytes port;
};

static const char *find_fault(const struct http_request *request);
static bool is_allowed(const struct websocket_options *options, struct bytes fields);
static bool is_same(const struct websocket_options *options, const struct origin *origin, struct bytes host);
static bool is_listed(const struct websocket_options *options, const struct origin *origin);
static bool split_origin(struct bytes text, struct origin *ret_origin);
static void split_host(struct bytes text, const char *default_port, struct origin *ret_origin);
static bool offers_deflate(struct bytes fields);
static bool is_deflate(struct bytes offer);
static struct bytes cut(struct bytes *rest, char separator);
static struct bytes trim(struct bytes text);
static void read_forwarded(struct bytes fields, char ret_ip[46]);
static void append_accept(const struct websocket_options *options, struct bytes key, bool compressed,
                          struct buffer *answer);
static void append_refusal(int status, const char *text, struct buffer *answer);

int websocket_opening_answer(const struct websocket_options *options, const struct http_request *request,
                             struct buffer *answer, struct websocket_opening *ret_opening)
{
    *ret_opening = (struct websocket_opening){0};
    const char *fault = find_fault(request);
    if (fault) {
        append_refusal(400, fault, answer);
        return ERR_PROTOCOL;
    }
    if (!is_allowed(options, request->fields)) {
        append_refusal(403, "origin not allowed", answer);
        return ERR_PERMISSION;
    }
    struct bytes key;
    must(http_field_find(request->fields, BYTES("sec-websocket-key"), &key));
    ret_opening->compressed = options->compression && offers_deflate(request->fields);
    read_forwarded(request->fields, ret_opening->forwarded_ip);
    append_accept(options, key, ret_opening->compressed, answer);
    return 0;
}

void websocket_opening_refuse(int error, struct buffer *answer)
{
    append_refusal(http_error_status(error), error_text(error), answer);
}

// In words; NULL: none.
static const char *find_fault(const struct http_request *request)
{
    struct bytes value;
    struct bytes fields = request->fields;
    if (request->head)
        return "request method must be GET";
    if (!http_field_find(fields, BYTES("host"), &value) || value.len == 0)
        return "'Host' missing in request";
    if (!http_field_has(fields, BYTES("upgrade"), BYTES("websocket")))
        return "invalid value for header 'Upgrade'";
    if (!http_field_has(fields, BYTES("connection"), BYTES("upgrade")))
        return "invalid value for header 'Connection'";
    if (!http_field_find(fields, BYTES("sec-websocket-key"), &value) || value.len == 0 || value.len > KEY_LEN_MAX)
        return "key missing";
    if (!http_field_has(fields, BYTES("sec-websocket-version"), BYTES("13")))
        return "invalid version";
    if (bytes_equal(request->path, BYTES("/leafnode")) || bytes_equal(request->path, BYTES("/mqtt")))
        return "only NATS clients are served here";
    return NULL;
}

// Programs send no Origin, and can send any; it is browsers that tell the truth, about pages that do not.
static bool is_allowed(const struct websocket_options *options, struct bytes fields)
{
    struct bytes text;
    struct bytes host;
    struct origin origin;
    if (!options->same_origin && options->origin_count == 0)
        return true;
    if (!http_field_find(fields, BYTES("origin"), &text) &&
        !http_field_find(fields, BYTES("sec-websocket-origin"), &text))
        return true;
    if (!split_origin(text, &origin) || !http_field_find(fields, BYTES("host"), &host))
        return false;
    return (!options->same_origin || is_same(options, &origin, host)) &&
           (options->origin_count == 0 || is_listed(options, &origin));
}

static bool is_same(const struct websocket_options *options, const struct origin *origin, struct bytes host)
{
    struct origin ours;
    split_host(host, options->is_tls ? "443" : "80", &ours);
    return bytes_equal_fold(origin->host, ours.host) && bytes_equal(origin->port, ours.port);
}

static bool is_listed(const struct websocket_options *options, const struct origin *origin)
{
    for (size_t i = 0; i < options->origin_count; i++) {
        struct origin listed;
        if (split_origin(options->origins[i], &listed) && bytes_equal_fold(listed.scheme, origin->scheme) &&
            bytes_equal_fold(listed.host, origin->host) && bytes_equal(listed.port, origin->port))
            return true;
    }
    return false;
}

// "https://host[:port]"; what follows the host does not count.
static bool split_origin(struct bytes text, struct origin *ret_origin)
{
    const char *end = memmem(text.ptr, text.len, "://", 3);
    if (!end)
        return false;
    struct bytes scheme = bytes_make(text.ptr, (size_t)(end - text.ptr));
    struct bytes rest = bytes_skip(text, scheme.len + 3);
    struct bytes host = cut(&rest, '/');
    if (scheme.len == 0 || host.len == 0)
        return false;
    split_host(host, bytes_equal_fold(scheme, BYTES("https")) ? "443" : "80", ret_origin);
    ret_origin->scheme = scheme;
    return true;
}

// "host", "host:port", "[::1]:port".
static void split_host(struct bytes text, const char *default_port, struct origin *ret_origin)
{
    const char *bracket = memrchr(text.ptr, ']', text.len);
    const char *colon = memrchr(text.ptr, ':', text.len);
    *ret_origin = (struct origin){.host = text, .port = bytes_from_string(default_port)};
    if (!colon || (bracket && colon < bracket))
        return;
    ret_origin->host.len = (size_t)(colon - text.ptr);
    ret_origin->port = bytes_skip(text, ret_origin->host.len + 1);
}

// Fields of that name and the offers in them are alternatives; one that we can meet is enough.
static bool offers_deflate(struct bytes fields)
{
    struct bytes line;
    struct bytes rest = fields;
    while (rest.len > 0) {
        line = cut(&rest, '\n');
        struct bytes value;
        if (!http_field_find(line, BYTES("sec-websocket-extensions"), &value))
            continue;
        while (value.len > 0) {
            if (is_deflate(cut(&value, ',')))
                return true;
        }
    }
    return false;
}

// With parameters that our answer, no context takeover on either side and the largest window, agrees with.
static bool is_deflate(struct bytes offer)
{
    if (!bytes_equal_fold(trim(cut(&offer, ';')), BYTES("permessage-deflate")))
        return false;
    while (offer.len > 0) {
        struct bytes parameter = cut(&offer, ';');
        struct bytes name = trim(cut(&parameter, '='));
        if (!bytes_equal_fold(name, BYTES("client_max_window_bits")) &&
            !bytes_equal_fold(name, BYTES("client_no_context_takeover")) &&
            !bytes_equal_fold(name, BYTES("server_no_context_takeover")))
            return false;
    }
    return true;
}

// What stands before the separator; *rest is what follows it, empty when there is none.
static struct bytes cut(struct bytes *rest, char separator)
{
    const char *found = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    struct bytes part = found ? bytes_make(rest->ptr, (size_t)(found - rest->ptr)) : *rest;
    *rest = bytes_skip(*rest, found ? part.len + 1 : part.len);
    return part;
}

static struct bytes trim(struct bytes text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t' || text.ptr[0] == '\r'))
        text = bytes_skip(text, 1);
    while (text.len > 0 && strchr(" \t\r", text.ptr[text.len - 1]))
        text.len--;
    return text;
}

// The first of the list, if it looks like an address: it is shown and logged.
static void read_forwarded(struct bytes fields, char ret_ip[46])
{
    struct bytes list;
    ret_ip[0] = '\0';
    if (!http_field_find(fields, BYTES("x-forwarded-for"), &list))
        return;
    struct bytes ip = trim(cut(&list, ','));
    if (ip.len < 2 || ip.len > 45 || (!memchr(ip.ptr, '.', ip.len) && !memchr(ip.ptr, ':', ip.len)))
        return;
    for (size_t i = 0; i < ip.len; i++) {
        if (!memchr("0123456789abcdefABCDEF.:", ip.ptr[i], 24))
            return;
    }
    memcpy(ret_ip, ip.ptr, ip.len);
    ret_ip[ip.len] = '\0';
}

static void append_accept(const struct websocket_options *options, struct bytes key, bool compressed,
                          struct buffer *answer)
{
    char salted[KEY_LEN_MAX + sizeof(GUID)];
    uint8_t digest[20];
    char accept[BASE64_ENCODED_LEN(sizeof(digest))];
    size_t accept_len;
    memcpy(salted, key.ptr, key.len);
    memcpy(salted + key.len, GUID, sizeof(GUID) - 1);
    options->sha1(bytes_make(salted, key.len + sizeof(GUID) - 1), digest);
    must(base64_encode(bytes_make(digest, sizeof(digest)), BASE64_STANDARD, accept, sizeof(accept), &accept_len) == 0);
    int error = buffer_printf(answer,
                              "HTTP/1.1 101 Switching Protocols\r\n"
                              "Upgrade: websocket\r\n"
                              "Connection: Upgrade\r\n"
                              "Sec-WebSocket-Accept: %.*s\r\n"
                              "%s\r\n",
                              (int)accept_len, accept,
                              compressed ? "Sec-WebSocket-Extensions: permessage-deflate; "
                                           "server_no_context_takeover; client_no_context_takeover\r\n"
                                         : "");
    must(error == 0);
}

static void append_refusal(int status, const char *text, struct buffer *answer)
{
    char line[160];
    int len = snprintf(line, sizeof(line), "websocket handshake error: %s\n", text);
    struct http_response response = {
        .status = status,
        .content_type = BYTES("text/plain; charset=utf-8"),
        .body = bytes_make(line, (size_t)len),
    };
    must(http_response_append(answer, &response) == 0);
}
