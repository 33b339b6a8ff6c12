// SPDX-License-Identifier: Apache-2.0
// Numbers of bytes as people write them: "1024", "64K", "64KB", "10M", "1G", "2T", of 1024, in capitals or not.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

// ERR_INVALID for other text, ERR_TOO_BIG above INT64_MAX bytes.
int size_parse(struct bytes text, uint64_t *ret_bytes) MUST_USE;
