// SPDX-License-Identifier: Apache-2.0
// Points in time, in UTC: as JSON shows them, RFC 3339 with as many digits behind the second as are not 0, as Go writes them; and
// as HTTP does.
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"

// "2026-11-23T05:29:31.42514949Z" and its NUL; years have four digits until 2554, where 64 bits of nanoseconds end.
#define TIMESTAMP_TEXT_SIZE 32

void timestamp_format(uint64_t wall_ns, char ret_text[TIMESTAMP_TEXT_SIZE]);

// Of RFC 3339: "2026-11-23T05:29:31Z", with any number of digits behind the second, of which nine count, or with an offset such as +02:00
// instead of the Z. ERR_INVALID: something else, or before 1970 or behind 2554.
int timestamp_parse(struct bytes text, uint64_t *ret_wall_ns) MUST_USE;

// "Mon, 23 Nov 2026 05:29:31 GMT" and its NUL.
#define TIMESTAMP_HTTP_SIZE 30

void timestamp_format_http(uint64_t wall_ns, char ret_text[TIMESTAMP_HTTP_SIZE]);
