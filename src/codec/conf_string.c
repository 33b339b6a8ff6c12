// SPDX-License-Identifier: Apache-2.0
// Quoted strings, blocks and escapes.
#include "codec/conf_internal.h"

static int read_hex(struct conf_parser *parser, unsigned digits, uint32_t *ret_number);
static int read_unicode(struct conf_parser *parser, struct buffer *content);
static int append_utf8(struct buffer *content, uint32_t code);

// No escapes; lines may end in it.
int conf_string_read_single(struct conf_parser *parser, struct conf_value *value)
{
    conf_step(parser);
    size_t begin_at = parser->at;
    while (!conf_at_end(parser) && conf_peek(parser) != '\'')
        conf_step(parser);
    if (conf_at_end(parser))
        return conf_fail(parser->reader, value->place, "this string is never closed with '");
    struct bytes content = bytes_make(parser->text.ptr + begin_at, parser->at - begin_at);
    conf_step(parser);
    return conf_copy(parser->reader, value->place, content, &value->text);
}

int conf_string_read_double(struct conf_parser *parser, struct conf_value *value)
{
    struct buffer content;
    buffer_init(&content, CONF_FILE_BYTES_MAX);
    int error = 0;
    conf_step(parser);
    while (!error && !conf_at_end(parser) && conf_peek(parser) != '"') {
        if (conf_peek(parser) == '\\') {
            error = conf_string_read_escape(parser, &content);
        } else {
            error = buffer_append_char(&content, conf_peek(parser));
            conf_step(parser);
        }
    }
    if (!error && conf_at_end(parser))
        error = conf_fail(parser->reader, value->place, "this string is never closed with \"");
    if (!error) {
        conf_step(parser);
        error = conf_copy(parser->reader, value->place, buffer_bytes(&content), &value->text);
    }
    buffer_deinit(&content);
    return error;
}

// From behind '(' to a ')' that is alone on its line, in its first column.
int conf_string_read_block(struct conf_parser *parser, struct conf_value *value)
{
    conf_step(parser);
    size_t begin_at = parser->at;
    for (; !conf_at_end(parser); conf_step(parser)) {
        if (parser->here.column != 1 || conf_peek(parser) != ')')
            continue;
        struct bytes rest = bytes_skip(parser->text, parser->at + 1);
        if (rest.len == 0 || rest.ptr[0] == '\n' || bytes_starts_with(rest, BYTES("\r\n"))) {
            struct bytes content = bytes_make(parser->text.ptr + begin_at, parser->at - begin_at);
            conf_step(parser);
            return conf_copy(parser->reader, value->place, content, &value->text);
        }
    }
    return conf_fail(parser->reader, value->place, "this block is never closed with a ')' alone on its line");
}

int conf_string_read_escape(struct conf_parser *parser, struct buffer *content)
{
    static const char letters[] = "tnrbf\"\\/", meant[] = "\t\n\r\b\f\"\\/";
    struct conf_place place = parser->here;
    conf_step(parser);
    char c = conf_peek(parser);
    const char *letter = c ? strchr(letters, c) : NULL;
    if (letter) {
        conf_step(parser);
        return buffer_append_char(content, meant[letter - letters]);
    }
    if (c == 'u') {
        conf_step(parser);
        return read_unicode(parser, content);
    }
    if (c != 'x')
        return conf_fail(parser->reader, place,
                         "behind '\\' comes one of t n r b f x u \" \\ /; single quotes take it as it is");
    uint32_t byte;
    conf_step(parser);
    int error = read_hex(parser, 2, &byte);
    if (!error && byte == 0)
        error = conf_fail(parser->reader, place, "a string cannot hold a NUL byte");
    return error ? error : buffer_append_char(content, (char)byte);
}

static int read_hex(struct conf_parser *parser, unsigned digits, uint32_t *ret_number)
{
    static const char letters[] = "0123456789abcdef";
    uint32_t number = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = conf_peek(parser);
        const char *letter = c ? strchr(letters, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
        if (!letter)
            return conf_fail(parser->reader, parser->here, "%u hexadecimal digits are expected here", digits);
        number = number * 16 + (uint32_t)(letter - letters);
        conf_step(parser);
    }
    *ret_number = number;
    return 0;
}

// \uXXXX as in JSON: beyond U+FFFF two of them, a surrogate pair.
static int read_unicode(struct conf_parser *parser, struct buffer *content)
{
    struct conf_place place = parser->here;
    uint32_t code, low = 0;
    int error = read_hex(parser, 4, &code);
    if (!error && code >= 0xd800 && code < 0xdc00 && conf_follows(parser, BYTES("\\u"))) {
        conf_step(parser);
        conf_step(parser);
        error = read_hex(parser, 4, &low);
        if (low >= 0xdc00 && low < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (error)
        return error;
    if (code == 0 || (code >= 0xd800 && code < 0xe000))
        return conf_fail(parser->reader, place, "this is no character");
    return append_utf8(content, code);
}

static int append_utf8(struct buffer *content, uint32_t code)
{
    char bytes[4];
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(first[size] | code);
    return buffer_append(content, bytes_make(bytes, size));
}
