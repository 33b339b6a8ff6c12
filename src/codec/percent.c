// SPDX-License-Identifier: Apache-2.0
#include "codec/percent.h"

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
