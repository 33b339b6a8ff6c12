// SPDX-License-Identifier: Apache-2.0
#include "auth/nkey.h"

#include "base/must.h"
#include "codec/base32.h"

#define PREFIX_USER (20 << 3) // the first five bits are the letter "U"
#define PREFIX_SEED (18 << 3) // "S"
#define RAW_LEN     (1 + NKEY_KEY_LEN + 2)
#define RAW_SEED    (2 + NKEY_SEED_LEN + 2)

static int decode(struct bytes text, uint8_t *raw, size_t raw_len);
static uint16_t checksum(const uint8_t *bytes, size_t len);

int nkey_decode_user(struct bytes text, uint8_t ret_key[NKEY_KEY_LEN])
{
    uint8_t raw[RAW_LEN];
    if (decode(text, raw, sizeof(raw)) || raw[0] != PREFIX_USER)
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

// The second prefix follows the first's five bits at once.
int nkey_decode_user_seed(struct bytes text, uint8_t ret_seed[NKEY_SEED_LEN])
{
    uint8_t raw[RAW_SEED];
    if (decode(text, raw, sizeof(raw)) || raw[0] != (PREFIX_SEED | PREFIX_USER >> 5) ||
        raw[1] != (uint8_t)(PREFIX_USER << 3))
        return ERR_INVALID;
    memcpy(ret_seed, raw + 2, NKEY_SEED_LEN);
    return 0;
}

static int decode(struct bytes text, uint8_t *raw, size_t raw_len)
{
    size_t len = 0;
    if (text.len != BASE32_ENCODED_LEN(raw_len) || base32_decode(text, raw, raw_len, &len) != 0 || len != raw_len)
        return ERR_INVALID;
    uint16_t sum = checksum(raw, raw_len - 2);
    return raw[raw_len - 2] == (sum & 0xff) && raw[raw_len - 1] == sum >> 8 ? 0 : ERR_INVALID;
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
