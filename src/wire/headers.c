// SPDX-License-Identifier: Apache-2.0
// Header blocks: a line scanner for reading, appends with a remembered error for writing.
#include "wire/headers.h"

#include "base/number.h"

#define STATUS_MAX 999

static bool next_line(struct bytes *rest, struct bytes *ret_line);
static int parse_first_line(struct bytes line, struct headers *headers);
static bool parse_field(struct bytes line, struct headers_field *ret_field);
static bool is_name(struct bytes name);
static bool is_value(struct bytes value);
static void append(struct headers_builder *builder, struct bytes bytes);

int headers_parse(struct bytes block, struct headers *ret_headers)
{
    struct bytes rest = block, line;
    struct headers headers = {0};
    if (!next_line(&rest, &line) || parse_first_line(line, &headers) != 0)
        return ERR_INVALID;
    headers.fields = rest;
    struct headers_field field;
    while (next_line(&rest, &line) && line.len > 0) {
        if (!parse_field(line, &field))
            return ERR_INVALID;
    }
    if (rest.len > 0 || block.len < 4 || !bytes_equal(bytes_skip(block, block.len - 4), BYTES("\r\n\r\n")))
        return ERR_INVALID;
    headers.fields.len -= 2;
    *ret_headers = headers;
    return 0;
}

bool headers_next(struct bytes *rest, struct headers_field *ret_field)
{
    struct bytes line;
    return next_line(rest, &line) && parse_field(line, ret_field);
}

int headers_find(struct bytes block, struct bytes name, struct bytes *ret_value)
{
    struct bytes rest = block, line;
    struct headers_field field;
    if (!next_line(&rest, &line))
        return ERR_NOT_FOUND;
    while (headers_next(&rest, &field)) {
        if (bytes_equal(field.name, name)) {
            *ret_value = field.value;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

void headers_begin(struct headers_builder *builder, char *ptr, size_t size, int status, struct bytes description)
{
    *builder = (struct headers_builder){.ptr = ptr, .size = size};
    append(builder, BYTES(HEADERS_VERSION));
    if (status < 0 || status > STATUS_MAX || !is_value(description) || (description.len > 0 && status == 0))
        builder->error = ERR_INVALID;
    else if (status > 0) {
        char digits[NUMBER_MAX_DIGITS];
        append(builder, BYTES(" "));
        append(builder, bytes_make(digits, number_format_u64(digits, (uint64_t)status)));
    }
    if (description.len > 0) {
        append(builder, BYTES(" "));
        append(builder, description);
    }
    append(builder, BYTES("\r\n"));
}

void headers_add(struct headers_builder *builder, struct bytes name, struct bytes value)
{
    if (!is_name(name) || !is_value(value))
        builder->error = ERR_INVALID;
    append(builder, name);
    append(builder, BYTES(": "));
    append(builder, value);
    append(builder, BYTES("\r\n"));
}

int headers_end(struct headers_builder *builder, struct bytes *ret_block)
{
    append(builder, BYTES("\r\n"));
    if (builder->error)
        return builder->error;
    *ret_block = bytes_make(builder->ptr, builder->len);
    return 0;
}

// A line without its CRLF; false when no CRLF is left.
static bool next_line(struct bytes *rest, struct bytes *ret_line)
{
    const char *lf = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (lf == NULL || lf == rest->ptr || lf[-1] != '\r')
        return false;
    *ret_line = bytes_make(rest->ptr, (size_t)(lf - rest->ptr) - 1);
    *rest = bytes_skip(*rest, (size_t)(lf - rest->ptr) + 1);
    return true;
}

static int parse_first_line(struct bytes line, struct headers *headers)
{
    if (!bytes_starts_with(line, BYTES(HEADERS_VERSION)))
        return ERR_INVALID;
    struct bytes rest = bytes_skip(line, sizeof(HEADERS_VERSION) - 1);
    if (rest.len > 0 && rest.ptr[0] != ' ')
        return ERR_INVALID;
    rest = bytes_trim(rest);
    if (rest.len == 0)
        return 0;
    size_t digits = 0;
    while (digits < rest.len && rest.ptr[digits] != ' ')
        digits++;
    uint64_t status;
    if (number_parse_u64(bytes_make(rest.ptr, digits), STATUS_MAX, &status) != 0)
        return ERR_INVALID;
    headers->status = (int)status;
    headers->description = bytes_trim(bytes_skip(rest, digits));
    return 0;
}

static bool parse_field(struct bytes line, struct headers_field *ret_field)
{
    const char *colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
    if (colon == NULL)
        return false;
    struct bytes name = bytes_make(line.ptr, (size_t)(colon - line.ptr));
    if (!is_name(name))
        return false;
    *ret_field = (struct headers_field){name, bytes_trim(bytes_skip(line, name.len + 1))};
    return true;
}

static bool is_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        if (c <= ' ' || c == ':' || c == 0x7f)
            return false;
    }
    return name.len > 0;
}

static bool is_value(struct bytes value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0')
            return false;
    }
    return true;
}

static void append(struct headers_builder *builder, struct bytes bytes)
{
    if (builder->error)
        return;
    if (bytes.len > builder->size - builder->len) {
        builder->error = ERR_TOO_BIG;
        return;
    }
    if (bytes.len > 0)
        memcpy(builder->ptr + builder->len, bytes.ptr, bytes.len);
    builder->len += bytes.len;
}
