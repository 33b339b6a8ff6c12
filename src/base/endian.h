// SPDX-License-Identifier: Apache-2.0
// Little-endian integers in unaligned memory, as all of Weir's formats have them. The caller guarantees that the 2, 4 or
// 8 bytes exist. On a little-endian machine each function is one instruction.
// tidy: prefix put get
#pragma once

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define ENDIAN_LITTLE16(value) __builtin_bswap16(value)
#define ENDIAN_LITTLE32(value) __builtin_bswap32(value)
#define ENDIAN_LITTLE64(value) __builtin_bswap64(value)
#else
#define ENDIAN_LITTLE16(value) (value)
#define ENDIAN_LITTLE32(value) (value)
#define ENDIAN_LITTLE64(value) (value)
#endif

static inline void put_u16(void *to, uint16_t value)
{
    uint16_t little = ENDIAN_LITTLE16(value);
    memcpy(to, &little, sizeof(little));
}

static inline void put_u32(void *to, uint32_t value)
{
    uint32_t little = ENDIAN_LITTLE32(value);
    memcpy(to, &little, sizeof(little));
}

static inline void put_u64(void *to, uint64_t value)
{
    uint64_t little = ENDIAN_LITTLE64(value);
    memcpy(to, &little, sizeof(little));
}

static inline uint16_t get_u16(const void *from)
{
    uint16_t little;
    memcpy(&little, from, sizeof(little));
    return ENDIAN_LITTLE16(little);
}

static inline uint32_t get_u32(const void *from)
{
    uint32_t little;
    memcpy(&little, from, sizeof(little));
    return ENDIAN_LITTLE32(little);
}

static inline uint64_t get_u64(const void *from)
{
    uint64_t little;
    memcpy(&little, from, sizeof(little));
    return ENDIAN_LITTLE64(little);
}
