// SPDX-License-Identifier: Apache-2.0
#include "codec/http.h"

#include <stdio.h>

#include "base/must.h"
#include "base/number.h"
#include "codec/percent.h"
#include "codec/timestamp.h"

#define ACCEPT_WEIGHT_MAX 1000
// Of a body, when nobody said.
#define NO_LENGTH SIZE_MAX

static int find_head_end(struct bytes data, size_t *ret_len);
static int parse_request_line(struct bytes line, struct http_request *request);
static int parse_method(struct bytes method, struct http_request *request);
static int parse_version(struct bytes version, bool *ret_keep_alive);
static int parse_target(struct bytes target, struct http_request *request);
static int parse_field(struct bytes line, struct http_request *request, size_t *body_len);
static int parse_length(struct bytes value, const struct http_request *request, size_t *body_len);
static bool next_field(struct bytes *fields, struct bytes name, struct bytes *ret_value);
static bool cut(struct bytes *rest, char separator, struct bytes *ret_part);
static struct bytes cut_line(struct bytes *rest);
static bool is_token_char(char c);
static bool accept_parameters(struct bytes parameters, struct bytes versions, uint32_t *ret_weight);
static bool is_in_list(struct bytes list, struct bytes word);
static uint32_t accept_weight(struct bytes text);
static const char *reason(int status);

int http_request_parse(struct bytes data, size_t body_max, struct http_request *ret_request, size_t *ret_used)
{
    size_t len, body_len = NO_LENGTH;
    int error = find_head_end(data, &len);
    if (error)
        return error;
    struct bytes rest = {data.ptr, len};
    struct http_request request = {0};
    error = parse_request_line(cut_line(&rest), &request);
    if (!error && request.post && body_max == 0)
        error = ERR_UNSUPPORTED;
    request.fields = rest;
    for (struct bytes line = cut_line(&rest); !error && line.len > 0; line = cut_line(&rest))
        error = parse_field(line, &request, &body_len);
    if (!error && request.post)
        error = body_len == NO_LENGTH ? ERR_UNSUPPORTED : body_len > body_max ? ERR_LIMIT : 0;
    if (error)
        return error;
    body_len = request.post ? body_len : 0;
    if (data.len - len < body_len)
        return ERR_AGAIN;
    request.body = bytes_make(data.ptr + len, body_len);
    *ret_request = request;
    *ret_used = len + body_len;
    return 0;
}

bool http_field_find(struct bytes fields, struct bytes name, struct bytes *ret_value)
{
    return next_field(&fields, name, ret_value);
}

bool http_field_has(struct bytes fields, struct bytes name, struct bytes word)
{
    struct bytes value;
    while (next_field(&fields, name, &value)) {
        struct bytes part;
        while (cut(&value, ',', &part)) {
            if (bytes_equal_fold(bytes_trim(part), word))
                return true;
        }
    }
    return false;
}

int http_error_status(int error)
{
    switch (error) {
    case ERR_TOO_BIG: return 431;
    case ERR_LIMIT: return 413;
    case ERR_UNSUPPORTED: return 405;
    default: return 400;
    }
}

int http_query_find(struct bytes query, struct bytes name, char *ret_value, size_t size)
{
    struct bytes part;
    while (cut(&query, '&', &part)) {
        struct bytes key;
        struct bytes value = part;
        if (!cut(&value, '=', &key) || !bytes_equal(key, name))
            continue;
        return percent_decode(value, true, ret_value, size);
    }
    return ERR_NOT_FOUND;
}

uint32_t http_accept_weight(struct bytes fields, struct bytes type, struct bytes versions, bool named)
{
    struct bytes list, entry;
    if (!http_field_find(fields, BYTES("accept"), &list))
        return named ? 0 : ACCEPT_WEIGHT_MAX;
    size_t slash = (size_t)((const char *)memchr(type.ptr, '/', type.len) - type.ptr) + 1;
    uint32_t weights[3] = {0}; // by how exact the entry is
    bool found[3] = {false};
    while (cut(&list, ',', &entry)) {
        struct bytes range;
        (void)cut(&entry, ';', &range);
        range = bytes_trim(range);
        size_t exact = 2;
        bool family = range.len == slash + 1 && range.ptr[slash] == '*' &&
                      bytes_equal_fold(bytes_make(range.ptr, slash), bytes_make(type.ptr, slash));
        if (!bytes_equal_fold(range, type))
            exact = family ? 1 : 0;
        uint32_t weight;
        if ((exact == 0 && !bytes_equal(range, BYTES("*/*"))) || !accept_parameters(entry, versions, &weight))
            continue;
        found[exact] = true;
        weights[exact] = weight > weights[exact] ? weight : weights[exact];
    }
    if (found[2] || named)
        return weights[2];
    return found[1] ? weights[1] : weights[0];
}

