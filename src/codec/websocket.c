// SPDX-License-Identifier: Apache-2.0
// A frame: FIN, RSV1…3 and opcode; MASK and a length of 7 bits; 0, 2 or 8 more bytes of length, most significant first; 4 bytes of
// mask; payload.
#include "codec/websocket.h"

#include "base/endian.h"
#include "base/must.h"

enum { FINAL = 0x80, COMPRESSED = 0x40, RESERVED = 0x30, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f };
enum { LENGTH_16 = 126, LENGTH_64 = 127 };

static size_t header_size(const struct websocket_reader *reader);
static int take_header(struct websocket_reader *reader, struct bytes *input);
static int check_first(struct websocket_reader *reader, uint8_t byte);
static int read_length(struct websocket_reader *reader);
static bool take_data(struct websocket_reader *reader, struct bytes *input, struct websocket_event *ret_event);
static int take_control(struct websocket_reader *reader, struct bytes *input, struct websocket_event *ret_event);
static int read_status(struct websocket_event *event);
static bool is_control(uint8_t opcode);
static void rotate(uint8_t mask[4], size_t by);

void websocket_reader_init(struct websocket_reader *reader, bool allow_compressed)
{
    *reader = (struct websocket_reader){.allow_compressed = allow_compressed};
}

int websocket_reader_next(struct websocket_reader *reader, struct bytes *input, struct websocket_event *ret_event)
{
    for (;;) {
        int error = reader->has_frame ? 0 : take_header(reader, input);
        if (error)
            return error;
        if (is_control(reader->opcode))
            return take_control(reader, input, ret_event);
        if (take_data(reader, input, ret_event))
            return 0;
        if (reader->has_frame)
            return ERR_AGAIN;
    }
}

void websocket_unmask(char *to, struct bytes masked, const uint8_t mask[4])
{
    uint64_t wide;
    uint8_t twice[8];
    for (size_t i = 0; i < 8; i++)
        twice[i] = mask[i & 3];
    memcpy(&wide, twice, sizeof(wide));
    size_t at = 0;
    for (; at + 8 <= masked.len; at += 8) {
        uint64_t word = bytes_load64(masked.ptr + at) ^ wide;
        memcpy(to + at, &word, sizeof(word));
    }
    for (; at < masked.len; at++)
        to[at] = (char)((uint8_t)masked.ptr[at] ^ mask[at & 3]);
}

size_t websocket_header_encode(char ret_header[WEBSOCKET_HEADER_SIZE_MAX], enum websocket_opcode opcode,
                               bool compressed, uint64_t len)
{
    ret_header[0] = (char)(FINAL | (compressed ? COMPRESSED : 0) | opcode);
    if (len < LENGTH_16) {
        ret_header[1] = (char)len;
        return 2;
    }
    if (len <= UINT16_MAX) {
        ret_header[1] = LENGTH_16;
        put_u16(ret_header + 2, __builtin_bswap16((uint16_t)len));
        return 4;
    }
    ret_header[1] = LENGTH_64;
    put_u64(ret_header + 2, __builtin_bswap64(len));
    return 10;
}

void websocket_status_encode(char ret_payload[2], enum websocket_status status)
{
    put_u16(ret_payload, __builtin_bswap16((uint16_t)status));
}

// Known from the first two bytes; before them, two.
static size_t header_size(const struct websocket_reader *reader)
{
    if (reader->header_len < 2)
        return 2;
    uint8_t length = (uint8_t)reader->header[1] & LENGTH;
    return 2 + (length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0) + 4;
}

static int take_header(struct websocket_reader *reader, struct bytes *input)
{
    while (reader->header_len < header_size(reader)) {
        if (input->len == 0)
            return ERR_AGAIN;
        uint8_t byte = (uint8_t)input->ptr[0];
        reader->header[reader->header_len++] = (char)byte;
        *input = bytes_skip(*input, 1);
        int error = reader->header_len == 1 ? check_first(reader, byte) : 0;
        if (!error && reader->header_len == 2 && !(byte & MASKED))
            error = ERR_PROTOCOL; // a client masks, always
        if (error)
            return error;
    }
    int error = read_length(reader);
    if (error)
        return error;
    memcpy(reader->mask, reader->header + reader->header_len - 4, 4);
    reader->header_len = 0;
    reader->control_len = 0;
    reader->has_frame = true;
    return 0;
}

