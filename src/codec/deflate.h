// SPDX-License-Identifier: Apache-2.0
// Compressed messages of websockets (RFC 7692) without context takeover: every message is deflated on its own, and the empty
// block that ends each, always 00 00 ff ff, is not sent. On zlib, with our memory.
#pragma once

#include "base/buffer.h"

struct inflater;
struct deflater;

// About 40 KB; one message at a time.
struct inflater *inflater_new(void);
void inflater_free(struct inflater *inflater);
// A new message, of at most max_size bytes when inflated.
void inflater_begin(struct inflater *inflater, uint64_t max_size);
// Inflates the front of *input into `to`, at most `size` > 0 bytes, and advances *input. `last`: the message ends behind *input.
// Call it again until *input is empty and *ret_len < size. ERR_CORRUPT; ERR_TOO_BIG: more than max_size; then it must begin anew.
int inflater_step(struct inflater *inflater, struct bytes *input, bool last, char *to, size_t size,
                  size_t *ret_len) MUST_USE;

// About 260 KB. For many connections: it keeps nothing between messages.
struct deflater *deflater_new(void);
void deflater_free(struct deflater *deflater);
// Replaces the buffer's content by the parts, one behind the other, deflated. ERR_TOO_BIG: longer than the buffer's maximum.
int deflater_message(struct deflater *deflater, const struct bytes *parts, size_t count, struct buffer *out) MUST_USE;
