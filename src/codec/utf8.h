// SPDX-License-Identifier: Apache-2.0
// JSON that is not UTF-8.
#pragma once

#include "base/buffer.h"

// Appends JSON as Go's decoder reads it: bytes that are no UTF-8, and escapes that are half of a pair, become U+FFFD. ERR_TOO_BIG: past
// the buffer's maximum; three times the text is enough.
int utf8_repair_json(struct bytes json, struct buffer *out) MUST_USE;
