// SPDX-License-Identifier: Apache-2.0
// Who is next: a line of pointers, first come, first served. Unlike a list it shows those further back without touching those before
// them, so that they can be called for before it is their turn.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct roster {
    void **slots;        // owned ring, NULL while cap is 0; NULL in a slot: it has left
    size_t cap;          // 0 or a power of two
    uint64_t first, end; // places in use; place n is in slot n modulo cap
    size_t count;        // of those in line
};

void roster_init(struct roster *roster);
void roster_deinit(struct roster *roster);

// At the end of the line. The place, which is not 0, is for roster_remove(). Who is in line once at most makes it no longer than there are
// such, but for those that leave before their turn.
uint64_t roster_push(struct roster *roster, void *item);
// The first, who leaves the line; NULL: nobody.
void *roster_pop(struct roster *roster);
// Leaves before its turn.
void roster_remove(struct roster *roster, uint64_t place);
// At most `max` of those in front, who stay in line. Returns how many.
size_t roster_front(const struct roster *roster, void **ret_items, size_t max);

static inline bool roster_is_empty(const struct roster *roster)
{
    return roster->count == 0;
}
