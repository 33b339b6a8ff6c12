// SPDX-License-Identifier: Apache-2.0
#include "codec/utf8.h"

#include "base/number.h"
#include "base/utf8.h"

#define ESCAPE_LEN 6 // \u and four digits

static bool read_escape(struct bytes text, uint32_t *ret_code);
static struct bytes repair_escape(struct bytes rest, size_t *ret_used);

int utf8_repair_json(struct bytes json, struct buffer *out)
{
    int error = 0;
    for (size_t used; json.len > 0 && !error; json = bytes_skip(json, used)) {
        used = utf8_len(json);
        struct bytes text = used ? bytes_make(json.ptr, used) : UTF8_REPLACEMENT;
        used = used ? used : 1;
        if (json.ptr[0] == '\\' && json.len > 1)
            text = repair_escape(json, &used);
        error = buffer_append(out, text);
    }
    return error;
}

static struct bytes repair_escape(struct bytes rest, size_t *ret_used)
{
    uint32_t code, low;
    *ret_used = 2;
    if (!read_escape(rest, &code))
        return bytes_make(rest.ptr, (unsigned char)rest.ptr[1] < 0x80 ? 2 : (*ret_used = 1));
    *ret_used = ESCAPE_LEN;
    if (code < 0xd800 || code >= 0xe000)
        return bytes_make(rest.ptr, ESCAPE_LEN);
    bool is_pair = code < 0xdc00 && read_escape(bytes_skip(rest, ESCAPE_LEN), &low) && low >= 0xdc00 && low < 0xe000;
    if (!is_pair)
        return BYTES("\\ufffd");
    *ret_used = 2 * (size_t)ESCAPE_LEN;
    return bytes_make(rest.ptr, *ret_used);
}

static bool read_escape(struct bytes text, uint32_t *ret_code)
{
    if (text.len < ESCAPE_LEN || text.ptr[0] != '\\' || text.ptr[1] != 'u')
        return false;
    uint32_t code = 0;
    for (size_t i = 2; i < ESCAPE_LEN; i++) {
        int digit = number_hex_digit(text.ptr[i]);
        if (digit < 0)
            return false;
        code = code * 16 + (uint32_t)digit;
    }
    *ret_code = code;
    return true;
}
