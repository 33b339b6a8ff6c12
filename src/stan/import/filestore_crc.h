// SPDX-License-Identifier: Apache-2.0
// CRC-32 with any polynomial: stores of NATS Streaming say which (--file_crc_poly), IEEE unless told otherwise.
#pragma once

#include "base/bytes.h"

// As Go has them: bits reversed, without the highest term.
#define FILESTORE_CRC_IEEE 0xedb88320u

struct filestore_crc {
    uint32_t table[8][256]; // eight bytes at a time
};

void filestore_crc_init(struct filestore_crc *crc, uint32_t polynomial);
uint32_t filestore_crc_of(const struct filestore_crc *crc, struct bytes bytes);
