// SPDX-License-Identifier: Apache-2.0
#include "codec/base32.h"

static int digit_value(char digit);

int base32_encode(struct bytes bytes, char *ret_text, size_t size, size_t *ret_len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    if (bytes.len > SIZE_MAX / 8 - 1 || BASE32_ENCODED_LEN(bytes.len) > size)
        return ERR_TOO_BIG;
    uint32_t window = 0;
    unsigned bits = 0;
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        window = (window << 8 | (uint8_t)bytes.ptr[i]) & 0xffff;
        for (bits += 8; bits >= 5; bits -= 5)
            ret_text[len++] = digits[window >> (bits - 5) & 31];
    }
    if (bits)
        ret_text[len++] = digits[window << (5 - bits) & 31];
    *ret_len = len;
    return 0;
}

int base32_decode(struct bytes text, void *ret_bytes, size_t size, size_t *ret_len)
{
    uint8_t *bytes = ret_bytes;
    uint32_t window = 0;
    unsigned bits = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = digit_value(text.ptr[i]);
        if (value < 0)
            return ERR_INVALID;
        window = (window << 5 | (uint32_t)value) & 0xffff;
        bits += 5;
        if (bits < 8)
            continue;
        if (len == size)
            return ERR_TOO_BIG;
        bits -= 8;
        bytes[len++] = (uint8_t)(window >> bits);
    }
    if (bits >= 5 || (window & ((1u << bits) - 1)))
        return ERR_INVALID;
    *ret_len = len;
    return 0;
}

static int digit_value(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    return digit >= '2' && digit <= '7' ? digit - '2' + 26 : -1;
}
