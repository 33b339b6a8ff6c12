// SPDX-License-Identifier: Apache-2.0
// Base32 of RFC 4648 in upper case without padding, which is how nkeys are written.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

// Characters that n bytes take, and at most how many bytes n characters give.
#define BASE32_ENCODED_LEN(n) (((n)*8 + 4) / 5)
#define BASE32_DECODED_LEN(n) ((n)*5 / 8)

// Writes BASE32_ENCODED_LEN(bytes.len) characters, no NUL; ERR_TOO_BIG when they are more than size.
int base32_encode(struct bytes bytes, char *ret_text, size_t size, size_t *ret_len) MUST_USE;
// ERR_INVALID: a character that is none of the 32 (small letters are none), a length that no number of bytes has, or
// bits behind the last byte that are not zero; ERR_TOO_BIG: more than size bytes. ret_bytes may have been written to.
int base32_decode(struct bytes text, void *ret_bytes, size_t size, size_t *ret_len) MUST_USE;
