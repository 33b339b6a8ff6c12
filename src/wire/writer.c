// SPDX-License-Identifier: Apache-2.0
// Straight appends; the caller has made room.
#include "wire/writer.h"

#include "base/number.h"

static char *put_msg_end(char *at, struct bytes reply, size_t payload_len);
static char *put_hmsg_end(char *at, struct bytes reply, size_t header_len, size_t payload_len);
static char *put(char *at, struct bytes bytes);
static char *put_word(char *at, struct bytes bytes);
static char *put_printable(char *at, struct bytes bytes);

char *writer_msg(char *at, struct bytes subject, struct bytes sid, struct bytes reply, bool has_header,
                 size_t header_len, size_t payload_len)
{
    at = put(at, has_header ? BYTES("HMSG ") : BYTES("MSG "));
    at = put_word(put_word(at, subject), sid);
    return has_header ? put_hmsg_end(at, reply, header_len, payload_len) : put_msg_end(at, reply, payload_len);
}

char *writer_number(char *at, uint64_t number)
{
    if (number < 10) {
        *at = (char)('0' + number);
        return at + 1;
    }
    return at + number_format_u64(at, number);
}

char *writer_error(char *at, enum wire_error error, struct bytes detail)
{
    struct bytes text = bytes_from_string(wire_error_text(error));
    bool takes_detail = text.len > 0 && text.ptr[text.len - 1] == ' ';
    at = put(put(at, BYTES("-ERR '")), text);
    if (takes_detail) {
        size_t room = WRITER_ERROR_LEN_MAX - text.len - sizeof("-ERR '\"\"'\r\n");
        *at++ = '"';
        at = put_printable(at, bytes_make(detail.ptr, detail.len < room ? detail.len : room));
        *at++ = '"';
    }
    return put(at, BYTES("'\r\n"));
}

char *writer_pub(char *at, struct bytes subject, struct bytes reply, size_t payload_len)
{
    return put_msg_end(put_word(put(at, BYTES("PUB ")), subject), reply, payload_len);
}

char *writer_hpub(char *at, struct bytes subject, struct bytes reply, size_t header_len, size_t payload_len)
{
    return put_hmsg_end(put_word(put(at, BYTES("HPUB ")), subject), reply, header_len, payload_len);
}

char *writer_sub(char *at, struct bytes subject, struct bytes queue, uint64_t sid)
{
    at = put_word(put(at, BYTES("SUB ")), subject);
    if (queue.len > 0)
        at = put_word(at, queue);
    return put(writer_number(at, sid), BYTES("\r\n"));
}

char *writer_unsub(char *at, uint64_t sid, uint64_t max)
{
    at = writer_number(put(at, BYTES("UNSUB ")), sid);
    if (max > 0) {
        *at++ = ' ';
        at = writer_number(at, max);
    }
    return put(at, BYTES("\r\n"));
}

static char *put_msg_end(char *at, struct bytes reply, size_t payload_len)
{
    if (reply.len > 0)
        at = put_word(at, reply);
    return put(writer_number(at, payload_len), BYTES("\r\n"));
}

static char *put_hmsg_end(char *at, struct bytes reply, size_t header_len, size_t payload_len)
{
    if (reply.len > 0)
        at = put_word(at, reply);
    at = writer_number(at, header_len);
    *at++ = ' ';
    return put(writer_number(at, header_len + payload_len), BYTES("\r\n"));
}

static char *put(char *at, struct bytes bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}

static char *put_word(char *at, struct bytes bytes)
{
    at = put(at, bytes);
    *at++ = ' ';
    return at;
}

// What a client sent goes back to it on one line.
static char *put_printable(char *at, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        *at++ = (unsigned char)bytes.ptr[i] < ' ' ? '?' : bytes.ptr[i];
    return at;
}
