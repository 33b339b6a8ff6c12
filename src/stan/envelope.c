// SPDX-License-Identifier: Apache-2.0
#include "stan/envelope.h"

#include "base/varint.h"
#include "stan/field.h"

static inline bool short_field(struct bytes *from, struct field *ret);
static char *put_bytes(char *to, uint32_t number, struct bytes value);
static char *put_varint(char *to, uint32_t number, uint64_t value);

int envelope_publish_decode(struct bytes from, struct envelope_publish *ret)
{
    *ret = (struct envelope_publish){0};
    struct bytes *const known[] = {NULL,        &ret->client_id, &ret->guid,         &ret->subject,
                                   &ret->reply, &ret->data,      &ret->connection_id};
    while (from.len) {
        struct field field;
        if (short_field(&from, &field)) {
            if (field.number <= 6)
                *known[field.number] = field.bytes;
            continue;
        }
        int error = field_next(&from, &field);
        if (error)
            return error;
        bool ours = field.number <= 6 || field.number == 10;
        if (ours && field.type != FIELD_BYTES)
            return ERR_PROTOCOL;
        if (field.number <= 6)
            *known[field.number] = field.bytes;
    }
    return 0;
}

int envelope_ack_decode(struct bytes from, struct envelope_ack *ret)
{
    *ret = (struct envelope_ack){0};
    while (from.len) {
        struct field field;
        int error = field_next(&from, &field);
        if (error)
            return error;
        if (field.number == 1) {
            if (field.type != FIELD_BYTES)
                return ERR_PROTOCOL;
            ret->subject = field.bytes;
        } else if (field.number == 2) {
            if (field.type != FIELD_VARINT)
                return ERR_PROTOCOL;
            ret->sequence = field.value;
        }
    }
    return 0;
}

size_t envelope_pub_ack_encode(char *to, struct bytes guid, struct bytes error)
{
    char *at = put_bytes(to, 1, guid);
    at = put_bytes(at, 2, error);
    return (size_t)(at - to);
}

size_t envelope_head_encode(char *to, const struct envelope_delivery *delivery)
{
    char *at = put_varint(to, 1, delivery->sequence);
    at = put_bytes(at, 2, delivery->subject);
    at = put_bytes(at, 3, delivery->reply);
    if (delivery->data_len) {
        *at++ = 4 << 3 | FIELD_BYTES;
        at = varint_put(at, delivery->data_len);
    }
    return (size_t)(at - to);
}

size_t envelope_tail_encode(char *to, const struct envelope_delivery *delivery)
{
    char *at = put_varint(to, 5, delivery->time_ns);
    at = put_varint(at, 6, delivery->redelivery_count > 0);
    at = put_varint(at, 7, delivery->redelivery_count);
    return (size_t)(at - to);
}

// Takes off a field of bytes whose tag and length have one byte each, as nearly all have; false: the front is something else.
static inline bool short_field(struct bytes *from, struct field *ret)
{
    if (from->len < 2)
        return false;
    uint8_t tag = (uint8_t)from->ptr[0], length = (uint8_t)from->ptr[1];
    if ((tag & 0x87) != FIELD_BYTES || tag < 8 || length >= 0x80 || length > from->len - 2)
        return false;
    ret->number = tag >> 3;
    ret->bytes = bytes_make(from->ptr + 2, length);
    *from = bytes_skip(*from, 2 + (size_t)length);
    return true;
}

// As proto3: an empty value is not written. Field numbers below 16.
static char *put_bytes(char *to, uint32_t number, struct bytes value)
{
    if (value.len == 0)
        return to;
    *to++ = (char)(number << 3 | FIELD_BYTES);
    to = varint_put(to, value.len);
    memcpy(to, value.ptr, value.len);
    return to + value.len;
}

static char *put_varint(char *to, uint32_t number, uint64_t value)
{
    if (value == 0)
        return to;
    *to++ = (char)(number << 3 | FIELD_VARINT);
    return varint_put(to, value);
}
