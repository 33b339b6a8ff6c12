// SPDX-License-Identifier: Apache-2.0
// Somebody's request as a JSON object, read strictly by a table of its fields: a name that is not in the table, or not among those that
// this request may have, is refused, so that a misspelt field is not taken for one left out. null counts as left out.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

enum json_request_type {
    JSON_REQUEST_TEXT,   // struct bytes: a string, borrowed from the tree; max: its bytes
    JSON_REQUEST_FLAG,   // bool
    JSON_REQUEST_NUMBER, // uint64_t from min to max
    JSON_REQUEST_NUMBERS, // struct json_request_numbers: an array of numbers from min to max; with a min above 0 not an empty one
    JSON_REQUEST_OBJECT, // fields of a table of its own, which lie in the same struct
};

enum { JSON_REQUEST_NUMBERS_MAX = 1000, JSON_REQUEST_TEXT_SIZE = 256 };

struct json_request_numbers {
    size_t count;
    uint64_t at[JSON_REQUEST_NUMBERS_MAX];
};

struct json_request_table;

struct json_request_field {
    const char *name;
    size_t offset; // in the struct
    uint8_t type;  // enum json_request_type
    uint64_t min, max;
    const struct json_request_table *table; // OBJECT
};

struct json_request_table {
    const struct json_request_field *fields; // at most 64
    size_t count;
    size_t present; // offset of a uint64_t in the struct: bit n is set if field n was there
};

enum json_request_problem {
    JSON_REQUEST_NO_OBJECT, // not JSON, too deep, a name twice, or no object
    JSON_REQUEST_UNKNOWN,   // a name
    JSON_REQUEST_VALUE,     // of a wrong type or out of range
};

struct json_request_error {
    enum json_request_problem problem;
    char field[64]; // its name, or the beginning of it, "config.max_msgs" within an object; empty: none
    char text[JSON_REQUEST_TEXT_SIZE]; // for people
};

// Reads `json` (nothing at all: an object without fields) into `base`, where absent fields are left alone. `allowed`: bit n: field n of
// the table may be there. *ret_tree: to be freed with json_request_free() when the texts are not needed any more. ERR_INVALID: then there is
// nothing to free, *ret_error says why, and `base` is unspecified.
int json_request_read(struct bytes json, const struct json_request_table *table, uint64_t allowed, void *base,
                      void **ret_tree, struct json_request_error *ret_error) MUST_USE;
void json_request_free(void *tree);
