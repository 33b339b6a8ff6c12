// SPDX-License-Identifier: Apache-2.0
// The bodies of the engine's records; RECORDS.md has them as tables and is to be changed with this file. Encoders append to a
// buffer without a limit of their own; decoders give views into the record and check every length.
#include "base/varint.h"
#include "stream/engine_internal.h"

enum {
    STREAM_SIZE = 50,
    STREAM_MORE_SIZE = 8,
    CONSUMER_SIZE = 20,
    MEMBER_SIZE = 18,
    FLAG_DURABLE = 1,
    FLAG_GROUP = 2,
    FLAG_DISCARD_NEW = 1
};

static int put_more(struct buffer *to, const struct stream_config *config);
static int get_more(struct bytes from, struct stream_config *config);

bool codec_stream_has_more(const struct stream_config *config)
{
    return config->discard_new || config->max_deliver || config->backoff_count || config->dead_letter.len;
}

int codec_put_stream(struct buffer *to, const struct stream_config *config)
{
    char *at = buffer_reserve(to, STREAM_SIZE + config->name.len);
    if (!at)
        return ERR_TOO_BIG;
    put_u32(at, config->account);
    put_u32(at + 4, config->max_consumers);
    put_u64(at + 8, config->max_msgs);
    put_u64(at + 16, config->max_bytes);
    put_u64(at + 24, config->max_age_ns);
    put_u64(at + 32, config->duplicate_window_ns);
    put_u64(at + 40, config->disconnect_grace_ns);
    put_u16(at + 48, (uint16_t)config->name.len);
    memcpy(at + STREAM_SIZE, config->name.ptr, config->name.len);
    buffer_commit(to, STREAM_SIZE + config->name.len);
    return codec_stream_has_more(config) ? put_more(to, config) : 0;
}

int codec_get_stream(struct bytes from, bool more, struct stream_config *ret_config)
{
    if (from.len < STREAM_SIZE)
        return ERR_CORRUPT;
    const char *at = from.ptr;
    size_t name = get_u16(at + 48);
    if (name == 0 || name > ENGINE_NAME_MAX || name > from.len - STREAM_SIZE)
        return ERR_CORRUPT;
    *ret_config = (struct stream_config){
        .account = get_u32(at),
        .max_consumers = get_u32(at + 4),
        .max_msgs = get_u64(at + 8),
        .max_bytes = get_u64(at + 16),
        .max_age_ns = get_u64(at + 24),
        .duplicate_window_ns = get_u64(at + 32),
        .disconnect_grace_ns = get_u64(at + 40),
        .name = bytes_make(at + STREAM_SIZE, name),
    };
    if (ret_config->duplicate_window_ns / 1000000 > DEDUPE_WINDOW_MAX_MS)
        return ERR_CORRUPT;
    struct bytes rest = bytes_skip(from, STREAM_SIZE + name);
    return more ? get_more(rest, ret_config) : rest.len ? ERR_CORRUPT : 0;
}

int codec_put_consumer(struct buffer *to, uint32_t stream, const struct consumer_config *config, uint64_t next_sequence)
{
    size_t size = codec_size_consumer(config);
    char *at = buffer_reserve(to, size);
    if (!at)
        return ERR_TOO_BIG;
    put_u32(at, stream);
    at[4] = (char)config->protocol;
    at[5] = (char)((config->durable ? FLAG_DURABLE : 0) | (config->group ? FLAG_GROUP : 0));
    at[6] = (char)config->start;
    at[7] = 0;
    put_u64(at + 8, next_sequence);
    put_u16(at + 16, (uint16_t)config->name.len);
    put_u16(at + 18, (uint16_t)config->data.len);
    memcpy(at + CONSUMER_SIZE, config->name.ptr, config->name.len);
    if (config->data.len)
        memcpy(at + CONSUMER_SIZE + config->name.len, config->data.ptr, config->data.len);
    buffer_commit(to, size);
    return 0;
}

int codec_get_consumer(struct bytes from, uint32_t *ret_stream, struct consumer_config *ret_config,
                       uint64_t *ret_next_sequence)
{
    if (from.len < CONSUMER_SIZE)
        return ERR_CORRUPT;
    const char *at = from.ptr;
    size_t name = get_u16(at + 16), data = get_u16(at + 18);
    if (from.len != CONSUMER_SIZE + name + data || name == 0 || name > ENGINE_NAME_MAX || data > ENGINE_DATA_MAX ||
        (uint8_t)at[4] == 0 || (uint8_t)at[4] >= ENGINE_PROTOCOL_COUNT || (uint8_t)at[6] > CONSUMER_START_TIME)
        return ERR_CORRUPT;
    *ret_stream = get_u32(at);
    *ret_next_sequence = get_u64(at + 8);
    *ret_config = (struct consumer_config){
        .name = bytes_make(at + CONSUMER_SIZE, name),
        .protocol = (uint8_t)at[4],
        .durable = at[5] & FLAG_DURABLE,
        .group = at[5] & FLAG_GROUP,
        .start = (enum consumer_start)at[6],
        .start_sequence = *ret_next_sequence,
        .data = bytes_make(at + CONSUMER_SIZE + name, data),
    };
    return *ret_next_sequence > 0 && *ret_next_sequence <= SEQUENCE_MAX + 1 ? 0 : ERR_CORRUPT;
}

