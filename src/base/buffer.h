// SPDX-License-Identifier: Apache-2.0
// A growable run of bytes with a maximum. Embedded in its owner; one thread. Storage is allocated at the first append
// and doubles; all pointers into it (buffer_bytes, buffer_reserve) are invalid after the next call that may grow it.
// A call that fails leaves the buffer as it was.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

struct buffer {
    char *ptr;  // owned; NULL while cap is 0
    size_t len; // bytes in use
    size_t cap; // bytes allocated
    size_t max; // len never exceeds this
};

// No allocation. max_bytes is what the content may grow to.
void buffer_init(struct buffer *buffer, size_t max_bytes);
// Frees the storage; the buffer is then as after buffer_init().
void buffer_deinit(struct buffer *buffer);

// Makes room for n more bytes and returns where they go; NULL when they would pass max. Written bytes count only after
// buffer_commit().
char *buffer_reserve(struct buffer *buffer, size_t n);
// The printf family without its NUL; ERR_TOO_BIG past max.
int buffer_printf(struct buffer *buffer, const char *format, ...) MUST_USE __attribute__((format(printf, 2, 3)));
// Drops the first n bytes (n <= len) and moves the rest down: free when all is dropped, a memmove otherwise.
void buffer_consume(struct buffer *buffer, size_t n);
// Frees the storage if the buffer is empty, so that an idle owner costs nothing.
void buffer_shrink(struct buffer *buffer);

// n bytes of the last buffer_reserve() have been written; n is at most what was reserved.
static inline void buffer_commit(struct buffer *buffer, size_t n)
{
    buffer->len += n;
}

// Drops the content, keeps the storage.
static inline void buffer_clear(struct buffer *buffer)
{
    buffer->len = 0;
}

// A view of the content, borrowed until the next change.
static inline struct bytes buffer_bytes(const struct buffer *buffer)
{
    return bytes_make(buffer->ptr, buffer->len);
}

// Copies bytes to the end (they may not lie in this buffer); ERR_TOO_BIG past max.
MUST_USE static inline int buffer_append(struct buffer *buffer, struct bytes bytes)
{
    if (buffer->cap - buffer->len < bytes.len && !buffer_reserve(buffer, bytes.len)) {
        return ERR_TOO_BIG;
    }
    if (bytes.len != 0) {
        memcpy(buffer->ptr + buffer->len, bytes.ptr, bytes.len);
        buffer->len += bytes.len;
    }
    return 0;
}

// One byte; ERR_TOO_BIG past max.
MUST_USE static inline int buffer_append_char(struct buffer *buffer, char c)
{
    return buffer_append(buffer, bytes_make(&c, 1));
}
