// SPDX-License-Identifier: Apache-2.0
// Names with numbers, gathered and then sorted by name (and number where names are the same), both piece by piece, so that a page
// with a great many of them holds up no turn.
#pragma once

#include "base/arena.h"
#include "base/error.h"

struct name_entry {
    struct bytes name; // in the arena
    uint32_t id;
};

struct name_list {
    struct arena *arena;         // borrowed: the names
    struct name_entry *entries;  // owned
    struct name_entry *other;    // owned: where a round of the sort merges to
    size_t count, capacity, max; // entries
    size_t width;                // of runs that are sorted; 0: not begun
    size_t at, left, right;      // of the pair of runs that is being merged: where to, and what is next of each
};

void name_list_init(struct name_list *list, struct arena *arena, size_t max);
void name_list_deinit(struct name_list *list);

// Copies the name. False: there are too many.
bool name_list_add(struct name_list *list, struct bytes name, uint32_t id) MUST_USE;
// Goes on sorting, with about as many comparisons. True: all is sorted. Nothing may be added any more.
bool name_list_sort(struct name_list *list, size_t comparisons) MUST_USE;
