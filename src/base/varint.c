// SPDX-License-Identifier: Apache-2.0
// The general case of reading a varint; the one-byte case is inline in the header.
#include "base/varint.h"

int varint_get_long(struct bytes from, uint64_t *ret_value, size_t *ret_used)
{
    uint64_t value = 0;
    for (size_t i = 0; i < from.len && i < VARINT_MAX_SIZE; i++) {
        uint64_t byte = (unsigned char)from.ptr[i];
        if (i == VARINT_MAX_SIZE - 1 && byte > 1) {
            break; // bits beyond the 64th, or an eleventh byte
        }
        value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *ret_value = value;
            *ret_used = i + 1;
            return 0;
        }
    }
    return ERR_CORRUPT;
}