int http_response_append(struct buffer *out, const struct http_response *response)
{
    size_t before = out->len;
    char date[TIMESTAMP_HTTP_SIZE] = "";
    bool is_dated = response->date_ns > 0;
    if (is_dated)
        timestamp_format_http(response->date_ns, date);
    char length[48] = ""; // a 204 has no body, and must not say how long it is
    if (response->status != 204)
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", response->body.len);
    int error = buffer_printf(out,
                              "HTTP/1.1 %d %s\r\n"
                              "Content-Type: %.*s\r\n"
                              "%s%s%s%s"
                              "Cache-Control: no-store\r\n"
                              "%.*s"
                              "Connection: %s\r\n"
                              "\r\n",
                              response->status, reason(response->status), BYTES_ARG(response->content_type),
                              is_dated ? "Date: " : "", date, is_dated ? "\r\n" : "", length,
                              BYTES_ARG(response->fields), response->keep_alive ? "keep-alive" : "close");
    if (!error && !response->head)
        error = buffer_append(out, response->body);
    if (error)
        out->len = before;
    return error;
}

// Of one entry. False: of another version.
static bool accept_parameters(struct bytes parameters, struct bytes versions, uint32_t *ret_weight)
{
    struct bytes value;
    *ret_weight = ACCEPT_WEIGHT_MAX;
    while (cut(&parameters, ';', &value)) {
        struct bytes key;
        if (!cut(&value, '=', &key))
            continue;
        value = bytes_trim(value);
        if (bytes_equal_fold(bytes_trim(key), BYTES("q")))
            *ret_weight = accept_weight(value);
        if (bytes_equal_fold(bytes_trim(key), BYTES("version")) && !is_in_list(versions, value))
            return false;
    }
    return true;
}

static bool is_in_list(struct bytes list, struct bytes word)
{
    struct bytes entry;
    while (cut(&list, ',', &entry)) {
        if (bytes_equal(bytes_trim(entry), word))
            return true;
    }
    return false;
}

// "0.75": 750. What is no number between 0 and 1 wants nothing.
static uint32_t accept_weight(struct bytes text)
{
    uint32_t weight = 0, digit = ACCEPT_WEIGHT_MAX;
    for (size_t i = 0; i < text.len; i++) {
        if (i == 1 && text.ptr[i] == '.')
            continue;
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || (i == 0 && text.ptr[i] > '1'))
            return 0;
        weight += digit * (uint32_t)(text.ptr[i] - '0');
        digit /= 10;
    }
    return weight < ACCEPT_WEIGHT_MAX ? weight : ACCEPT_WEIGHT_MAX;
}

// The length of the head with its empty line. Bare line feeds end lines as well: people type them.
static int find_head_end(struct bytes data, size_t *ret_len)
{
    size_t limit = data.len < HTTP_HEAD_SIZE_MAX ? data.len : HTTP_HEAD_SIZE_MAX;
    size_t line_start = 0;
    for (size_t i = 0; i < limit; i++) {
        if (data.ptr[i] == '\0')
            return ERR_PROTOCOL;
        if (data.ptr[i] != '\n')
            continue;
        bool empty = i == line_start || (i == line_start + 1 && data.ptr[line_start] == '\r');
        if (empty && line_start == 0)
            return ERR_PROTOCOL;
        if (empty) {
            *ret_len = i + 1;
            return 0;
        }
        line_start = i + 1;
    }
    return data.len >= HTTP_HEAD_SIZE_MAX ? ERR_TOO_BIG : ERR_AGAIN;
}

static int parse_request_line(struct bytes line, struct http_request *request)
{
    struct bytes method;
    struct bytes target;
    if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target) || line.ptr == NULL)
        return ERR_PROTOCOL;
    int error = parse_version(line, &request->keep_alive);
    if (!error)
        error = parse_method(method, request);
    return error ? error : parse_target(target, request);
}

static int parse_method(struct bytes method, struct http_request *request)
{
    if (method.len == 0)
        return ERR_PROTOCOL;
    for (size_t i = 0; i < method.len; i++) {
        if (!is_token_char(method.ptr[i]))
            return ERR_PROTOCOL;
    }
    request->head = bytes_equal(method, BYTES("HEAD"));
    request->post = bytes_equal(method, BYTES("POST"));
    return request->head || request->post || bytes_equal(method, BYTES("GET")) ? 0 : ERR_UNSUPPORTED;
}

