// SPDX-License-Identifier: Apache-2.0
// Decimal numbers in protocol text, hexadecimal ones in names and escapes. Durations and sizes with units are codec/'s.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#define NUMBER_MAX_DIGITS 20

// Digits only: no sign, no blanks, at least one; leading zeros are fine. ERR_INVALID for other text, ERR_TOO_BIG above max.
int number_parse_u64(struct bytes text, uint64_t max, uint64_t *ret) MUST_USE;
// Writes the shortest decimal form, without a NUL, and returns its length, 1..20.
size_t number_format_u64(char out[NUMBER_MAX_DIGITS], uint64_t value);
// Exactly so many hexadecimal digits, 1..16, without capitals, at the front of a text, which may end before: ERR_INVALID.
int number_parse_hex(const char *text, unsigned digits, uint64_t *ret) MUST_USE;

// 0..15, of small letters and capitals; -1: none.
static inline int number_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}