static int check_first(struct websocket_reader *reader, uint8_t byte)
{
    uint8_t opcode = byte & OPCODE;
    bool compressed = byte & COMPRESSED;
    reader->final = byte & FINAL;
    reader->opcode = opcode;
    if (byte & RESERVED)
        return ERR_PROTOCOL;
    if (opcode == WEBSOCKET_CLOSE || opcode == WEBSOCKET_PING || opcode == WEBSOCKET_PONG)
        return reader->final && !compressed ? 0 : ERR_PROTOCOL;
    if (opcode == WEBSOCKET_CONTINUATION) {
        if (!reader->in_message || compressed)
            return ERR_PROTOCOL;
        reader->in_message = !reader->final;
        return 0;
    }
    bool known = opcode == WEBSOCKET_TEXT || opcode == WEBSOCKET_BINARY;
    if (!known || reader->in_message || (compressed && !reader->allow_compressed))
        return ERR_PROTOCOL;
    reader->compressed = compressed;
    reader->in_message = !reader->final;
    return 0;
}

static int read_length(struct websocket_reader *reader)
{
    uint8_t length = (uint8_t)reader->header[1] & LENGTH;
    reader->left = length;
    if (is_control(reader->opcode) && length > WEBSOCKET_CONTROL_SIZE_MAX)
        return ERR_PROTOCOL;
    if (length == LENGTH_16) {
        reader->left = __builtin_bswap16(get_u16(reader->header + 2));
        return reader->left < LENGTH_16 ? ERR_PROTOCOL : 0;
    }
    if (length == LENGTH_64) {
        reader->left = __builtin_bswap64(get_u64(reader->header + 2));
        return reader->left <= UINT16_MAX || reader->left > INT64_MAX ? ERR_PROTOCOL : 0;
    }
    return 0;
}

// False when there is nothing to tell: no bytes, or an empty frame in the middle of a message.
static bool take_data(struct websocket_reader *reader, struct bytes *input, struct websocket_event *ret_event)
{
    size_t len = input->len < reader->left ? input->len : (size_t)reader->left;
    reader->left -= len;
    reader->has_frame = reader->left > 0;
    bool last = reader->final && reader->left == 0;
    *ret_event = (struct websocket_event){
        .opcode = WEBSOCKET_BINARY,
        .bytes = bytes_make(input->ptr, len),
        .compressed = reader->compressed,
        .last = last,
    };
    memcpy(ret_event->mask, reader->mask, sizeof(reader->mask));
    rotate(reader->mask, len);
    *input = bytes_skip(*input, len);
    return len > 0 || last;
}

static int take_control(struct websocket_reader *reader, struct bytes *input, struct websocket_event *ret_event)
{
    size_t len = input->len < reader->left ? input->len : (size_t)reader->left;
    must(reader->control_len + len <= sizeof(reader->control));
    websocket_unmask(reader->control + reader->control_len, bytes_make(input->ptr, len), reader->mask);
    rotate(reader->mask, len);
    reader->control_len = (uint8_t)(reader->control_len + len);
    reader->left -= len;
    *input = bytes_skip(*input, len);
    if (reader->left > 0)
        return ERR_AGAIN;
    reader->has_frame = false;
    *ret_event = (struct websocket_event){
        .opcode = (enum websocket_opcode)reader->opcode,
        .bytes = bytes_make(reader->control, reader->control_len),
        .status = WEBSOCKET_STATUS_NONE,
    };
    return reader->opcode == WEBSOCKET_CLOSE ? read_status(ret_event) : 0;
}

static int read_status(struct websocket_event *event)
{
    if (event->bytes.len == 0)
        return 0;
    if (event->bytes.len == 1)
        return ERR_PROTOCOL;
    event->status = __builtin_bswap16(get_u16(event->bytes.ptr));
    return 0;
}

static bool is_control(uint8_t opcode)
{
    return opcode >= WEBSOCKET_CLOSE;
}

// So that mask[0] belongs to the byte that follows.
static void rotate(uint8_t mask[4], size_t by)
{
    uint8_t old[4];
    memcpy(old, mask, sizeof(old));
    for (size_t i = 0; i < 4; i++)
        mask[i] = old[(i + by) & 3];
}
