// SPDX-License-Identifier: Apache-2.0
// UTF-8 as RFC 3629 has it: nothing overlong, no surrogates, nothing above U+10FFFF.
#pragma once

#include "base/bytes.h"

// What stands for something that is no character, U+FFFD.
#define UTF8_REPLACEMENT BYTES("\xef\xbf\xbd")

// Bytes of the character at the front of a text that is not empty; 0: there is none.
size_t utf8_len(struct bytes text);
