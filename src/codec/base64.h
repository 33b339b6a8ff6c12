// SPDX-License-Identifier: Apache-2.0
// Base64 of RFC 4648: nonces and signatures of nkeys, keys of websockets.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

enum base64_kind {
    BASE64_STANDARD, // "+/", padded with "="
    BASE64_RAW_URL,  // "-_", without padding
};

// Characters that n bytes take, padding included; raw takes up to two less.
#define BASE64_ENCODED_LEN(n) (((n) + 2) / 3 * 4)
// At most how many bytes n characters give.
#define BASE64_DECODED_LEN(n) ((n) / 4 * 3 + 2)

// No NUL is written. ERR_TOO_BIG: it does not fit into size.
int base64_encode(struct bytes bytes, enum base64_kind kind, char *ret_text, size_t size, size_t *ret_len) MUST_USE;
// ERR_INVALID: not this kind of base64: a strange character, padding missing or where none belongs, a length that no number of bytes
// has. Bits behind the last byte are ignored, as Go's decoder does. ERR_TOO_BIG: more than size bytes. ret_bytes may have been
// written to.
int base64_decode(struct bytes text, enum base64_kind kind, void *ret_bytes, size_t size, size_t *ret_len) MUST_USE;
