// SPDX-License-Identifier: Apache-2.0
// tidy: prefix filestore
// A table per message says which field goes where, so that a wrong wire type is found in one place.
#include "stan/import/filestore_record.h"

#include <stddef.h>

#include "stan/field.h"

enum kind { KIND_NONE, KIND_TEXT, KIND_U32, KIND_U64, KIND_BOOL };

struct place {
    enum kind kind;
    size_t offset;
};

#define TEXT(type, member)                                                                                             \
    {                                                                                                                  \
        KIND_TEXT, offsetof(struct type, member)                                                                       \
    }
#define U32(type, member)                                                                                              \
    {                                                                                                                  \
        KIND_U32, offsetof(struct type, member)                                                                        \
    }
#define U64(type, member)                                                                                              \
    {                                                                                                                  \
        KIND_U64, offsetof(struct type, member)                                                                        \
    }
#define BOOL(type, member)                                                                                             \
    {                                                                                                                  \
        KIND_BOOL, offsetof(struct type, member)                                                                       \
    }
#define COUNT(places) (sizeof(places) / sizeof((places)[0]))

struct change {
    uint64_t id, sequence;
};

static int decode(struct bytes from, const struct place *places, size_t count, void *to);
static void put(void *to, const struct place *place, const struct field *field);

int filestore_server_decode(struct bytes from, struct filestore_server *ret)
{
    static const struct place places[] = {
        {0},
        TEXT(filestore_server, cluster_id),
        TEXT(filestore_server, discovery),
        TEXT(filestore_server, publish),
        TEXT(filestore_server, subscribe),
        TEXT(filestore_server, unsubscribe),
        TEXT(filestore_server, close),
        TEXT(filestore_server, sub_close),
        TEXT(filestore_server, acks),
        TEXT(filestore_server, node_id),
    };
    *ret = (struct filestore_server){0};
    return decode(from, places, COUNT(places), ret);
}

int filestore_client_decode(struct bytes from, struct filestore_client *ret)
{
    static const struct place places[] = {
        {0},
        TEXT(filestore_client, id),
        TEXT(filestore_client, inbox),
        TEXT(filestore_client, connection_id),
        U32(filestore_client, protocol),
        U32(filestore_client, ping_interval_s),
        U32(filestore_client, ping_max_out),
    };
    *ret = (struct filestore_client){0};
    return decode(from, places, COUNT(places), ret);
}

int filestore_message_decode(struct bytes from, struct filestore_message *ret)
{
    static const struct place places[] = {
        {0},
        U64(filestore_message, sequence),
        TEXT(filestore_message, subject),
        TEXT(filestore_message, reply),
        TEXT(filestore_message, data),
        U64(filestore_message, time_ns),
    };
    *ret = (struct filestore_message){0};
    return decode(from, places, COUNT(places), ret);
}

int filestore_sub_decode(struct bytes from, struct filestore_sub *ret)
{
    static const struct place places[] = {
        {0},
        U64(filestore_sub, id),
        TEXT(filestore_sub, client_id),
        TEXT(filestore_sub, group),
        TEXT(filestore_sub, inbox),
        TEXT(filestore_sub, ack_inbox),
        U32(filestore_sub, max_in_flight),
        U32(filestore_sub, ack_wait_s),
        TEXT(filestore_sub, durable),
        U64(filestore_sub, last_sent),
        BOOL(filestore_sub, is_durable),
        BOOL(filestore_sub, is_closed),
    };
    *ret = (struct filestore_sub){0};
    return decode(from, places, COUNT(places), ret);
}

int filestore_sub_change_decode(struct bytes from, uint64_t *ret_id, uint64_t *ret_sequence)
{
    static const struct place places[] = {{0}, U64(change, id), U64(change, sequence)};
    struct change change = {0};
    int error = decode(from, places, COUNT(places), &change);
    if (error)
        return error;
    *ret_id = change.id;
    *ret_sequence = change.sequence;
    return 0;
}

static int decode(struct bytes from, const struct place *places, size_t count, void *to)
{
    while (from.len) {
        struct field field;
        int error = field_next(&from, &field);
        if (error)
            return error;
        if (field.number >= count)
            continue;
        const struct place *place = &places[field.number];
        if (place->kind != KIND_NONE && field.type != (place->kind == KIND_TEXT ? FIELD_BYTES : FIELD_VARINT))
            return ERR_PROTOCOL;
        put(to, place, &field);
    }
    return 0;
}

static void put(void *to, const struct place *place, const struct field *field)
{
    char *at = (char *)to + place->offset;
    uint32_t number = field->value > INT32_MAX ? INT32_MAX : (uint32_t)field->value;
    bool truth = field->value != 0;
    switch (place->kind) {
    case KIND_NONE: break;
    case KIND_TEXT: memcpy(at, &field->bytes, sizeof(field->bytes)); break;
    case KIND_U32: memcpy(at, &number, sizeof(number)); break;
    case KIND_U64: memcpy(at, &field->value, sizeof(field->value)); break;
    case KIND_BOOL: memcpy(at, &truth, sizeof(truth)); break;
    }
}
