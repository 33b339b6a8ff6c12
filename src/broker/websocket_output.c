// SPDX-License-Identifier: Apache-2.0
// From a stream of bytes to frames. What the kernel does not take of a frame that was begun is kept here; nothing else is.
#include "base/must.h"
#include "broker/websocket_internal.h"

#define PARTS_MAX       64
#define OUT_CONTROL_MAX (WEBSOCKET_FRAME_MAX + 16 * 1024) // more than this waiting: no more control frames

// A run of bytes in the caller's parts.
struct cursor {
    const struct bytes *parts;
    size_t count;
    size_t offset; // in the first
};

static size_t gather(struct cursor *cursor, struct bytes ret_parts[PARTS_MAX], size_t *ret_count);
static void write_frame(struct websocket_conn *conn, struct bytes *parts, size_t count, size_t len);
static bool deflate_frame(struct websocket_conn *conn, const struct bytes *parts, size_t count, size_t len);
static void write_parts(struct websocket_conn *conn, const struct bytes *parts, size_t count);

size_t websocket_output(struct websocket_conn *conn, const struct bytes *parts, size_t count)
{
    struct cursor cursor = {parts, count, 0};
    size_t taken = 0;
    while (cursor.count > 0) {
        if (conn->lower_blocked) {
            conn->inner_blocked = true;
            return taken;
        }
        struct bytes frame[1 + PARTS_MAX];
        size_t frame_count;
        size_t len = gather(&cursor, frame + 1, &frame_count);
        if (len > 0 && conn->state == WEBSOCKET_OPEN)
            write_frame(conn, frame, frame_count, len);
        taken += len;
    }
    return taken;
}

void websocket_output_control(struct websocket_conn *conn, enum websocket_opcode opcode, struct bytes payload)
{
    char header[WEBSOCKET_HEADER_SIZE_MAX];
    if (conn->out.len > OUT_CONTROL_MAX)
        return; // a peer that asks and does not read
    size_t header_len = websocket_header_encode(header, opcode, false, payload.len);
    write_parts(conn, (struct bytes[]){bytes_make(header, header_len), payload}, 2);
}

void websocket_output_status(struct websocket_conn *conn, enum websocket_status status, const char *reason)
{
    char payload[WEBSOCKET_CONTROL_SIZE_MAX];
    size_t len = reason ? strnlen(reason, sizeof(payload) - 2) : 0;
    websocket_status_encode(payload, status);
    if (len > 0)
        memcpy(payload + 2, reason, len);
    websocket_output_control(conn, WEBSOCKET_CLOSE, bytes_make(payload, 2 + len));
}

void websocket_on_writable(void *context)
{
    struct websocket_conn *conn = context;
    if (conn->state == WEBSOCKET_CLOSING)
        return;
    conn->lower_blocked = false;
    if (conn->out.len > 0) {
        struct bytes rest = buffer_bytes(&conn->out);
        size_t taken = net_write(conn->lower, &rest, 1);
        buffer_consume(&conn->out, taken);
        conn->lower_blocked = conn->out.len > 0;
        buffer_shrink(&conn->out);
    }
    if (!conn->lower_blocked && conn->inner_blocked && conn->state == WEBSOCKET_OPEN) {
        conn->inner_blocked = false;
        conn->websocket->options.inner->on_writable(conn->context);
    }
}

// The next bytes for one frame; advances the cursor.
static size_t gather(struct cursor *cursor, struct bytes ret_parts[PARTS_MAX], size_t *ret_count)
{
    size_t len = 0;
    size_t count = 0;
    while (cursor->count > 0 && count < PARTS_MAX && len < WEBSOCKET_FRAME_MAX) {
        struct bytes part = bytes_skip(*cursor->parts, cursor->offset);
        size_t room = WEBSOCKET_FRAME_MAX - len;
        size_t n = part.len < room ? part.len : room;
        ret_parts[count++] = bytes_make(part.ptr, n);
        len += n;
        cursor->offset += n;
        if (n == part.len) {
            cursor->parts++;
            cursor->count--;
            cursor->offset = 0;
        }
    }
    *ret_count = count;
    return len;
}

// `parts` has a free element in front of the `count` that hold the payload.
static void write_frame(struct websocket_conn *conn, struct bytes *parts, size_t count, size_t len)
{
    char header[WEBSOCKET_HEADER_SIZE_MAX];
    bool compressed = conn->compressed && deflate_frame(conn, parts + 1, count, len);
    if (compressed) {
        parts[1] = buffer_bytes(&conn->websocket->deflated);
        len = parts[1].len;
        count = 1;
    }
    parts[0] = bytes_make(header, websocket_header_encode(header, WEBSOCKET_BINARY, compressed, len));
    write_parts(conn, parts, 1 + count);
}

// False when that would not make it shorter.
static bool deflate_frame(struct websocket_conn *conn, const struct bytes *parts, size_t count, size_t len)
{
    struct websocket *websocket = conn->websocket;
    if (len < WEBSOCKET_DEFLATE_MIN)
        return false;
    if (!websocket->deflater)
        websocket->deflater = deflater_new();
    return deflater_message(websocket->deflater, parts, count, &websocket->deflated) == 0 &&
           websocket->deflated.len < len;
}

static void write_parts(struct websocket_conn *conn, const struct bytes *parts, size_t count)
{
    size_t taken = 0;
    if (!conn->lower_blocked)
        taken = net_write(conn->lower, parts, count);
    for (size_t i = 0; i < count; i++) {
        size_t n = taken < parts[i].len ? taken : parts[i].len;
        taken -= n;
        if (n == parts[i].len)
            continue;
        must(buffer_append(&conn->out, bytes_skip(parts[i], n)) == 0); // one frame, and some control frames
        conn->lower_blocked = true;
    }
}
