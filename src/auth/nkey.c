// SPDX-License-Identifier: Apache-2.0
#include "auth/nkey.h"

#include "base/must.h"
#include "codec/base32.h"

#define PREFIX_USER (20 << 3) // the first five bits are the letter "U"
#define RAW_LEN     (1 + NKEY_KEY_LEN + 2)

static uint16_t checksum(const uint8_t *bytes, size_t len);

int nkey_decode_user(struct bytes text, uint8_t ret_key[NKEY_KEY_LEN])
{
    uint8_t raw[RAW_LEN];
    size_t len = 0;
    if (text.len != NKEY_TEXT_LEN || base32_decode(text, raw, sizeof(raw), &len) != 0 || len != RAW_LEN)
        return ERR_INVALID;
    uint16_t sum = checksum(raw, RAW_LEN - 2);
    if (raw[0] != PREFIX_USER || raw[RAW_LEN - 2] != (sum & 0xff) || raw[RAW_LEN - 1] != sum >> 8)
        return ERR_INVALID;
    memcpy(ret_key, raw + 1, NKEY_KEY_LEN);
    return 0;
}

void nkey_encode_user(const uint8_t key[NKEY_KEY_LEN], char ret_text[NKEY_TEXT_LEN])
{
    uint8_t raw[RAW_LEN] = {PREFIX_USER};
    memcpy(raw + 1, key, NKEY_KEY_LEN);
    uint16_t sum = checksum(raw, RAW_LEN - 2);
    raw[RAW_LEN - 2] = sum & 0xff;
    raw[RAW_LEN - 1] = (uint8_t)(sum >> 8);
    size_t len = 0;
    must(base32_encode(bytes_make(raw, RAW_LEN), ret_text, NKEY_TEXT_LEN, &len) == 0);
    must(len == NKEY_TEXT_LEN);
}

static uint16_t checksum(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum ^= (uint32_t)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            sum = sum & 0x8000 ? sum << 1 ^ 0x1021 : sum << 1;
        sum &= 0xffff;
    }
    return (uint16_t)sum;
}
