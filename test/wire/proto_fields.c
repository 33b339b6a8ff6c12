// SPDX-License-Identifier: Apache-2.0
#include "proto_fields.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

enum { VARINT = 0, LENGTH = 2 };

// One `number:value` of the text.
struct entry {
    uint64_t number;
    bool quoted;
    struct bytes value; // without the quotes
};

static bool take_entry(struct bytes *text, struct entry *ret_entry);
static size_t find_end(struct bytes text, bool quoted);
static const char *encode_entry(const struct entry *entry, const struct pattern_vars *vars, struct buffer *out);
static bool match_entry(const struct entry *entry, struct bytes *actual, struct pattern_vars *vars);
static void put_varint(struct buffer *out, uint64_t value);
static bool take_varint(struct bytes *from, uint64_t *ret_value);
static bool print_field(struct bytes *message, struct buffer *out);

bool proto_fields_is(struct bytes text)
{
    return bytes_starts_with(text, BYTES("pb{")) && text.ptr[text.len - 1] == '}';
}

const char *proto_fields_encode(struct bytes text, const struct pattern_vars *vars, struct buffer *out)
{
    struct bytes rest = bytes_make(text.ptr + 3, text.len - 4);
    const char *wrong = NULL;
    while (rest.len > 0 && !wrong) {
        struct entry entry;
        wrong = take_entry(&rest, &entry) ? encode_entry(&entry, vars, out)
                                          : "pb{…} takes NUMBER:NUMBER and NUMBER:\"TEXT\"";
    }
    return wrong;
}

bool proto_fields_match(struct bytes text, struct bytes actual, struct pattern_vars *vars)
{
    struct bytes rest = bytes_make(text.ptr + 3, text.len - 4);
    while (rest.len > 0) {
        struct entry entry;
        if (!take_entry(&rest, &entry) || !match_entry(&entry, &actual, vars))
            return false;
    }
    return actual.len == 0;
}

void proto_fields_print(struct bytes message, struct buffer *out)
{
    size_t before = out->len;
    struct bytes rest = message;
    must(buffer_append(out, BYTES("pb{")) == 0);
    while (rest.len > 0 && print_field(&rest, out))
        must(rest.len == 0 || buffer_append_char(out, ' ') == 0);
    must(buffer_append_char(out, '}') == 0);
    if (rest.len > 0)
        out->len = before;
}

// Blanks around it are taken too.
static bool take_entry(struct bytes *text, struct entry *ret_entry)
{
    *ret_entry = (struct entry){0};
    size_t i = 0;
    for (; i < text->len && text->ptr[i] >= '0' && text->ptr[i] <= '9' && i < 9; i++)
        ret_entry->number = ret_entry->number * 10 + (uint64_t)(text->ptr[i] - '0');
    if (ret_entry->number == 0 || i + 1 >= text->len || text->ptr[i] != ':')
        return false;
    ret_entry->quoted = text->ptr[i + 1] == '"';
    struct bytes value = bytes_skip(*text, i + 1 + ret_entry->quoted);
    size_t len = find_end(value, ret_entry->quoted);
    if (ret_entry->quoted ? len == value.len : len == 0)
        return false;
    ret_entry->value = bytes_make(value.ptr, len);
    *text = bytes_skip(value, len + ret_entry->quoted);
    while (text->len > 0 && text->ptr[0] == ' ')
        *text = bytes_skip(*text, 1);
    return true;
}

static size_t find_end(struct bytes text, bool quoted)
{
    size_t i = 0;
    while (i < text.len && text.ptr[i] != (quoted ? '"' : ' ')) {
        size_t placeholder = pattern_placeholder(bytes_skip(text, i));
        i += placeholder ? placeholder : text.ptr[i] == '\\' && i + 1 < text.len ? 2 : 1;
    }
    return i;
}

static const char *encode_entry(const struct entry *entry, const struct pattern_vars *vars, struct buffer *out)
{
    struct buffer value;
    buffer_init(&value, SIZE_MAX / 4);
    const char *wrong = pattern_expand(entry->value, vars, PATTERN_NO_LENGTH, &value);
    put_varint(out, entry->number << 3 | (entry->quoted ? LENGTH : VARINT));
    if (entry->quoted) {
        put_varint(out, value.len);
        must(buffer_append(out, buffer_bytes(&value)) == 0);
    } else {
        char digits[24] = "", *end = digits;
        snprintf(digits, sizeof(digits), "%.*s", (int)value.len, value.ptr ? value.ptr : "");
        put_varint(out, digits[0] == '-' ? (uint64_t)strtoll(digits, &end, 10) : strtoull(digits, &end, 10));
        if (!wrong && (end == digits || *end != '\0'))
            wrong = "a field of pb{…} that is neither a number nor in quotes";
    }
    buffer_deinit(&value);
    return wrong;
}

static bool match_entry(const struct entry *entry, struct bytes *actual, struct pattern_vars *vars)
{
    uint64_t key, value;
    if (!take_varint(actual, &key) || key != (entry->number << 3 | (entry->quoted ? LENGTH : VARINT)) ||
        !take_varint(actual, &value))
        return false;
    if (entry->quoted) {
        if (value > actual->len ||
            !pattern_match(entry->value, bytes_make(actual->ptr, value), PATTERN_NO_LENGTH, vars))
            return false;
        *actual = bytes_skip(*actual, value);
        return true;
    }
    char digits[24];
    snprintf(digits, sizeof(digits), "%lld", (long long)value);
    return pattern_match(entry->value, bytes_from_string(digits), PATTERN_NO_LENGTH, vars);
}

static void put_varint(struct buffer *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        must(buffer_append_char(out, (char)(value | 0x80)) == 0);
    must(buffer_append_char(out, (char)value) == 0);
}

// False: there is none, or it is longer than it has to be.
static bool take_varint(struct bytes *from, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < from->len && i < 10; i++) {
        uint8_t byte = (uint8_t)from->ptr[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        *from = bytes_skip(*from, i + 1);
        *ret_value = value;
        return byte != 0 || i == 0;
    }
    return false;
}

static bool print_field(struct bytes *message, struct buffer *out)
{
    struct bytes rest = *message;
    uint64_t key, value;
    if (!take_varint(&rest, &key) || !take_varint(&rest, &value))
        return false;
    if ((key & 7) == VARINT) {
        must(buffer_printf(out, "%llu:%lld", (unsigned long long)key >> 3, (long long)value) == 0);
    } else if ((key & 7) == LENGTH && value <= rest.len) {
        must(buffer_printf(out, "%llu:\"", (unsigned long long)key >> 3) == 0);
        for (size_t i = 0; i < value; i++) {
            unsigned char c = (unsigned char)rest.ptr[i];
            must(buffer_printf(out, c < 32 || c > 126 || c == '"' || c == '\\' ? "\\x%02x" : "%c", c) == 0);
        }
        must(buffer_append_char(out, '"') == 0);
        rest = bytes_skip(rest, value);
    } else {
        return false;
    }
    *message = rest;
    return true;
}
