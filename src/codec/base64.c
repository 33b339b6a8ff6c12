// SPDX-License-Identifier: Apache-2.0
#include "codec/base64.h"

static int digit_value(char digit, enum base64_kind kind);
static int strip_padding(struct bytes *text);

int base64_encode(struct bytes bytes, enum base64_kind kind, char *ret_text, size_t size, size_t *ret_len)
{
    static const char *const tails[] = {[BASE64_STANDARD] = "+/", [BASE64_RAW_URL] = "-_"};
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t rest = bytes.len % 3, needed = bytes.len / 3 * 4 + (rest ? rest + 1 : 0);
    size_t padding = kind == BASE64_STANDARD && rest ? 3 - rest : 0;
    if (bytes.len > SIZE_MAX / 2 || needed + padding > size)
        return ERR_TOO_BIG;
    for (size_t i = 0; i < needed; i++) {
        size_t at = i / 4 * 3 + i % 4; // the byte whose upper bits this digit needs
        uint32_t low = at < bytes.len && i % 4 != 3 ? (uint8_t)bytes.ptr[at] : 0;
        uint32_t high = i % 4 ? (uint8_t)bytes.ptr[at - 1] : 0;
        uint32_t value = (high << 8 | low) >> (2 + i % 4 * 2) & 63;
        if (i % 4 == 3)
            value = high & 63;
        ret_text[i] = value < 62 ? digits[value] : tails[kind][value - 62];
    }
    memset(ret_text + needed, '=', padding);
    *ret_len = needed + padding;
    return 0;
}

int base64_decode(struct bytes text, enum base64_kind kind, void *ret_bytes, size_t size, size_t *ret_len)
{
    if (kind == BASE64_STANDARD && strip_padding(&text))
        return ERR_INVALID;
    if (text.len % 4 == 1)
        return ERR_INVALID;
    uint8_t *bytes = ret_bytes;
    uint32_t window = 0;
    unsigned bits = 0;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int value = digit_value(text.ptr[i], kind);
        if (value < 0)
            return ERR_INVALID;
        window = (window << 6 | (uint32_t)value) & 0xffff;
        bits += 6;
        if (bits < 8)
            continue;
        if (len == size)
            return ERR_TOO_BIG;
        bits -= 8;
        bytes[len++] = (uint8_t)(window >> bits);
    }
    *ret_len = len;
    return 0;
}

// Takes off the one or two "=" that fill the last four characters.
static int strip_padding(struct bytes *text)
{
    if (text->len % 4)
        return ERR_INVALID;
    for (int i = 0; i < 2 && text->len > 0 && text->ptr[text->len - 1] == '='; i++)
        text->len--;
    return 0;
}

static int digit_value(char digit, enum base64_kind kind)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    if (digit == (kind == BASE64_STANDARD ? '+' : '-'))
        return 62;
    return digit == (kind == BASE64_STANDARD ? '/' : '_') ? 63 : -1;
}
