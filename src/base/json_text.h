// SPDX-License-Identifier: Apache-2.0
// What stands between the quotation marks of a JSON string: UTF-8 whatever it is made of, on one line.
#pragma once

#include "base/bytes.h"

// Of an escape: \u0000
#define JSON_TEXT_ESCAPE_SIZE 6

// Takes bytes off the front of a text that is not empty, and gives what stands for them: these, as many as need no escape, or the escape
// of one, which is written to the caller's array. What is not UTF-8 becomes U+FFFD, byte by byte.
struct bytes json_text_next(struct bytes *text, char escape[JSON_TEXT_ESCAPE_SIZE]);
