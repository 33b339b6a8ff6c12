// SPDX-License-Identifier: Apache-2.0
// A configuration's values as JSON in one line, keys in byte order: the text whose SHA-256 nats-server shows as the digest of a
// configuration (comments, spelling and order make no difference; includes and variables are their values). It holds secrets.
// tidy: prefix conf_json
#pragma once

#include "codec/conf.h"

// With a line's end behind it. ERR_TOO_BIG.
int conf_json_write(const struct conf_value *value, struct buffer *out) MUST_USE;