static int parse_version(struct bytes version, bool *ret_keep_alive)
{
    if (version.len != 8 || !bytes_starts_with(version, BYTES("HTTP/")) || version.ptr[6] != '.')
        return ERR_PROTOCOL;
    if (version.ptr[5] != '1' || (version.ptr[7] != '0' && version.ptr[7] != '1'))
        return ERR_UNSUPPORTED;
    *ret_keep_alive = version.ptr[7] == '1';
    return 0;
}

// Visible ASCII only. The absolute form, which clients of proxies use, means the same whoever is named in it.
static int parse_target(struct bytes target, struct http_request *request)
{
    struct bytes host;
    if (bytes_starts_with(target, BYTES("http://")) || bytes_starts_with(target, BYTES("https://"))) {
        target = bytes_skip(target, target.ptr[4] == ':' ? 7 : 8);
        const char *slash = target.len > 0 ? memchr(target.ptr, '/', target.len) : NULL;
        host = bytes_make(target.ptr, slash ? (size_t)(slash - target.ptr) : 0);
        if (host.len == 0)
            return ERR_PROTOCOL;
        target = bytes_skip(target, host.len);
    }
    if (target.len == 0 || target.ptr[0] != '/')
        return ERR_PROTOCOL;
    for (size_t i = 0; i < target.len; i++) {
        if (target.ptr[i] <= ' ' || target.ptr[i] == 0x7f)
            return ERR_PROTOCOL;
    }
    (void)cut(&target, '?', &request->path);
    request->query = target;
    return 0;
}

static int parse_field(struct bytes line, struct http_request *request, size_t *body_len)
{
    struct bytes name;
    struct bytes value = line;
    (void)cut(&value, ':', &name);
    if (value.ptr == NULL || name.len == 0)
        return ERR_PROTOCOL;
    for (size_t i = 0; i < name.len; i++) {
        if (!is_token_char(name.ptr[i]))
            return ERR_PROTOCOL;
    }
    value = bytes_trim(value);
    if (bytes_equal_fold(name, BYTES("transfer-encoding")))
        return ERR_UNSUPPORTED;
    if (bytes_equal_fold(name, BYTES("content-length")))
        return parse_length(value, request, body_len);
    if (bytes_equal_fold(name, BYTES("host"))) {
        bool again = request->has_host;
        request->has_host = true;
        return again ? ERR_PROTOCOL : 0;
    }
    if (!bytes_equal_fold(name, BYTES("connection")))
        return 0;
    struct bytes option;
    while (cut(&value, ',', &option)) {
        if (bytes_equal_fold(bytes_trim(option), BYTES("close")))
            request->keep_alive = false;
        else if (bytes_equal_fold(bytes_trim(option), BYTES("keep-alive")))
            request->keep_alive = true;
    }
    return 0;
}

// Said once only: who reads the other one sees another request.
static int parse_length(struct bytes value, const struct http_request *request, size_t *body_len)
{
    uint64_t len;
    if (!request->post)
        return bytes_equal(value, BYTES("0")) ? 0 : ERR_UNSUPPORTED;
    int error = number_parse_u64(value, NO_LENGTH - 1, &len);
    if (error == ERR_TOO_BIG)
        return ERR_LIMIT;
    if (error || *body_len != NO_LENGTH)
        return ERR_PROTOCOL;
    *body_len = len;
    return 0;
}

// Goes on behind the next field of that name; false when there is none.
static bool next_field(struct bytes *fields, struct bytes name, struct bytes *ret_value)
{
    while (fields->ptr) {
        struct bytes line;
        (void)cut(fields, '\n', &line);
        struct bytes found;
        if (!cut(&line, ':', &found) || line.ptr == NULL || !bytes_equal_fold(found, name))
            continue;
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        *ret_value = bytes_trim(line);
        return true;
    }
    return false;
}

// Cuts off what stands before the separator. Without one, everything, and `rest` then has ptr NULL. False when nothing
// is left to cut.
static bool cut(struct bytes *rest, char separator, struct bytes *ret_part)
{
    if (rest->ptr == NULL)
        return false;
    const char *found = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    if (!found) {
        *ret_part = *rest;
        *rest = (struct bytes){NULL, 0};
        return true;
    }
    *ret_part = (struct bytes){rest->ptr, (size_t)(found - rest->ptr)};
    *rest = bytes_skip(*rest, ret_part->len + 1);
    return true;
}

// Only called while a line end is left, see find_head_end().
static struct bytes cut_line(struct bytes *rest)
{
    struct bytes line;
    must(cut(rest, '\n', &line));
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

static bool is_token_char(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 301: return "Moved Permanently";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 507: return "Insufficient Storage";
    default: return "Bad Request";
    }
}
