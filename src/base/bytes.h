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

static inline uint64_t bytes_load64(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

// Short ones, which subjects and names are, without a call: from 8 to 32 bytes as loads of eight that may overlap.
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    if (a.len < 8 || a.len > 32)
        return a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0;
    size_t last = a.len - 8;
    uint64_t differences = bytes_load64(a.ptr + last) ^ bytes_load64(b.ptr + last);
    for (size_t i = 0; i < last; i += 8)
        differences |= bytes_load64(a.ptr + i) ^ bytes_load64(b.ptr + i);
    return differences == 0;
}

// The same but for the case of ASCII letters.
static inline bool bytes_equal_fold(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        char x = a.ptr[i] >= 'A' && a.ptr[i] <= 'Z' ? (char)(a.ptr[i] + ('a' - 'A')) : a.ptr[i];
        char y = b.ptr[i] >= 'A' && b.ptr[i] <= 'Z' ? (char)(b.ptr[i] + ('a' - 'A')) : b.ptr[i];
        if (x != y)
            return false;
    }
    return true;
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

// Without blanks and tabs at both ends.
static inline struct bytes bytes_trim(struct bytes text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = bytes_skip(text, 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

// For printf("%.*s", BYTES_ARG(b)).
#define BYTES_ARG(b) (int)(b).len, (b).ptr
