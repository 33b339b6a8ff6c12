// SPDX-License-Identifier: Apache-2.0
// A struct as a flat JSON object, by a table of its fields (INFO and CONNECT of the client protocol are such objects).
#pragma once

#include "base/bytes.h"
#include "base/error.h"

enum json_field_type {
    JSON_FIELD_BYTES, // struct bytes; a JSON string
    JSON_FIELD_BOOL,  // bool
    JSON_FIELD_INT,   // int
    JSON_FIELD_U16,   // uint16_t
    JSON_FIELD_U64,   // uint64_t up to INT64_MAX
    JSON_FIELD_I64,   // int64_t
    JSON_FIELD_LIST,  // struct bytes; read: an array of strings, joined by commas. Never written
};

struct json_field {
    const char *name;
    size_t offset; // in the struct
    uint8_t type;  // enum json_field_type
    bool always;   // written even when empty, false or 0
};

// Once, at a program's start: jansson gets our allocator and a fixed hash seed, so that it reads nothing from the machine and
// behaves the same in every run. Hostile keys are few: the caller bounds the text.
void json_fields_init(void);

// Reads the object into `base`; unknown members are ignored, absent and null ones leave the field alone. `*ret_owned` is
// the memory of all strings (free it with mem_free()). ERR_INVALID: not one JSON object, or a member of the wrong type or
// out of range; then there is nothing to free and `base` is unspecified. What is no UTF-8 in a string is read as U+FFFD, as by Go's
// library, and so by nats-server.
int json_fields_read(struct bytes json, const struct json_field *fields, size_t count, void *base,
                     char **ret_owned) MUST_USE;

// Writes "<verb> {…}\r\n". ERR_TOO_BIG; ERR_INVALID when a string is not UTF-8.
int json_fields_write(const char *verb, const struct json_field *fields, size_t count, const void *base, char *ret_line,
                      size_t size, size_t *ret_len) MUST_USE;
