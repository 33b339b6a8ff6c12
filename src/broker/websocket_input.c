// SPDX-License-Identifier: Apache-2.0
// From frames to a stream of bytes. All clear bytes of one read are gathered and handed over at once. The inner handler may
// say "pause" whenever it is called, and gets nothing more then: the rest stays here, as it came or, of a compressed message, packed.
// So does what one connection's messages inflate to beyond INFLATED_AT_ONCE: it waits for the next turn.
#include "base/must.h"
#include "broker/websocket_internal.h"

// Handed over in one call, about; also how much is inflated at a time.
#define PIECE_SIZE (64 * 1024)
// A read can inflate to a thousand times its size, all of it operations: seconds in which nobody else would be served.
#define INFLATED_AT_ONCE (1024 * 1024)

static void read_frames(struct websocket_conn *conn, struct bytes *input);
static void read_on_later(struct websocket_conn *conn);
static int read_event(struct websocket_conn *conn, struct bytes *input);
static int take_data(struct websocket_conn *conn, const struct websocket_event *event);
static int inflate_some(struct websocket_conn *conn);
static void hand_over(struct websocket_conn *conn);
static void finish(struct websocket_conn *conn, const struct websocket_event *event);
static void fail(struct websocket_conn *conn, int error);

void websocket_input(struct websocket_conn *conn, struct bytes data)
{
    if (conn->in.len > 0) {
        must(buffer_append(&conn->in, data) == 0); // a pause stops the reads below: at most one more comes
        data = buffer_bytes(&conn->in);
    }
    struct bytes rest = data;
    read_frames(conn, &rest);
    if (conn->in.len > 0)
        buffer_consume(&conn->in, data.len - rest.len);
    else if (rest.len > 0)
        must(buffer_append(&conn->in, rest) == 0);
    buffer_shrink(&conn->in);
}

void websocket_conn_resume(struct websocket_conn *conn)
{
    if (conn->state == WEBSOCKET_OPEN)
        websocket_input(conn, (struct bytes){0});
    if (conn->state == WEBSOCKET_OPEN && !conn->paused && !list_is_linked(&conn->link))
        net_read_resume(conn->lower);
}

void websocket_conn_release_inflater(struct websocket_conn *conn)
{
    struct websocket *websocket = conn->websocket;
    if (websocket->spare_inflater)
        inflater_free(conn->inflater);
    else
        websocket->spare_inflater = conn->inflater;
    conn->inflater = NULL;
}

static void read_frames(struct websocket_conn *conn, struct bytes *input)
{
    int error = 0;
    size_t inflated = 0;
    while (!error && conn->state == WEBSOCKET_OPEN && !conn->paused && inflated < INFLATED_AT_ONCE) {
        const struct buffer *scratch = &conn->websocket->scratch;
        bool unpacking = conn->packed.len > 0 || conn->packed_last;
        size_t before = scratch->len;
        error = unpacking ? inflate_some(conn) : read_event(conn, input);
        inflated += unpacking ? scratch->len - before : 0;
        if (scratch->len >= PIECE_SIZE || error || inflated >= INFLATED_AT_ONCE)
            hand_over(conn);
    }
    if (error && error != ERR_AGAIN)
        fail(conn, error);
    if (!error && conn->state == WEBSOCKET_OPEN && !conn->paused)
        read_on_later(conn);
    if (conn->state != WEBSOCKET_OPEN)
        *input = bytes_skip(*input, input->len); // nobody reads it any more
}

// At the turn's end. Until then the peer may send, and is not heard.
static void read_on_later(struct websocket_conn *conn)
{
    net_read_pause(conn->lower);
    if (!list_is_linked(&conn->link))
        list_push_back(&conn->websocket->resumed, &conn->link);
}

// ERR_AGAIN: all input was taken.
static int read_event(struct websocket_conn *conn, struct bytes *input)
{
    struct websocket_event event;
    int error = input->len > 0 ? websocket_reader_next(&conn->reader, input, &event) : ERR_AGAIN;
    if (error)
        return error;
    switch (event.opcode) {
    case WEBSOCKET_PING: websocket_output_control(conn, WEBSOCKET_PONG, event.bytes); return 0;
    case WEBSOCKET_CLOSE: finish(conn, &event); return 0;
    case WEBSOCKET_PONG: return 0;
    default: return take_data(conn, &event);
    }
}

static int take_data(struct websocket_conn *conn, const struct websocket_event *event)
{
    struct buffer *to = event->compressed ? &conn->packed : &conn->websocket->scratch;
    char *at = buffer_reserve(to, event->bytes.len);
    must(at || event->bytes.len == 0);
    if (event->bytes.len > 0)
        websocket_unmask(at, event->bytes, event->mask);
    buffer_commit(to, event->bytes.len);
    conn->packed_last = event->compressed && event->last;
    return 0;
}

static int inflate_some(struct websocket_conn *conn)
{
    struct websocket *websocket = conn->websocket;
    if (!conn->inflater) {
        conn->inflater = websocket->spare_inflater ? websocket->spare_inflater : inflater_new();
        websocket->spare_inflater = NULL;
        inflater_begin(conn->inflater, websocket->options.message_size_max);
    }
    struct bytes rest = buffer_bytes(&conn->packed);
    char *to = buffer_reserve(&websocket->scratch, PIECE_SIZE);
    size_t len;
    int error = inflater_step(conn->inflater, &rest, conn->packed_last, to, PIECE_SIZE, &len);
    if (error)
        return error;
    buffer_commit(&websocket->scratch, len);
    buffer_consume(&conn->packed, conn->packed.len - rest.len);
    if (conn->packed.len > 0 || len == PIECE_SIZE)
        return 0;
    buffer_shrink(&conn->packed);
    if (conn->packed_last) {
        conn->packed_last = false;
        websocket_conn_release_inflater(conn);
    }
    return 0;
}

static void hand_over(struct websocket_conn *conn)
{
    struct websocket *websocket = conn->websocket;
    struct bytes bytes = buffer_bytes(&websocket->scratch);
    if (bytes.len == 0)
        return;
    websocket->called = true;
    websocket->options.inner->on_data(conn->context, bytes);
    buffer_clear(&websocket->scratch);
    if (websocket->scratch.cap > 4 * (size_t)PIECE_SIZE)
        buffer_deinit(&websocket->scratch);
}

// The peer said goodbye: so do we, with its status, and close.
static void finish(struct websocket_conn *conn, const struct websocket_event *event)
{
    hand_over(conn);
    if (conn->state != WEBSOCKET_OPEN)
        return;
    websocket_output_control(conn, WEBSOCKET_CLOSE, event->bytes);
    websocket_conn_end(conn);
}

static void fail(struct websocket_conn *conn, int error)
{
    if (conn->state != WEBSOCKET_OPEN)
        return;
    logger_write(conn->websocket->options.logger, LOG_DEBUG, "websocket from %s: %s", conn->peer.ip, error_text(error));
    websocket_output_status(conn,
                            error == ERR_TOO_BIG   ? WEBSOCKET_STATUS_TOO_BIG
                            : error == ERR_CORRUPT ? WEBSOCKET_STATUS_INVALID_DATA
                                                   : WEBSOCKET_STATUS_PROTOCOL_ERROR,
                            NULL);
    websocket_conn_end(conn);
}
