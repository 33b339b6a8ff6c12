// SPDX-License-Identifier: Apache-2.0
// What the files of struct options share: the flags of each persona.
// tidy: prefix options
#pragma once

#include "server/flag.h"
#include "server/options.h"

// The flags that a persona knows, static, their values' places in struct options.
const struct flag *options_flags(enum options_persona persona, size_t *ret_count);
