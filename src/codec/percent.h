// SPDX-License-Identifier: Apache-2.0
// "%2F": how URLs write what cannot stand in them.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/error.h"

// Decodes all of `text`; in queries '+' is a blank. NUL-terminated. ERR_INVALID: a bad escape, or a NUL in it. ERR_TOO_BIG: size is too
// small. ret_text may have been written to.
int percent_decode(struct bytes text, bool is_query, char *ret_text, size_t size) MUST_USE;

// Writes '%', control characters and those in `escaped` as escapes; percent_decode() gives back what it was. Returns the length, of what
// fits into `size` bytes: the rest is left out. No NUL is added.
size_t percent_encode(struct bytes text, const char *escaped, char *ret_text, size_t size);
