// SPDX-License-Identifier: Apache-2.0
// Text to number and back, without locale and without the permissiveness of strtoul().
#include "base/number.h"

int number_parse_u64(struct bytes text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    bool too_big = false;
    if (text.len == 0) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9) {
            return ERR_INVALID;
        }
        too_big |= value > UINT64_MAX / 10 || (value == UINT64_MAX / 10 && digit > UINT64_MAX % 10);
        value = value * 10 + digit;
    }
    if (too_big || value > max) {
        return ERR_TOO_BIG;
    }
    *ret = value;
    return 0;
}

size_t number_format_u64(char out[NUMBER_MAX_DIGITS], uint64_t value)
{
    char digits[NUMBER_MAX_DIGITS];
    size_t at = NUMBER_MAX_DIGITS;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memcpy(out, digits + at, NUMBER_MAX_DIGITS - at);
    return NUMBER_MAX_DIGITS - at;
}

int number_parse_hex(const char *text, unsigned digits, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < digits; i++) {
        int digit = text[i] >= 'A' && text[i] <= 'F' ? -1 : number_hex_digit(text[i]);
        if (digit < 0)
            return ERR_INVALID;
        value = value << 4 | (unsigned)digit;
    }
    *ret = value;
    return 0;
}
