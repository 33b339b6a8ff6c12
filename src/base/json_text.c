// SPDX-License-Identifier: Apache-2.0
#include "base/json_text.h"

#include "base/utf8.h"

static size_t plain_len(struct bytes text);

struct bytes json_text_next(struct bytes *text, char escape[JSON_TEXT_ESCAPE_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    struct bytes plain = bytes_make(text->ptr, plain_len(*text));
    if (plain.len > 0) {
        *text = bytes_skip(*text, plain.len);
        return plain;
    }
    unsigned char c = (unsigned char)text->ptr[0];
    *text = bytes_skip(*text, 1);
    if (c >= 0x80)
        return UTF8_REPLACEMENT;
    escape[0] = '\\';
    escape[1] = (char)c;
    if (c == '"' || c == '\\')
        return bytes_make(escape, 2);
    memcpy(escape + 1, "u00", 3);
    escape[4] = digits[c >> 4];
    escape[5] = digits[c & 15];
    return bytes_make(escape, JSON_TEXT_ESCAPE_SIZE);
}

// How many bytes from the front on need no escape.
static size_t plain_len(struct bytes text)
{
    size_t len = 0;
    while (len < text.len) {
        unsigned char c = (unsigned char)text.ptr[len];
        if (c < ' ' || c == '"' || c == '\\' || c == 0x7f)
            break;
        size_t step = utf8_len(bytes_skip(text, len));
        if (step == 0)
            break;
        len += step;
    }
    return len;
}
