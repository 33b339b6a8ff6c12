// SPDX-License-Identifier: Apache-2.0
#include "stan/dead_letter.h"

#include <stdio.h>

#include "base/must.h"
#include "base/number.h"
#include "codec/timestamp.h"
#include "stan/channel.h"
#include "stan/channel_limits.h"
#include "stan/member_data.h"
#include "wire/headers.h"

enum { STORY_MAX = 16384, VALUE_MAX = 1024 };

#define PREFIX "Weir-Dead-"

static int build(const struct dead_letter *letter, struct bytes own, uint64_t hops, struct bytes room,
                 struct bytes *ret_block);
static uint64_t hops_of(struct bytes block);
static void add_own(struct headers_builder *builder, struct bytes block);
static void add_consumer(struct headers_builder *builder, const struct consumer *consumer);
static void add(struct headers_builder *builder, const char *name, struct bytes value);
static void add_number(struct headers_builder *builder, const char *name, uint64_t value);
static void add_time(struct headers_builder *builder, const char *name, uint64_t wall_ns);

int dead_letter_headers(const struct dead_letter *letter, struct buffer *headers)
{
    const struct message_record *message = letter->message;
    uint64_t hops = hops_of(message->headers) + 1;
    if (hops > CHANNEL_DEAD_LETTERS_MAX)
        return ERR_EXISTS;
    // Each of the message's own fields may become a blank longer.
    size_t size = 2 * message->headers.len + STORY_MAX;
    char *to = buffer_reserve(headers, size);
    must(to);
    struct bytes block;
    if (build(letter, message->headers, hops, bytes_make(to, size), &block))
        must(build(letter, (struct bytes){0}, hops, bytes_make(to, size), &block) == 0);
    buffer_commit(headers, block.len);
    return 0;
}

struct bytes dead_letter_strip(struct bytes headers, struct buffer *room)
{
    struct headers parsed;
    struct headers_field field;
    if (headers.len == 0 || !memmem(headers.ptr, headers.len, PREFIX, strlen(PREFIX)) ||
        headers_parse(headers, &parsed))
        return headers;
    buffer_clear(room);
    must(buffer_append(room, bytes_make(headers.ptr, (size_t)(parsed.fields.ptr - headers.ptr))) == 0);
    const size_t head = room->len;
    const char *line = parsed.fields.ptr;
    for (; headers_next(&parsed.fields, &field); line = parsed.fields.ptr) {
        if (!bytes_starts_with(field.name, BYTES(PREFIX)))
            must(buffer_append(room, bytes_make(line, (size_t)(parsed.fields.ptr - line))) == 0);
    }
    if (room->len == head && parsed.status == 0)
        return bytes_make(NULL, 0);
    must(buffer_append(room, BYTES("\r\n")) == 0);
    return buffer_bytes(room);
}

// An error: something is wrong with its own fields.
static int build(const struct dead_letter *letter, struct bytes own, uint64_t hops, struct bytes room,
                 struct bytes *ret_block)
{
    struct headers_builder builder;
    struct member_data data;
    headers_begin(&builder, (char *)room.ptr, room.len, 0, (struct bytes){0});
    add_own(&builder, own);
    add(&builder, "Stream", stream_name(letter->stream));
    add_number(&builder, "Sequence", letter->message->sequence);
    add_time(&builder, "Message-Time", letter->message->time_ns);
    add_consumer(&builder, letter->consumer);
    if (letter->member && member_data_decode(member_config_get(letter->member)->data, &data) == 0)
        add(&builder, "Client", data.client_id);
    add_number(&builder, "Attempts", letter->attempts);
    add(&builder, "Reason", letter->reason == DEAD_TERMINATED ? BYTES("terminated") : BYTES("max_deliver"));
    add(&builder, "Text", letter->text);
    add_time(&builder, "Time", letter->time_ns);
    add_number(&builder, "Hops", hops);
    return headers_end(&builder, ret_block);
}

// Of a block that dead_letter_strip() has not seen, because it is none, nothing is believed.
static uint64_t hops_of(struct bytes block)
{
    struct headers parsed;
    struct bytes value;
    uint64_t hops;
    if (headers_parse(block, &parsed) || headers_find(block, BYTES(PREFIX "Hops"), &value) ||
        number_parse_u64(value, CHANNEL_DEAD_LETTERS_MAX, &hops))
        return 0;
    return hops;
}

// A block that is no such thing is left out: nobody could read it.
static void add_own(struct headers_builder *builder, struct bytes block)
{
    struct headers own;
    struct headers_field field;
    if (block.len == 0 || headers_parse(block, &own))
        return;
    while (headers_next(&own.fields, &field)) {
        if (!bytes_starts_with(field.name, BYTES(PREFIX)))
            headers_add(builder, field.name, field.value);
    }
}

// Its name says it; see subscribe.c.
static void add_consumer(struct headers_builder *builder, const struct consumer *consumer)
{
    struct consumer_state state;
    consumer_state_get(consumer, &state);
    struct bytes name = state.config.name;
    if (name.len < 2)
        return;
    char kind = name.ptr[0];
    name = bytes_skip(name, 2);
    const char *mark = memchr(name.ptr, kind == 'Q' ? ':' : '.', name.len);
    size_t first = mark ? (size_t)(mark - name.ptr) : name.len;
    struct bytes rest = bytes_skip(name, mark ? first + 1 : first);
    if (kind == 'q')
        add(builder, "Group", name);
    if (kind == 'Q')
        add(builder, "Group", rest);
    if (kind == 'Q' || kind == 'd')
        add(builder, "Durable", kind == 'Q' ? bytes_make(name.ptr, first) : rest);
}

// Control characters, which a header cannot have, become blanks. An empty value is left out.
static void add(struct headers_builder *builder, const char *name, struct bytes value)
{
    char whole[32], clean[VALUE_MAX];
    size_t len = value.len < VALUE_MAX ? value.len : VALUE_MAX;
    if (len == 0)
        return;
    for (size_t i = 0; i < len; i++)
        clean[i] = (unsigned char)value.ptr[i] < ' ' ? ' ' : value.ptr[i];
    int whole_len = snprintf(whole, sizeof(whole), PREFIX "%s", name);
    headers_add(builder, bytes_make(whole, (size_t)whole_len), bytes_make(clean, len));
}

static void add_number(struct headers_builder *builder, const char *name, uint64_t value)
{
    char text[NUMBER_MAX_DIGITS];
    add(builder, name, bytes_make(text, number_format_u64(text, value)));
}

static void add_time(struct headers_builder *builder, const char *name, uint64_t wall_ns)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(wall_ns, text);
    add(builder, name, bytes_from_string(text));
}
