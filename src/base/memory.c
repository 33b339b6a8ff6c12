// SPDX-License-Identifier: Apache-2.0
// malloc and its family, with the abort that makes every caller's NULL check unnecessary. Never keeps state: tests count
// allocations by interposing malloc.
// tidy: prefix mem
#include "base/memory.h"

#include <stdlib.h>

#include "base/must.h"

static void *check(void *ptr);

void *mem_alloc(size_t size)
{
    return check(malloc(size ? size : 1));
}

void *mem_alloc_zero(size_t size)
{
    return check(calloc(1, size ? size : 1));
}

void *mem_realloc(void *ptr, size_t size)
{
    return check(realloc(ptr, size ? size : 1));
}

void mem_free(void *ptr)
{
    free(ptr);
}

void *mem_alloc_aligned(size_t align, size_t size)
{
    void *ptr = NULL;
    int failed = posix_memalign(&ptr, align, size ? size : 1);
    must(!failed);
    return check(ptr);
}

char *mem_copy_string(struct bytes bytes)
{
    char *string = mem_alloc(bytes.len + 1);
    if (bytes.len != 0) {
        memcpy(string, bytes.ptr, bytes.len);
    }
    string[bytes.len] = 0;
    return string;
}

void *mem_copy(struct bytes bytes)
{
    void *copy = mem_alloc(bytes.len);
    if (bytes.len != 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    return copy;
}

static void *check(void *ptr)
{
    must(ptr != NULL && "out of memory");
    return ptr;
}