int codec_put_member(struct buffer *to, uint32_t id, const struct member_config *config)
{
    char *at = buffer_reserve(to, MEMBER_SIZE + config->data.len);
    if (!at)
        return ERR_TOO_BIG;
    put_u32(at, id);
    put_u32(at + 4, config->max_in_flight);
    put_u64(at + 8, config->ack_wait_ns);
    put_u16(at + 16, (uint16_t)config->data.len);
    if (config->data.len)
        memcpy(at + MEMBER_SIZE, config->data.ptr, config->data.len);
    buffer_commit(to, MEMBER_SIZE + config->data.len);
    return 0;
}

int codec_get_member(struct bytes from, uint32_t *ret_id, struct member_config *ret_config)
{
    if (from.len < MEMBER_SIZE || from.len != (size_t)MEMBER_SIZE + get_u16(from.ptr + 16))
        return ERR_CORRUPT;
    *ret_id = get_u32(from.ptr);
    *ret_config = (struct member_config){
        .max_in_flight = get_u32(from.ptr + 4),
        .ack_wait_ns = get_u64(from.ptr + 8),
        .data = bytes_skip(from, MEMBER_SIZE),
    };
    return *ret_id != 0 && *ret_id <= ENGINE_ID_MAX && member_config_is_valid(ret_config) ? 0 : ERR_CORRUPT;
}

size_t codec_size_consumer(const struct consumer_config *config)
{
    return CONSUMER_SIZE + config->name.len + config->data.len;
}

size_t codec_size_member(const struct member_config *config)
{
    return MEMBER_SIZE + config->data.len;
}

void codec_put_number(struct buffer *to, uint64_t value)
{
    char *at = buffer_reserve(to, VARINT_MAX_SIZE);
    must(at);
    buffer_commit(to, (size_t)(varint_put(at, value) - at));
}

void codec_put_two(struct buffer *to, uint64_t first, uint64_t second)
{
    char *at = buffer_reserve(to, 2 * VARINT_MAX_SIZE);
    must(at);
    buffer_commit(to, (size_t)(varint_put(varint_put(at, first), second) - at));
}

int codec_get_number(struct bytes *from, uint64_t *ret_value)
{
    size_t used;
    int error = varint_get(*from, ret_value, &used);
    if (error)
        return error;
    *from = bytes_skip(*from, used);
    return 0;
}

static int put_more(struct buffer *to, const struct stream_config *config)
{
    size_t steps = config->backoff_count, size = STREAM_MORE_SIZE + 8 * steps + config->dead_letter.len;
    char *at = buffer_reserve(to, size);
    if (!at)
        return ERR_TOO_BIG;
    at[0] = config->discard_new ? FLAG_DISCARD_NEW : 0;
    at[1] = (char)steps;
    put_u16(at + 2, (uint16_t)config->dead_letter.len);
    put_u32(at + 4, config->max_deliver);
    at += STREAM_MORE_SIZE;
    for (size_t i = 0; i < steps; i++, at += 8)
        put_u64(at, config->backoff_ns[i]);
    if (config->dead_letter.len)
        memcpy(at, config->dead_letter.ptr, config->dead_letter.len);
    buffer_commit(to, size);
    return 0;
}

static int get_more(struct bytes from, struct stream_config *config)
{
    if (from.len < STREAM_MORE_SIZE)
        return ERR_CORRUPT;
    size_t steps = (uint8_t)from.ptr[1], name = get_u16(from.ptr + 2);
    if (from.ptr[0] & ~FLAG_DISCARD_NEW || steps > STREAM_BACKOFF_MAX || name > ENGINE_NAME_MAX ||
        from.len != STREAM_MORE_SIZE + 8 * steps + name)
        return ERR_CORRUPT;
    config->discard_new = from.ptr[0] & FLAG_DISCARD_NEW;
    config->max_deliver = get_u32(from.ptr + 4);
    config->backoff_count = (uint8_t)steps;
    for (size_t i = 0; i < steps; i++)
        config->backoff_ns[i] = get_u64(from.ptr + STREAM_MORE_SIZE + 8 * i);
    config->dead_letter = bytes_skip(from, STREAM_MORE_SIZE + 8 * steps);
    return 0;
}
