// SPDX-License-Identifier: Apache-2.0
#include "broker/connection_log.h"

#include <stdio.h>

#include "wire/connect.h"

#define REDACTED BYTES("[REDACTED]")

// Text that grows up to a limit and is cut there.
struct line {
    char text[CONNECTION_LOG_LINE_MAX];
    size_t len;
};

static bool is_within_quota(struct broker *broker, enum log_level level);
static void put(struct line *line, struct bytes bytes);
static void put_char(struct line *line, char c);
static void put_number(struct line *line, uint64_t number);
static void put_quoted(struct line *line, struct bytes bytes, const char *end);
static void put_word(struct line *line, struct bytes word);
static void put_name(struct line *line, const struct connection *connection);
static void put_operation(struct line *line, const struct wire_op *op);
static void put_connect(struct line *line, struct bytes json);
static void redact(struct bytes *secret);
static void write_line(const struct connection *connection, enum log_level level, struct line *line);
static void trace_payload(const struct connection *connection, const struct wire_op *op);

void connection_log(const struct connection *connection, enum log_level level, const char *format, ...)
{
    if (!logger_is_enabled(connection->broker->options.logger, level) || !is_within_quota(connection->broker, level))
        return;
    struct line line = {.len = 0};
    put_name(&line, connection);
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(line.text + line.len, sizeof(line.text) - line.len, format, arguments);
    va_end(arguments);
    line.len += len > 0 ? (size_t)len : 0;
    write_line(connection, level, &line);
}

void connection_trace_in(const struct connection *connection, const struct wire_op *op)
{
    struct line line = {.len = 0};
    put_name(&line, connection);
    put(&line, BYTES("<<- ["));
    put_operation(&line, op);
    put_char(&line, ']');
    write_line(connection, LOG_TRACE, &line);
    if (op->kind == WIRE_PUB)
        trace_payload(connection, op);
}

void connection_trace_out(const struct connection *connection, struct bytes text)
{
    const char *end = memchr(text.ptr, '\r', text.len);
    struct bytes first = bytes_make(text.ptr, end ? (size_t)(end - text.ptr) : text.len);
    if (bytes_starts_with(first, BYTES("INFO ")))
        return;
    if (bytes_starts_with(first, BYTES("+")))
        first = bytes_skip(first, 1);
    struct line line = {.len = 0};
    put_name(&line, connection);
    put(&line, BYTES("->> ["));
    if (bytes_starts_with(first, BYTES("-ERR '"))) {
        put(&line, BYTES("-ERR "));
        first = bytes_make(first.ptr + sizeof("-ERR '") - 1, first.len - sizeof("-ERR ''") + 1);
    }
    put(&line, first);
    put_char(&line, ']');
    write_line(connection, LOG_TRACE, &line);
}

void connection_trace_end(const struct connection *connection, struct bytes sid)
{
    struct line line = {.len = 0};
    put_name(&line, connection);
    put(&line, BYTES("<-> [DELSUB "));
    put(&line, sid);
    put_char(&line, ']');
    write_line(connection, LOG_TRACE, &line);
}

static bool is_within_quota(struct broker *broker, enum log_level level)
{
    uint32_t left_out = 0;
    if (level < LOG_INFO)
        return true;
    if (!log_quota_take_of(&broker->connection_lines, CONNECTION_LOG_LINES, broker->now_ms, &left_out))
        return false;
    if (left_out > 0)
        logger_write(broker->options.logger, LOG_WARN, "%u more lines about connections were left out", left_out);
    return true;
}

static void put(struct line *line, struct bytes bytes)
{
    size_t room = sizeof(line->text) - 1 - line->len;
    size_t len = bytes.len < room ? bytes.len : room;
    if (len > 0)
        memcpy(line->text + line->len, bytes.ptr, len);
    line->len += len;
}

static void put_char(struct line *line, char c)
{
    put(line, bytes_make(&c, 1));
}

static void put_number(struct line *line, uint64_t number)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    put(line, bytes_make(digits, (size_t)len));
}

// As a string of Go: what is not plain ASCII is escaped. `end` stands inside the quotes.
static void put_quoted(struct line *line, struct bytes bytes, const char *end)
{
    static const char hex[] = "0123456789abcdef";
    put_char(line, '"');
    for (size_t i = 0; i < bytes.len && line->len < sizeof(line->text) - 8; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c == '"' || c == '\\')
            put(line, bytes_make((const char[]){'\\', (char)c}, 2));
        else if (c == '\r' || c == '\n' || c == '\t')
            put(line, bytes_make((const char[]){'\\', c == '\r' ? 'r' : c == '\n' ? 'n' : 't'}, 2));
        else if (c < ' ' || c >= 0x7f)
            put(line, bytes_make((const char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4));
        else
            put_char(line, (char)c);
    }
    put(line, bytes_from_string(end));
    put_char(line, '"');
}

