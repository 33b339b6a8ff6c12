// SPDX-License-Identifier: Apache-2.0
// How every file of a NATS Streaming file store is cut into records (section 6.1 of the reference, IM-01 … IM-05). A file begins with
// its version, 4 bytes; then records, all integers little-endian:
//
//   offset size  record
//        0    4  size of the payload; in typed files the lowest 24 bits are the size and the highest 8 the type
//        4    4  CRC-32 of the payload; 0 and not checked when the store was run with `crc: false`
//        8    …  payload: protobuf
//
// Eight zero bytes where a header should be are the end of the data.
#pragma once

#include "stan/import/filestore_crc.h"

enum {
    FILESTORE_VERSION = 1,
    FILESTORE_VERSION_SIZE = 4,
    FILESTORE_HEADER_SIZE = 8,
    // Of a payload: no server of that kind takes longer messages; a size beyond is damage.
    FILESTORE_PAYLOAD_MAX = (64 << 20) + (64 << 10),
};

enum filestore_finding {
    FILESTORE_RECORD,
    FILESTORE_MORE,       // *ret_used bytes are needed to go on
    FILESTORE_END,        // no record follows
    FILESTORE_TORN,       // the file ends within a record
    FILESTORE_DAMAGED,    // the check does not fit: *ret_used bytes may be passed over
    FILESTORE_IMPOSSIBLE, // no size that a record can have: where the next one begins cannot be known
};

struct filestore_frame {
    uint8_t type;         // 0 in files without types
    struct bytes payload; // borrowed
};

// Looks at the front of `window`, the bytes from a record's beginning on; `at_end`: the file has no more than these. `crc` NULL:
// checks are not looked at. *ret_used: of the record, header included (RECORD, DAMAGED), or bytes needed (MORE).
enum filestore_finding filestore_frame_get(struct bytes window, bool at_end, bool typed,
                                           const struct filestore_crc *crc, struct filestore_frame *ret_frame,
                                           size_t *ret_used);
