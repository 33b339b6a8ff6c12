// SPDX-License-Identifier: Apache-2.0
// Text from strangers between quotes, on one line: as Go's %q writes it, since that is what clients see in the errors of
// nats-server (CO-P14). `a"b` and a line feed become `a\"b` and `\n`; printable UTF-8 stays; bytes that are none become `\xff`.
//
// Code points that Unicode has not assigned count as printable here; Go's tables know better.
#pragma once

#include "base/bytes.h"

#define QUOTE_UNIT_LEN_MAX 10 // "\U0010ffff"

// Writes as much of *text as surely fits into size (at least QUOTE_UNIT_LEN_MAX) and takes it from *text. Returns the length; 0: nothing
// is left. The quotes around it are the caller's.
size_t quote_next(struct bytes *text, char *ret, size_t size);
