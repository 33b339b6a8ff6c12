// SPDX-License-Identifier: Apache-2.0
// UTF-8 as RFC 3629 has it: nothing overlong, no surrogates, nothing above U+10FFFF.
#pragma once

#include "base/buffer.h"

// Bytes of the character at the front of a text that is not empty; 0: there is none.
size_t utf8_len(struct bytes text);
// Appends JSON as Go's decoder reads it: bytes that are no UTF-8, and escapes that are half of a pair, become U+FFFD. ERR_TOO_BIG: past
// the buffer's maximum; three times the text is enough.
int utf8_repair_json(struct bytes json, struct buffer *out) MUST_USE;