static void put_word(struct line *line, struct bytes word)
{
    if (word.len == 0)
        return;
    put_char(line, ' ');
    put(line, word);
}

static void put_address(struct line *line, const char *ip)
{
    bool is_v6 = strchr(ip, ':') != NULL;
    put(line, is_v6 ? BYTES("[") : BYTES(""));
    put(line, bytes_from_string(ip));
    put(line, is_v6 ? BYTES("]") : BYTES(""));
}

// Up to the last " - " of the examples in the header.
static void put_name(struct line *line, const struct connection *connection)
{
    const struct net_peer *peer = &connection->peer;
    const char *forwarded = net_forwarded_ip(connection->net);
    if (forwarded) {
        put_address(line, forwarded);
        put_char(line, '/');
    }
    put_address(line, peer->ip);
    put_char(line, ':');
    put_number(line, peer->port);
    put(line, BYTES(" - cid:"));
    put_number(line, connection->id);
    const struct connection_client *client = connection->client;
    if (client) {
        char text[3 * CONNECTION_CLIENT_TEXT_MAX + 4];
        int len = snprintf(
            text, sizeof(text), "%s%.*s%s%.*s%s%.*s", client->version.len ? "v" : "", BYTES_ARG(client->version),
            client->version.len && client->lang.len ? ":" : "", BYTES_ARG(client->lang),
            client->name.len && client->version.len + client->lang.len > 0 ? ":" : "", BYTES_ARG(client->name));
        put(line, BYTES(" - "));
        put_quoted(line, bytes_make(text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1), "");
    }
    put(line, BYTES(" - "));
}

static void put_operation(struct line *line, const struct wire_op *op)
{
    switch (op->kind) {
    case WIRE_PUB:
        put(line, op->has_header ? BYTES("HPUB ") : BYTES("PUB "));
        put(line, op->subject);
        put_word(line, op->reply);
        if (op->has_header) {
            put_char(line, ' ');
            put_number(line, op->header.len);
        }
        put_char(line, ' ');
        put_number(line, op->header.len + op->payload.len);
        break;
    case WIRE_SUB:
        put(line, BYTES("SUB "));
        put(line, op->subject);
        put_word(line, op->queue);
        put_word(line, op->sid);
        break;
    case WIRE_UNSUB:
        put(line, BYTES("UNSUB "));
        put(line, op->sid);
        if (op->max > 0) {
            put_char(line, ' ');
            put_number(line, op->max);
        }
        break;
    case WIRE_CONNECT: put_connect(line, op->text); break;
    case WIRE_PING: put(line, BYTES("PING")); break;
    case WIRE_PONG: put(line, BYTES("PONG")); break;
    case WIRE_PLUS_OK: put(line, BYTES("+OK")); break;
    case WIRE_INFO: put(line, BYTES("INFO")); break;
    case WIRE_MINUS_ERR:
        put(line, BYTES("-ERR "));
        put(line, op->text);
        break;
    case WIRE_MSG: break; // no client sends it
    }
}

// Written anew from what was understood: in the text a secret could hide behind another spelling of its key.
static void put_connect(struct line *line, struct bytes json)
{
    struct wire_connect options;
    char text[CONNECT_LINE_SIZE_MAX];
    size_t len;
    if (connect_parse(json, &options)) {
        put(line, BYTES("CONNECT ..."));
        return;
    }
    redact(&options.pass);
    redact(&options.auth_token);
    redact(&options.jwt);
    redact(&options.sig);
    int error = connect_encode(&options, text, sizeof(text), &len);
    connect_deinit(&options);
    put(line, error ? BYTES("CONNECT ...") : bytes_make(text, len - 2));
}

static void redact(struct bytes *secret)
{
    if (secret->len > 0)
        *secret = REDACTED;
}

static void write_line(const struct connection *connection, enum log_level level, struct line *line)
{
    size_t max = sizeof(line->text) - 1;
    line->text[line->len < max ? line->len : max] = '\0';
    logger_write(connection->broker->options.logger, level, "%s", line->text);
}

// Header and payload lie side by side.
static void trace_payload(const struct connection *connection, const struct wire_op *op)
{
    struct bytes body = op->header.len > 0 ? bytes_make(op->header.ptr, op->header.len + op->payload.len) : op->payload;
    uint32_t max = connection->broker->options.max_traced_bytes;
    bool is_cut = max > 0 && body.len > max;
    struct line line = {.len = 0};
    put_name(&line, connection);
    put(&line, BYTES("<<- MSG_PAYLOAD: ["));
    put_quoted(&line, bytes_make(body.ptr, is_cut ? max : body.len), is_cut ? "..." : "");
    put_char(&line, ']');
    write_line(connection, LOG_TRACE, &line);
}
