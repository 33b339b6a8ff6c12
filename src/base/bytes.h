// SPDX-License-Identifier: Apache-2.0
// Bytes by value: a borrowed view of memory that somebody else owns. Never NUL-terminated by promise.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const char *ptr; // borrowed; may be NULL only when len is 0
    size_t len;      // bytes
};

// A literal without its NUL: BYTES("abc").len == 3. Literals only.
#define BYTES(literal) ((struct bytes){"" literal "", sizeof(literal) - 1})

static inline struct bytes bytes_make(const void *ptr, size_t len)
{
    return (struct bytes){(const char *)ptr, len};
}

static inline struct bytes bytes_from_string(const char *string)
{
    return (struct bytes){string, string ? strlen(string) : 0};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

// Like memcmp, then the shorter first.
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline bool bytes_starts_with(struct bytes whole, struct bytes prefix)
{
    return whole.len >= prefix.len && (prefix.len == 0 || memcmp(whole.ptr, prefix.ptr, prefix.len) == 0);
}

// The rest of `whole` from `offset` on; offset must be <= whole.len.
static inline struct bytes bytes_skip(struct bytes whole, size_t offset)
{
    return (struct bytes){whole.ptr + offset, whole.len - offset};
}

// For printf("%.*s", BYTES_ARG(b)).
#define BYTES_ARG(b) (int)(b).len, (b).ptr
