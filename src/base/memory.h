// SPDX-License-Identifier: Apache-2.0
// The only door to the heap. Nothing here returns NULL: out of memory aborts, because half-handled NULLs are worse than
// a recovery that is tested daily. Limits keep it from happening. Any thread may call anything here.
// Sizes are in bytes; a size of 0 gives a unique pointer that is freed like any other.
// tidy: prefix mem
// tidy: prefix mem
#pragma once

#include "base/bytes.h"

// Uninitialised memory, aligned for any type. The caller owns it until mem_free().
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
// The same, zeroed.
void *mem_alloc_zero(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1)));
// Grows or shrinks; ptr may be NULL. The old pointer is invalid afterwards.
void *mem_realloc(void *ptr, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
// For memory of all functions here, the aligned one included; NULL is fine.
void mem_free(void *ptr);
// align is a power of two and a multiple of sizeof(void *); for direct I/O blocks. Not to be given to mem_realloc().
void *mem_alloc_aligned(size_t align, size_t size) __attribute__((malloc, returns_nonnull, alloc_size(2)));

// An owned copy with a NUL behind it, for the edge to the operating system. A NUL inside the bytes ends the string early.
char *mem_copy_string(struct bytes bytes) __attribute__((malloc, returns_nonnull));
// An owned copy of bytes.len bytes.
void *mem_copy(struct bytes bytes) __attribute__((malloc, returns_nonnull));
