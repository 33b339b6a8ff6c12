// SPDX-License-Identifier: Apache-2.0
#include "codec/percent.h"

#include <string.h>

#include "base/number.h"

int percent_decode(struct bytes text, bool is_query, char *ret_text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i] == '+' && is_query ? ' ' : text.ptr[i];
        if (c == '%') {
            if (text.len - i < 3 || number_hex_digit(text.ptr[i + 1]) < 0 || number_hex_digit(text.ptr[i + 2]) < 0)
                return ERR_INVALID;
            c = (char)(number_hex_digit(text.ptr[i + 1]) * 16 + number_hex_digit(text.ptr[i + 2]));
            i += 2;
        }
        if (c == '\0')
            return ERR_INVALID;
        if (used + 1 >= size)
            return ERR_TOO_BIG;
        ret_text[used++] = c;
    }
    if (used >= size)
        return ERR_TOO_BIG;
    ret_text[used] = '\0';
    return 0;
}

size_t percent_encode(struct bytes text, const char *escaped, char *ret_text, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t used = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = c > 0x1f && c != 0x7f && c != '%' && !strchr(escaped, c);
        if (size - used < (plain ? 1 : 3))
            break;
        if (plain) {
            ret_text[used++] = (char)c;
            continue;
        }
        ret_text[used++] = '%';
        ret_text[used++] = digits[c >> 4];
        ret_text[used++] = digits[c & 15];
    }
    return used;
}
