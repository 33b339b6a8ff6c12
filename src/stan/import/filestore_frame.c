// SPDX-License-Identifier: Apache-2.0
#include "stan/import/filestore_frame.h"

#include "base/endian.h"

enum filestore_finding filestore_frame_get(struct bytes window, bool at_end, bool typed,
                                           const struct filestore_crc *crc, struct filestore_frame *ret_frame,
                                           size_t *ret_used)
{
    *ret_used = FILESTORE_HEADER_SIZE;
    if (window.len < FILESTORE_HEADER_SIZE)
        return !at_end ? FILESTORE_MORE : window.len == 0 ? FILESTORE_END : FILESTORE_TORN;
    uint32_t head = get_u32(window.ptr), check = get_u32(window.ptr + 4);
    if (head == 0 && check == 0)
        return FILESTORE_END;
    size_t size = typed ? head & 0xffffff : head;
    if (size > FILESTORE_PAYLOAD_MAX)
        return FILESTORE_IMPOSSIBLE;
    *ret_used = FILESTORE_HEADER_SIZE + size;
    if (window.len < *ret_used)
        return at_end ? FILESTORE_TORN : FILESTORE_MORE;
    ret_frame->type = typed ? (uint8_t)(head >> 24) : 0;
    ret_frame->payload = bytes_make(window.ptr + FILESTORE_HEADER_SIZE, size);
    return crc && filestore_crc_of(crc, ret_frame->payload) != check ? FILESTORE_DAMAGED : FILESTORE_RECORD;
}
