// SPDX-License-Identifier: Apache-2.0
#include "stan/import/filestore_crc.h"

#include "base/endian.h"

void filestore_crc_init(struct filestore_crc *crc, uint32_t polynomial)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? polynomial : 0);
        crc->table[0][i] = value;
    }
    for (int t = 1; t < 8; t++) {
        for (uint32_t i = 0; i < 256; i++)
            crc->table[t][i] = crc->table[t - 1][i] >> 8 ^ crc->table[0][crc->table[t - 1][i] & 0xff];
    }
}

uint32_t filestore_crc_of(const struct filestore_crc *crc, struct bytes bytes)
{
    uint32_t value = UINT32_MAX;
    for (; bytes.len >= 8; bytes = bytes_skip(bytes, 8)) {
        uint32_t low = get_u32(bytes.ptr) ^ value, high = get_u32(bytes.ptr + 4);
        value = crc->table[7][low & 0xff] ^ crc->table[6][low >> 8 & 0xff] ^ crc->table[5][low >> 16 & 0xff] ^
                crc->table[4][low >> 24] ^ crc->table[3][high & 0xff] ^ crc->table[2][high >> 8 & 0xff] ^
                crc->table[1][high >> 16 & 0xff] ^ crc->table[0][high >> 24];
    }
    for (size_t i = 0; i < bytes.len; i++)
        value = value >> 8 ^ crc->table[0][(value ^ (uint8_t)bytes.ptr[i]) & 0xff];
    return ~value;
}
