// SPDX-License-Identifier: Apache-2.0
// Decimal numbers in protocol text. Durations and sizes with units are codec/'s.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

#define NUMBER_MAX_DIGITS 20

// Digits only: no sign, no blanks, at least one; leading zeros are fine. ERR_INVALID for other text, ERR_TOO_BIG above max.
int number_parse_u64(struct bytes text, uint64_t max, uint64_t *ret) MUST_USE;
// Writes the shortest decimal form, without a NUL, and returns its length, 1..20.
size_t number_format_u64(char out[NUMBER_MAX_DIGITS], uint64_t value);
