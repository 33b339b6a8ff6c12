// SPDX-License-Identifier: Apache-2.0
#include "client/envelope.h"

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5, VARINT_BYTES = 10 };

struct field {
    uint64_t number, value;
    unsigned type;
    struct weir_bytes bytes;
};

static size_t varint_size(uint64_t value);
static char *put_varint(char *to, uint64_t value);
static size_t bytes_size(struct weir_bytes bytes);
static char *put_bytes(char *to, unsigned number, struct weir_bytes bytes);
static bool next_varint(struct weir_bytes *from, uint64_t *ret);
static bool next_field(struct weir_bytes *from, struct field *ret);
static void take_delivery_field(struct weir_envelope_delivery *delivery, const struct field *field);

size_t weir_envelope_publish_size(const struct weir_envelope_publish *publish)
{
    return bytes_size(publish->client_id) + bytes_size(publish->id) + bytes_size(publish->channel) +
           bytes_size(publish->reply) + bytes_size(publish->data) + bytes_size(publish->connection_id);
}

void weir_envelope_publish_encode(char *to, const struct weir_envelope_publish *publish)
{
    to = put_bytes(to, 1, publish->client_id);
    to = put_bytes(to, 2, publish->id);
    to = put_bytes(to, 3, publish->channel);
    to = put_bytes(to, 4, publish->reply);
    to = put_bytes(to, 5, publish->data);
    put_bytes(to, 6, publish->connection_id);
}

int weir_envelope_answer_decode(struct weir_bytes from, struct weir_envelope_answer *ret)
{
    struct weir_envelope_answer answer = {0};
    struct field field;
    // Nearly all are just an id of less than 128 bytes: its tag, its length, and nothing behind it.
    if (from.len >= 2 && from.ptr[0] == (1 << 3 | BYTES) && (size_t)from.ptr[1] == from.len - 2 &&
        from.len - 2 < 0x80) {
        ret->id = (struct weir_bytes){from.ptr + 2, from.len - 2};
        ret->error = (struct weir_bytes){NULL, 0};
        return 0;
    }
    while (from.len > 0) {
        if (!next_field(&from, &field))
            return WEIR_ERR_PROTOCOL;
        if (field.type == BYTES && field.number == 1)
            answer.id = field.bytes;
        else if (field.type == BYTES && field.number == 2)
            answer.error = field.bytes;
    }
    *ret = answer;
    return 0;
}

int weir_envelope_delivery_decode(struct weir_bytes from, struct weir_envelope_delivery *ret)
{
    struct weir_envelope_delivery delivery = {.data.ptr = ""};
    struct field field;
    while (from.len > 0) {
        if (!next_field(&from, &field))
            return WEIR_ERR_PROTOCOL;
        take_delivery_field(&delivery, &field);
    }
    if (delivery.sequence == 0)
        return WEIR_ERR_PROTOCOL;
    *ret = delivery;
    return 0;
}

size_t weir_envelope_ack_encode(char *to, struct weir_bytes channel, uint64_t sequence)
{
    char *end = put_bytes(to, 1, channel);
    *end++ = 2 << 3 | VARINT;
    return (size_t)(put_varint(end, sequence) - to);
}

static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static char *put_varint(char *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (char)(value | 0x80);
    *to++ = (char)value;
    return to;
}

static size_t bytes_size(struct weir_bytes bytes)
{
    return bytes.len > 0 ? 1 + varint_size(bytes.len) + bytes.len : 0;
}

// Field numbers here are under 16, so that a tag is one byte.
static char *put_bytes(char *to, unsigned number, struct weir_bytes bytes)
{
    if (bytes.len == 0)
        return to;
    *to++ = (char)(number << 3 | BYTES);
    to = put_varint(to, bytes.len);
    memcpy(to, bytes.ptr, bytes.len);
    return to + bytes.len;
}

static bool next_varint(struct weir_bytes *from, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < from->len && i < VARINT_BYTES; i++) {
        unsigned char byte = (unsigned char)from->ptr[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            from->ptr += i + 1;
            from->len -= i + 1;
            *ret = value;
            return true;
        }
    }
    return false;
}

static bool next_field(struct weir_bytes *from, struct field *ret)
{
    uint64_t tag, len;
    if (!next_varint(from, &tag) || tag >> 3 == 0)
        return false;
    *ret = (struct field){.number = tag >> 3, .type = tag & 7};
    switch (ret->type) {
    case VARINT: return next_varint(from, &ret->value);
    case FIXED64:
    case FIXED32: len = ret->type == FIXED64 ? 8 : 4; break;
    case BYTES:
        if (!next_varint(from, &len))
            return false;
        break;
    default: return false;
    }
    if (len > from->len)
        return false;
    ret->bytes = (struct weir_bytes){from->ptr, (size_t)len};
    from->ptr += len;
    from->len -= (size_t)len;
    return true;
}

static void take_delivery_field(struct weir_envelope_delivery *delivery, const struct field *field)
{
    if (field->type == BYTES) {
        if (field->number == 3)
            delivery->reply = field->bytes;
        else if (field->number == 4)
            delivery->data = field->bytes;
    } else if (field->type == VARINT) {
        if (field->number == 1)
            delivery->sequence = field->value;
        else if (field->number == 5)
            delivery->time_ns = (int64_t)field->value;
        else if (field->number == 6)
            delivery->redelivered = field->value != 0;
        else if (field->number == 7)
            delivery->redeliveries = (uint32_t)field->value;
    }
}
