// SPDX-License-Identifier: Apache-2.0
// Protobuf messages written as text: pb{1:"client" 3:1}. Written for the transcripts alone, so that a mistake in the server's encoder
// is not made twice. Two kinds of fields: bytes in quotes, and numbers (varint). Placeholders of pattern.h in both.
#pragma once

#include "pattern.h"

bool proto_fields_is(struct bytes text);
// Appends the message. Returns NULL, or what is wrong with the text.
const char *proto_fields_encode(struct bytes text, const struct pattern_vars *vars, struct buffer *out);
// Whether the message has exactly these fields, in this order, in the shortest form.
bool proto_fields_match(struct bytes text, struct bytes actual, struct pattern_vars *vars);
// The message as such a text, for people; what cannot be read as one comes as escaped bytes.
void proto_fields_print(struct bytes message, struct buffer *out);
