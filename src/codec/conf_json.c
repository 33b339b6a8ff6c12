// SPDX-License-Identifier: Apache-2.0
// The details are those of Go's encoding/json, because digests are compared: '<', '>' and '&' are escaped, bytes that are no UTF-8 become
// U+FFFD, numbers have their shortest form.
#include "codec/conf_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/must.h"
#include "base/utf8.h"

static int write_value(const struct conf_value *value, struct buffer *out);
static int write_map(const struct conf_value *map, struct buffer *out);
static int write_array(const struct conf_value *array, struct buffer *out);
static int write_string(struct bytes text, struct buffer *out);
static int write_character(struct bytes rest, size_t size, struct buffer *out);
static int write_float(double value, struct buffer *out);
static int write_time(const struct conf_value *value, struct buffer *out);
static int compare_names(const void *a, const void *b);

int conf_json_write(const struct conf_value *value, struct buffer *out)
{
    int error = write_value(value, out);
    return error ? error : buffer_append_char(out, '\n');
}

static int write_value(const struct conf_value *value, struct buffer *out)
{
    switch (value->type) {
    case CONF_STRING: return write_string(value->text, out);
    case CONF_BOOL: return buffer_append(out, value->boolean ? BYTES("true") : BYTES("false"));
    case CONF_INTEGER: return buffer_printf(out, "%lld", (long long)value->integer);
    case CONF_FLOAT: return write_float(value->real, out);
    case CONF_TIME: return write_time(value, out);
    case CONF_ARRAY: return write_array(value, out);
    case CONF_MAP: return write_map(value, out);
    }
    must(false);
}

static int write_map(const struct conf_value *map, struct buffer *out)
{
    const struct conf_member **members = mem_alloc((map->count + 1) * sizeof(*members));
    size_t count = 0;
    for (const struct conf_member *member = map->first; member; member = member->next)
        members[count++] = member;
    qsort(members, count, sizeof(*members), compare_names);
    int error = buffer_append_char(out, '{');
    for (size_t i = 0; i < count && !error; i++) {
        error = i ? buffer_append_char(out, ',') : 0;
        if (!error)
            error = write_string(members[i]->name, out);
        if (!error)
            error = buffer_append_char(out, ':');
        if (!error)
            error = write_value(&members[i]->value, out);
    }
    mem_free(members);
    return error ? error : buffer_append_char(out, '}');
}

static int write_array(const struct conf_value *array, struct buffer *out)
{
    int error = buffer_append_char(out, '[');
    for (const struct conf_member *item = array->first; item && !error; item = item->next) {
        error = item != array->first ? buffer_append_char(out, ',') : 0;
        if (!error)
            error = write_value(&item->value, out);
    }
    return error ? error : buffer_append_char(out, ']');
}

static int write_string(struct bytes text, struct buffer *out)
{
    int error = buffer_append_char(out, '"');
    while (text.len > 0 && !error) {
        size_t size = utf8_len(text);
        error = write_character(text, size, out);
        text = bytes_skip(text, size ? size : 1);
    }
    return error ? error : buffer_append_char(out, '"');
}

// size 0: the first byte is no UTF-8.
static int write_character(struct bytes rest, size_t size, struct buffer *out)
{
    static const char letters[] = "\"\\\b\f\n\r\t", escaped[] = "\"\\bfnrt";
    unsigned char c = (unsigned char)rest.ptr[0];
    const char *letter = c ? strchr(letters, c) : NULL;
    if (size == 0)
        return buffer_append(out, BYTES("\\ufffd"));
    if (letter)
        return buffer_printf(out, "\\%c", escaped[letter - letters]);
    if (c < ' ' || c == '<' || c == '>' || c == '&')
        return buffer_printf(out, "\\u%04x", c);
    if (size == 3 && (memcmp(rest.ptr, "\xe2\x80\xa8", 3) == 0 || memcmp(rest.ptr, "\xe2\x80\xa9", 3) == 0))
        return buffer_printf(out, "\\u20%02x", (unsigned char)rest.ptr[2] - 0x80);
    return buffer_append(out, bytes_make(rest.ptr, size));
}

// The fewest digits that read back as the same number.
static int write_float(double value, struct buffer *out)
{
    char text[40];
    double size = value < 0 ? -value : value;
    bool plain = size == 0 || (size >= 1e-6 && size < 1e21);
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        if (strtod(text, NULL) != value)
            continue;
        int exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
        int behind = digits - 1 - exponent;
        if (plain)
            return buffer_printf(out, "%.*f", behind > 0 ? behind : 0, value);
        return buffer_printf(out, "%.*se%+d", (int)(strchr(text, 'e') - text), text, exponent);
    }
    return buffer_append(out, BYTES("0")); // infinite: too large a number in the file
}

static int write_time(const struct conf_value *value, struct buffer *out)
{
    return buffer_printf(out, "\"%.*s\"", BYTES_ARG(value->text));
}

static int compare_names(const void *a, const void *b)
{
    const struct conf_member *const *left = a, *const *right = b;
    return bytes_compare((*left)->name, (*right)->name);
}
