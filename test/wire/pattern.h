// SPDX-License-Identifier: Apache-2.0
// Text of a transcript: literal bytes, escapes and placeholders (README.md has the table). What a client sends is expanded; what a server
// says is matched, which may give values to names.
#pragma once

#include "base/buffer.h"

enum { PATTERN_VARS_MAX = 64 };

struct pattern_var {
    char *name, *value; // owned
    size_t name_len, value_len;
};

struct pattern_vars {
    struct pattern_var list[PATTERN_VARS_MAX];
    size_t count;
};

// Of pattern_expand() and pattern_match(): `${#}` has no meaning here.
#define PATTERN_NO_LENGTH SIZE_MAX

void pattern_vars_init(struct pattern_vars *vars);
void pattern_vars_deinit(struct pattern_vars *vars);
// A name that has a value gets another. Copies both.
void pattern_vars_set(struct pattern_vars *vars, struct bytes name, struct bytes value);
bool pattern_vars_find(const struct pattern_vars *vars, struct bytes name, struct bytes *ret_value);

// Appends what the text stands for; `length` is that of the payload. Returns NULL, or what is wrong with the text.
const char *pattern_expand(struct bytes text, const struct pattern_vars *vars, size_t length, struct buffer *out);
// Only `${name}`, and only of names that have a value: for text in another notation.
void pattern_substitute(struct bytes text, const struct pattern_vars *vars, struct buffer *out);
// Whether all of `actual` is what the text says; then the names in it have their values.
bool pattern_match(struct bytes text, struct bytes actual, size_t length, struct pattern_vars *vars);
// Whether a placeholder of this name ("#", "_", …) is in the text.
bool pattern_has(struct bytes text, struct bytes name);
// How many bytes a placeholder that begins here is long; 0: none does.
size_t pattern_placeholder(struct bytes text);
// `actual` is the JSON of an object that has the fields of `text`, and more perhaps; the strings "${_}", "${name=}" and "${absent}" in
// the text mean what README.md says.
bool pattern_match_json(struct bytes text, struct bytes actual, struct pattern_vars *vars);
