// SPDX-License-Identifier: Apache-2.0
// Writes JSON piece by piece into a buffer, indented by two as nats-server's monitoring does, or on one line. No tree is built. A buffer that
// is full makes the writer fail for good: json_writer_finish() tells.
//
// Keys and order are the caller's; nesting that does not fit is a must(). Strings that are not UTF-8 have the offending
// bytes replaced (U+FFFD), because a page with one bad client name must stay readable.
#pragma once

#include "base/buffer.h"

// How deep objects and arrays may be nested.
#define JSON_WRITER_DEPTH_MAX 16

struct json_writer {
    struct buffer *out; // borrowed
    unsigned depth;
    bool empty;   // the innermost object or array has no member yet
    bool keyed;   // a key was written, its value comes next
    bool compact; // one line, no blanks
    int error;    // the first of the buffer's
    char closing[JSON_WRITER_DEPTH_MAX];
};

void json_writer_init(struct json_writer *writer, struct buffer *out);
// On one line without blanks: for values within something else.
void json_writer_init_compact(struct json_writer *writer, struct buffer *out);
// 0, or ERR_TOO_BIG: what is in the buffer is not complete. Everything opened must be closed.
int json_writer_finish(struct json_writer *writer) MUST_USE;

// One value; within an object after json_writer_key().
void json_writer_begin_object(struct json_writer *writer);
void json_writer_begin_array(struct json_writer *writer);
// Ends the innermost object or array.
void json_writer_end(struct json_writer *writer);
void json_writer_key(struct json_writer *writer, const char *key);
// The same for a key that is somebody's name: it is escaped.
void json_writer_key_bytes(struct json_writer *writer, struct bytes key);
void json_writer_string(struct json_writer *writer, struct bytes value);
void json_writer_u64(struct json_writer *writer, uint64_t value);
void json_writer_i64(struct json_writer *writer, int64_t value);
void json_writer_bool(struct json_writer *writer, bool value);
// Three digits behind the point at most; not a number becomes 0.
void json_writer_double(struct json_writer *writer, double value);

// Members of an object, in one call.
void json_writer_put_string(struct json_writer *writer, const char *key, struct bytes value);
void json_writer_put_u64(struct json_writer *writer, const char *key, uint64_t value);
void json_writer_put_i64(struct json_writer *writer, const char *key, int64_t value);
void json_writer_put_bool(struct json_writer *writer, const char *key, bool value);
void json_writer_put_double(struct json_writer *writer, const char *key, double value);
// A value that is JSON already; it is not looked at.
void json_writer_put_json(struct json_writer *writer, const char *key, struct bytes json);
void json_writer_put_object(struct json_writer *writer, const char *key);
