// SPDX-License-Identifier: Apache-2.0
// Names of channels and clients, as the servers we replace accept them.
#pragma once

#include "base/bytes.h"

enum { CHANNEL_NAME_MAX = 1000 }; // bytes

// Not empty, no leading, trailing or double '.', no '/', '*' or '>' (ST-E01, ST-B17); beyond upstream: valid UTF-8, no NUL and at
// most CHANNEL_NAME_MAX bytes.
bool channel_name_is_valid(struct bytes name);
// ^[a-zA-Z0-9_-]+$ (ST-P01, ST-E06), at most 256 bytes.
bool channel_client_id_is_valid(struct bytes id);
// Well-formed UTF-8: no overlong forms, surrogates or code points above 10FFFF.
bool channel_text_is_valid(struct bytes text);
