// SPDX-License-Identifier: Apache-2.0
// Growth of the byte buffer: doubling, from 64 bytes, never beyond the maximum.
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "base/must.h"

#define FIRST_CAP 64

static int append_formatted(struct buffer *buffer, const char *format, va_list args);

void buffer_init(struct buffer *buffer, size_t max_bytes)
{
    *buffer = (struct buffer){.max = max_bytes};
}

void buffer_deinit(struct buffer *buffer)
{
    mem_free(buffer->ptr);
    buffer_init(buffer, buffer->max);
}

char *buffer_reserve(struct buffer *buffer, size_t n)
{
    if (n > buffer->max - buffer->len) {
        return NULL;
    }
    size_t needed = buffer->len + n;
    if (needed > buffer->cap || buffer->cap == 0) {
        size_t cap = buffer->cap < FIRST_CAP / 2 ? FIRST_CAP : buffer->cap * 2;
        cap = cap > buffer->max ? buffer->max : cap;
        cap = cap < needed ? needed : cap;
        buffer->ptr = mem_realloc(buffer->ptr, cap);
        buffer->cap = cap;
    }
    return buffer->ptr + buffer->len;
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int err = append_formatted(buffer, format, args);
    va_end(args);
    return err;
}

void buffer_consume(struct buffer *buffer, size_t n)
{
    must(n <= buffer->len);
    buffer->len -= n;
    if (n != 0 && buffer->len != 0) {
        memmove(buffer->ptr, buffer->ptr + n, buffer->len);
    }
}

void buffer_shrink(struct buffer *buffer)
{
    if (buffer->len == 0) {
        buffer_deinit(buffer);
    }
}

// Formats into the room there is, and again after growing where that was too small. vsnprintf always writes a NUL: text
// that fills the buffer to its maximum leaves no room for one, and takes a detour.
static int append_formatted(struct buffer *buffer, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = buffer->cap - buffer->len;
    int size = vsnprintf(room ? buffer->ptr + buffer->len : NULL, room, format, again);
    va_end(again);
    must(size >= 0);
    size_t len = (size_t)size;
    if (len >= room && !buffer_reserve(buffer, len)) {
        return ERR_TOO_BIG;
    }
    if (len >= room && buffer_reserve(buffer, len + 1)) {
        (void)vsnprintf(buffer->ptr + buffer->len, len + 1, format, args);
    } else if (len >= room) {
        char *text = mem_alloc(len + 1);
        (void)vsnprintf(text, len + 1, format, args);
        memcpy(buffer->ptr + buffer->len, text, len);
        mem_free(text);
    }
    buffer->len += len;
    return 0;
}
