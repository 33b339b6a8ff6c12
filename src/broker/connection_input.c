// SPDX-License-Identifier: Apache-2.0
// From bytes to operations: everything complete in the worker's read buffer is parsed there, in one pass and without
// copying; only the tail of an unfinished operation is kept, and then completed before the pass goes on.
#include "broker/connection.h"

#include "broker/remote_internal.h"

// A tail buffer that grew beyond this for a large payload is given back.
#define TAIL_KEPT_BYTES (64 * 1024)

static void parse_tail(struct connection *connection);
static size_t missing_len(const struct connection *connection, struct bytes data);
static void keep(struct connection *connection, struct bytes rest);

void connection_on_data(void *context, struct bytes data)
{
    struct connection *connection = context;
    connection->last_in_ms = connection->broker->now_ms;
    if (connection->tls != CONNECTION_TLS_SETTLED && connection_take_tls(connection, data))
        return;
    while (connection->tail.len > 0 && data.len > 0 && connection->state == CONNECTION_OPEN &&
           !connection->paused_for) {
        size_t n = missing_len(connection, data);
        keep(connection, bytes_make(data.ptr, n));
        data = bytes_skip(data, n);
        parse_tail(connection);
    }
    if (connection->state == CONNECTION_OPEN && !connection->paused_for)
        connection_parse(connection, &data);
    if (connection->state == CONNECTION_OPEN) {
        if (data.len > 0 && !(connection->paused_for & CONNECTION_PAUSE_DRAIN))
            keep(connection, data);
        if (connection->tail.len == 0)
            connection_release_tail(connection);
    }
}

void connection_parse(struct connection *connection, struct bytes *input)
{
    struct inlet_run *run = &connection->broker->run;
    struct bytes rest = *input;
    struct wire_op op;
    int result = 1;
    while (result > 0 && connection->state == CONNECTION_OPEN && !connection->paused_for) {
        if (connection->login == CONNECTION_LOGIN_AWAITED && rest.len > 0 &&
            !connection_login_first(connection, rest.ptr[0]))
            return;
        result = parser_next(&connection->parser, &rest, &op);
        if (result > 0 && connection->is_waiting && remote_wait_holds(connection, op.kind))
            connection_pause(connection, CONNECTION_PAUSE_INTEREST);
        if (result > 0 && !inlet_run_goes_on(run, connection, &op))
            inlet_run_end(run, connection);
        if (result > 0 && (connection->state != CONNECTION_OPEN || connection->paused_for))
            break; // parsed again when the wait is over
        *input = rest;
        if (result > 0)
            connection_operate(connection, &op);
    }
    inlet_run_end(run, connection);
    if (result < 0)
        connection_fail(connection, parser_error(&connection->parser));
}

void connection_pause(struct connection *connection, uint8_t reason)
{
    if (connection->state != CONNECTION_OPEN)
        return;
    if (!connection->paused_for) {
        list_push_back(&connection->broker->paused, &connection->paused);
        net_read_pause(connection->net);
    }
    connection->paused_for |= reason;
}

void connection_resume(struct connection *connection, uint8_t ended)
{
    list_remove(&connection->paused);
    if (connection->is_waiting)
        ended &= (uint8_t)~CONNECTION_PAUSE_INTEREST;
    connection->paused_for &= (uint8_t)~ended;
    if (connection->state != CONNECTION_CLOSED && connection->paused_for) {
        list_push_back(&connection->broker->paused, &connection->paused);
        return;
    }
    connection->paused_for = 0;
    if (connection->state == CONNECTION_CLOSED)
        return;
    parse_tail(connection);
    if (connection->state == CONNECTION_OPEN && connection->tail.len == 0)
        connection_release_tail(connection);
    if (!connection->paused_for)
        net_read_resume(connection->net);
}

void connection_release_tail(struct connection *connection)
{
    struct buffer *spare = &connection->broker->spare_tail;
    buffer_clear(&connection->tail);
    if (spare->cap == 0 && connection->tail.cap <= TAIL_KEPT_BYTES) {
        *spare = connection->tail;
        buffer_init(&connection->tail, SIZE_MAX / 2);
    } else {
        buffer_deinit(&connection->tail);
    }
}

static void parse_tail(struct connection *connection)
{
    struct bytes input = buffer_bytes(&connection->tail);
    size_t len = input.len;
    connection_parse(connection, &input);
    if (connection->state != CONNECTION_OPEN)
        return;
    buffer_consume(&connection->tail, len - input.len);
    if (connection->tail.len == 0 && connection->tail.cap > TAIL_KEPT_BYTES)
        buffer_deinit(&connection->tail);
}

// How much of `data` belongs to the unfinished operation: up to its end if that is known, else up to the end of its line.
static size_t missing_len(const struct connection *connection, struct bytes data)
{
    size_t needed = parser_needed_bytes(&connection->parser);
    if (needed > connection->tail.len) {
        size_t missing = needed - connection->tail.len;
        return missing < data.len ? missing : data.len;
    }
    // A line that never ends is refused by the parser as soon as it is too long.
    size_t line_max = parser_size_max_bytes(&connection->parser);
    size_t len = data.len < line_max ? data.len : line_max;
    const char *end = memchr(data.ptr, '\n', len);
    return end ? (size_t)(end - data.ptr) + 1 : len;
}

static void keep(struct connection *connection, struct bytes rest)
{
    struct buffer *spare = &connection->broker->spare_tail;
    if (connection->tail.cap == 0 && spare->cap > 0) {
        connection->tail = *spare;
        buffer_init(spare, SIZE_MAX / 2);
    }
    int error = buffer_append(&connection->tail, rest);
    must(error == 0); // bounded by the parser's limits plus one read buffer
}
