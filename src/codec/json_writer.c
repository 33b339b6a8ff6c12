// SPDX-License-Identifier: Apache-2.0
#include "codec/json_writer.h"

#include <stdio.h>

#include "base/json_text.h"
#include "base/must.h"

static void begin(struct json_writer *writer, char opening, char closing);
static void begin_value(struct json_writer *writer);
static void new_line(struct json_writer *writer);
static void put(struct json_writer *writer, struct bytes bytes);
static void put_escaped(struct json_writer *writer, struct bytes text);

void json_writer_init(struct json_writer *writer, struct buffer *out)
{
    *writer = (struct json_writer){.out = out, .empty = true};
}

void json_writer_init_compact(struct json_writer *writer, struct buffer *out)
{
    *writer = (struct json_writer){.out = out, .empty = true, .compact = true};
}

int json_writer_finish(struct json_writer *writer)
{
    must(writer->depth == 0);
    return writer->error;
}

void json_writer_begin_object(struct json_writer *writer)
{
    begin(writer, '{', '}');
}

void json_writer_begin_array(struct json_writer *writer)
{
    begin(writer, '[', ']');
}

void json_writer_end(struct json_writer *writer)
{
    must(writer->depth > 0 && !writer->keyed);
    char closing = writer->closing[--writer->depth];
    if (!writer->empty)
        new_line(writer);
    put(writer, bytes_make(&closing, 1));
    writer->empty = false;
}

void json_writer_key(struct json_writer *writer, const char *key)
{
    json_writer_key_bytes(writer, bytes_from_string(key));
}

void json_writer_key_bytes(struct json_writer *writer, struct bytes key)
{
    must(writer->depth > 0 && writer->closing[writer->depth - 1] == '}' && !writer->keyed);
    json_writer_string(writer, key);
    put(writer, writer->compact ? BYTES(":") : BYTES(": "));
    writer->keyed = true;
}

void json_writer_string(struct json_writer *writer, struct bytes value)
{
    begin_value(writer);
    put(writer, BYTES("\""));
    put_escaped(writer, value);
    put(writer, BYTES("\""));
}

void json_writer_u64(struct json_writer *writer, uint64_t value)
{
    begin_value(writer);
    if (!writer->error)
        writer->error = buffer_printf(writer->out, "%llu", (unsigned long long)value);
}

void json_writer_i64(struct json_writer *writer, int64_t value)
{
    begin_value(writer);
    if (!writer->error)
        writer->error = buffer_printf(writer->out, "%lld", (long long)value);
}

void json_writer_bool(struct json_writer *writer, bool value)
{
    begin_value(writer);
    put(writer, value ? BYTES("true") : BYTES("false"));
}

void json_writer_double(struct json_writer *writer, double value)
{
    begin_value(writer);
    bool is_number = value > -1e15 && value < 1e15;
    char text[40];
    int len = snprintf(text, sizeof(text), "%.3f", is_number ? value : 0.0);
    while (text[len - 1] == '0')
        len--;
    if (text[len - 1] == '.')
        len--;
    put(writer, bytes_make(text, (size_t)len));
}

void json_writer_put_string(struct json_writer *writer, const char *key, struct bytes value)
{
    json_writer_key(writer, key);
    json_writer_string(writer, value);
}

void json_writer_put_u64(struct json_writer *writer, const char *key, uint64_t value)
{
    json_writer_key(writer, key);
    json_writer_u64(writer, value);
}

void json_writer_put_i64(struct json_writer *writer, const char *key, int64_t value)
{
    json_writer_key(writer, key);
    json_writer_i64(writer, value);
}

void json_writer_put_bool(struct json_writer *writer, const char *key, bool value)
{
    json_writer_key(writer, key);
    json_writer_bool(writer, value);
}

void json_writer_put_double(struct json_writer *writer, const char *key, double value)
{
    json_writer_key(writer, key);
    json_writer_double(writer, value);
}

void json_writer_put_json(struct json_writer *writer, const char *key, struct bytes json)
{
    json_writer_key(writer, key);
    begin_value(writer);
    put(writer, json);
}

void json_writer_put_object(struct json_writer *writer, const char *key)
{
    json_writer_key(writer, key);
    json_writer_begin_object(writer);
}

static void begin(struct json_writer *writer, char opening, char closing)
{
    must(writer->depth < JSON_WRITER_DEPTH_MAX);
    begin_value(writer);
    put(writer, bytes_make(&opening, 1));
    writer->closing[writer->depth++] = closing;
    writer->empty = true;
}

// What stands before a value or a key: a comma and a new line, or nothing behind a key.
static void begin_value(struct json_writer *writer)
{
    if (writer->keyed) {
        writer->keyed = false;
        return;
    }
    if (writer->depth > 0) {
        if (!writer->empty)
            put(writer, BYTES(","));
        new_line(writer);
    }
    writer->empty = false;
}

static void new_line(struct json_writer *writer)
{
    if (writer->compact)
        return;
    put(writer, BYTES("\n"));
    for (unsigned i = 0; i < writer->depth; i++)
        put(writer, BYTES("  "));
}

static void put(struct json_writer *writer, struct bytes bytes)
{
    if (!writer->error)
        writer->error = buffer_append(writer->out, bytes);
}

static void put_escaped(struct json_writer *writer, struct bytes text)
{
    char escape[JSON_TEXT_ESCAPE_SIZE];
    while (text.len > 0)
        put(writer, json_text_next(&text, escape));
}
