// SPDX-License-Identifier: Apache-2.0
// A protobuf message, field by field, in place. Tag = field number << 3 | wire type; 0 varint, 1 eight bytes, 2 length and bytes,
// 5 four bytes.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

enum { FIELD_VARINT = 0, FIELD_FIXED64 = 1, FIELD_BYTES = 2, FIELD_FIXED32 = 5 };

struct field {
    uint32_t number;    // 1 … 2^29-1
    uint32_t type;      // one of the above
    uint64_t value;     // FIELD_VARINT
    struct bytes bytes; // FIELD_BYTES: borrowed from the message; else len 0
};

// Takes the field at the front of *from off. A tag and a length have at most 5 bytes, as every protobuf library writes them and
// protobuf-c demands. ERR_PROTOCOL: a length past the end, a group, or no field at all.
int field_next(struct bytes *from, struct field *ret) MUST_USE;
