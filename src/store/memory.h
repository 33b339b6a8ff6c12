// SPDX-License-Identifier: Apache-2.0
// The store without a directory: entries commit at the end of the turn, and a chunk lives as long as a message in it is
// wanted (the index sees to that). A message's place is (chunk number, offset in the chunk's data, size).
#pragma once

#include "store/store_internal.h"

struct memory_log {
    uint64_t committed_index;
    uint64_t appended_bytes; // ever
};

struct memory_log *memory_new(struct store *store);
void memory_free(struct memory_log *memory);

// May a publish of `size` bytes be appended? 0 or ERR_LIMIT.
int memory_admit(const struct store *store, size_t size);
// Seals and commits everything appended; true when applying appended more.
bool memory_commit(struct store *store);
