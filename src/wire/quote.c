// SPDX-License-Identifier: Apache-2.0
#include "wire/quote.h"

#include "base/must.h"

// From, to: what Go does not print as it is, of what is valid UTF-8 above ASCII.
static const uint32_t UNPRINTABLE[][2] = {
    {0x80, 0xa0},     {0xad, 0xad},     {0x600, 0x605},   {0x61c, 0x61c},     {0x6dd, 0x6dd},      {0x1680, 0x1680},
    {0x180e, 0x180e}, {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},   {0x3000, 0x3000},    {0xe000, 0xf8ff},
    {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe00ff}, {0xe01f0, 0x10ffff},
};

static size_t decode(struct bytes text, uint32_t *ret_point);
static size_t write_unit(char *at, struct bytes unit, uint32_t point);
static size_t write_hex(char *at, char kind, uint32_t value, int digits);
static bool is_printable(uint32_t point);

size_t quote_next(struct bytes *text, char *ret, size_t size)
{
    size_t len = 0;
    must(size >= QUOTE_UNIT_LEN_MAX);
    while (text->len > 0 && size - len >= QUOTE_UNIT_LEN_MAX) {
        uint32_t point = 0;
        size_t taken = decode(*text, &point);
        if (taken == 0) {
            len += write_hex(ret + len, 'x', (uint8_t)text->ptr[0], 2);
            taken = 1;
        } else {
            len += write_unit(ret + len, bytes_make(text->ptr, taken), point);
        }
        *text = bytes_skip(*text, taken);
    }
    return len;
}

// How many bytes the first code point takes; 0: it is not UTF-8.
static size_t decode(struct bytes text, uint32_t *ret_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t)text.ptr[0];
    size_t len = first < 0x80                    ? 1
                 : first >= 0xf0 && first < 0xf8 ? 4
                 : first >= 0xe0 && first < 0xf0 ? 3
                 : first >= 0xc0 && first < 0xe0 ? 2
                                                 : 0;
    if (len == 0 || len > text.len)
        return 0;
    uint32_t point = len == 1 ? first : first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (((uint8_t)text.ptr[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | ((uint8_t)text.ptr[i] & 0x3f);
    }
    if (point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret_point = point;
    return len;
}

static size_t write_unit(char *at, struct bytes unit, uint32_t point)
{
    static const char names[] = "abtnvfr"; // 7 to 13
    if (point == '"' || point == '\\') {
        at[0] = '\\';
        at[1] = (char)point;
        return 2;
    }
    if (is_printable(point)) {
        memcpy(at, unit.ptr, unit.len);
        return unit.len;
    }
    if (point >= 7 && point <= 13) {
        at[0] = '\\';
        at[1] = names[point - 7];
        return 2;
    }
    if (point < 0x80)
        return write_hex(at, 'x', point, 2);
    return point < 0x10000 ? write_hex(at, 'u', point, 4) : write_hex(at, 'U', point, 8);
}

static size_t write_hex(char *at, char kind, uint32_t value, int digits)
{
    at[0] = '\\';
    at[1] = kind;
    for (int i = 0; i < digits; i++)
        at[2 + i] = "0123456789abcdef"[value >> (4 * (digits - 1 - i)) & 15];
    return (size_t)digits + 2;
}

static bool is_printable(uint32_t point)
{
    if (point < 0x80)
        return point >= ' ' && point != 0x7f;
    for (size_t i = 0; i < sizeof(UNPRINTABLE) / sizeof(UNPRINTABLE[0]); i++)
        if (point >= UNPRINTABLE[i][0] && point <= UNPRINTABLE[i][1])
            return false;
    return true;
}
