// SPDX-License-Identifier: Apache-2.0
#include "stan/field.h"

#include "base/varint.h"

int field_next(struct bytes *from, struct field *ret)
{
    uint64_t tag, length;
    size_t used;
    if (varint_get(*from, &tag, &used) || used > 5 || tag >> 32 || tag >> 3 == 0)
        return ERR_PROTOCOL;
    *from = bytes_skip(*from, used);
    ret->number = (uint32_t)(tag >> 3);
    ret->type = (uint32_t)(tag & 7);
    ret->bytes = (struct bytes){0};
    switch (ret->type) {
    case FIELD_VARINT:
        if (varint_get(*from, &ret->value, &used))
            return ERR_PROTOCOL;
        *from = bytes_skip(*from, used);
        return 0;
    case FIELD_BYTES:
        if (varint_get(*from, &length, &used) || used > 5 || length > from->len - used)
            return ERR_PROTOCOL;
        ret->bytes = bytes_make(from->ptr + used, length);
        *from = bytes_skip(*from, used + length);
        return 0;
    case FIELD_FIXED64:
    case FIELD_FIXED32:
        length = ret->type == FIELD_FIXED64 ? 8 : 4;
        if (from->len < length)
            return ERR_PROTOCOL;
        *from = bytes_skip(*from, length);
        return 0;
    default: return ERR_PROTOCOL;
    }
}
