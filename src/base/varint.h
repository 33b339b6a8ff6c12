// SPDX-License-Identifier: Apache-2.0
// Variable-length unsigned integers as protobuf has them: seven bits per byte, low ones first, the top bit says that more
// follow. Used by records and by the STAN codec.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#define VARINT_MAX_SIZE 10

// Bytes that varint_put() writes: 1..10.
static inline size_t varint_size(uint64_t value)
{
    unsigned bits = 64u - (unsigned)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

// Writes the value; the caller guarantees varint_size(value) bytes. Returns the byte behind it.
static inline char *varint_put(char *to, uint64_t value)
{
    while (value >= 0x80) {
        *to++ = (char)(unsigned char)(value | 0x80);
        value >>= 7;
    }
    *to++ = (char)(unsigned char)value;
    return to;
}

// The general case of varint_get().
int varint_get_long(struct bytes from, uint64_t *ret_value, size_t *ret_used) MUST_USE;

// Reads one value from the front; *ret_used is its size. ERR_CORRUPT when it is cut off or does not fit 64 bits. Longer
// forms than needed are accepted, as protobuf demands.
MUST_USE static inline int varint_get(struct bytes from, uint64_t *ret_value, size_t *ret_used)
{
    if (from.len > 0 && (unsigned char)from.ptr[0] < 0x80) {
        *ret_value = (unsigned char)from.ptr[0];
        *ret_used = 1;
        return 0;
    }
    return varint_get_long(from, ret_value, ret_used);
}
