// SPDX-License-Identifier: Apache-2.0
// Immutable bytes that several threads hold: the payload of a large message on its way to other workers. Counted with atomic
// operations, hence for what is too large to be copied; on one thread broker/outbound.h counts without.
#pragma once

#include <stdatomic.h>
#include <stddef.h>

struct shared_block {
    atomic_uint refs;
    size_t len;
    char data[]; // written by who made it, before anybody else gets a reference
};

// With one reference, which is the caller's; data is uninitialised.
struct shared_block *shared_block_new(size_t len);
// Any thread that has a reference.
void shared_block_ref(struct shared_block *block);
// The last one frees it.
void shared_block_unref(struct shared_block *block);
