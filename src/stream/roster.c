// SPDX-License-Identifier: Apache-2.0
#include "stream/roster.h"

#include "base/memory.h"
#include "base/must.h"

enum { FIRST_CAP = 64 };

static void **slot_of(const struct roster *roster, uint64_t place);
static void grow(struct roster *roster);

void roster_init(struct roster *roster)
{
    *roster = (struct roster){.first = 1, .end = 1};
}

void roster_deinit(struct roster *roster)
{
    mem_free(roster->slots);
    roster_init(roster);
}

uint64_t roster_push(struct roster *roster, void *item)
{
    must(item);
    if (roster->end - roster->first == roster->cap)
        grow(roster);
    *slot_of(roster, roster->end) = item;
    roster->count++;
    return roster->end++;
}

void *roster_pop(struct roster *roster)
{
    void *item = NULL;
    while (!item && roster->first < roster->end)
        item = *slot_of(roster, roster->first++);
    roster->count -= item != NULL;
    return item;
}

void roster_remove(struct roster *roster, uint64_t place)
{
    must(place >= roster->first && place < roster->end && *slot_of(roster, place));
    *slot_of(roster, place) = NULL;
    roster->count--;
}

size_t roster_front(const struct roster *roster, void **ret_items, size_t max)
{
    size_t count = 0;
    for (uint64_t place = roster->first; place < roster->end && count < max; place++) {
        if (*slot_of(roster, place))
            ret_items[count++] = *slot_of(roster, place);
    }
    return count;
}

static void **slot_of(const struct roster *roster, uint64_t place)
{
    return &roster->slots[place & (roster->cap - 1)];
}

static void grow(struct roster *roster)
{
    struct roster wider = *roster;
    wider.cap = roster->cap ? 2 * roster->cap : FIRST_CAP;
    wider.slots = mem_alloc(wider.cap * sizeof(*wider.slots));
    for (uint64_t place = roster->first; place < roster->end; place++)
        *slot_of(&wider, place) = *slot_of(roster, place);
    mem_free(roster->slots);
    *roster = wider;
}
