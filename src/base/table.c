// SPDX-License-Identifier: Apache-2.0
#include "base/table.h"

#include "base/memory.h"
#include "base/must.h"

#define FIRST_CAP 16
#define CAP_MAX   (UINT32_C(1) << 31)
#define TAIL_MAX  64 // slots behind the last home; who needs more gets a larger table

static uint32_t slot_count(uint32_t cap);
static bool is_crowded(const struct table *table);
static uint32_t larger(uint32_t cap);
static void shrink(struct table *table);
static void resize(struct table *table, uint32_t cap);
static bool copy(const struct table *from, struct table *to);

void table_deinit(struct table *table)
{
    mem_free(table->slots);
    *table = (struct table){0};
}

void table_add(struct table *table, uint32_t hash, void *item)
{
    must(item);
    if (is_crowded(table))
        resize(table, larger(table->cap));
    for (;;) {
        uint32_t at = (uint32_t)(table_find(table, hash) - table->slots);
        uint32_t free = at;
        while (table->slots[free].item)
            free++;
        if (free + 1 == slot_count(table->cap)) {
            resize(table, larger(table->cap));
            continue;
        }
        memmove(table->slots + at + 1, table->slots + at, (free - at) * sizeof(table->slots[0]));
        table->slots[at] = (struct table_slot){hash, item};
        table->end = free + 1 > table->end ? free + 1 : table->end;
        table->count++;
        return;
    }
}

// Whoever stands in the same run behind the hole moves up, as long as that does not bring it in front of its home.
void table_remove(struct table *table, uint32_t hash, const void *item)
{
    uint32_t hole = (uint32_t)(table_find(table, hash) - table->slots);
    while (table->slots[hole].item != item) {
        must(table->slots[hole].item && table->slots[hole].hash == hash);
        hole++;
    }
    uint32_t next = hole + 1;
    while (table->slots[next].item && table_home(table, table->slots[next].hash) < next)
        next++;
    memmove(table->slots + hole, table->slots + hole + 1, (next - hole - 1) * sizeof(table->slots[0]));
    table->slots[next - 1].item = NULL;
    table->count--;
    shrink(table);
}

void *table_pop(struct table *table)
{
    if (table->count == 0)
        return NULL;
    while (!table->slots[table->end - 1].item)
        table->end--;
    void *item = table->slots[--table->end].item;
    table->slots[table->end].item = NULL;
    table->count--;
    shrink(table);
    return item;
}

void *table_next(const struct table *table, uint32_t *at)
{
    while (*at < table->end) {
        void *item = table->slots[(*at)++].item;
        if (item)
            return item;
    }
    return NULL;
}

void table_check(const struct table *table)
{
    must((table->slots == NULL) == (table->cap == 0) && table->count <= table->end);
    uint32_t count = 0, run = 0; // run: where the one begins in which slot i is
    uint32_t last = 0;
    for (uint32_t i = 0; table->cap > 0 && i < slot_count(table->cap); i++) {
        const struct table_slot *slot = &table->slots[i];
        if (!slot->item) {
            run = i + 1;
            continue;
        }
        uint32_t home = table_home(table, slot->hash);
        must(home >= run && home <= i && slot->hash >= last && i < table->end);
        last = slot->hash;
        count++;
    }
    must(count == table->count);
    must(table->cap == 0 || !table->slots[slot_count(table->cap) - 1].item);
}

static uint32_t slot_count(uint32_t cap)
{
    return cap + (cap < TAIL_MAX ? cap : TAIL_MAX) + 1;
}

// Full at four fifths.
static bool is_crowded(const struct table *table)
{
    return table->count >= table->cap / 5 * 4 + table->cap % 5 * 4 / 5;
}

static uint32_t larger(uint32_t cap)
{
    return cap < FIRST_CAP ? FIRST_CAP : cap + cap / 4;
}

// By half when only a fifth is in use: a table whose things come and go keeps its size.
static void shrink(struct table *table)
{
    if (table->cap > FIRST_CAP && table->count < table->cap / 5)
        resize(table, table->cap / 2 > FIRST_CAP ? table->cap / 2 : FIRST_CAP);
}

static void resize(struct table *table, uint32_t cap)
{
    for (;; cap = larger(cap)) {
        must(cap <= CAP_MAX);
        struct table new = {.cap = cap};
        new.slots = mem_alloc_zero(slot_count(cap) * sizeof(new.slots[0]));
        bool fits = copy(table, &new);
        mem_free(fits ? table->slots : new.slots);
        if (fits) {
            *table = new;
            return;
        }
    }
}

// Both in the order of hashes. False: the end of it does not fit.
static bool copy(const struct table *from, struct table *to)
{
    uint32_t last = slot_count(to->cap) - 1;
    for (uint32_t i = 0; i < from->end; i++) {
        const struct table_slot *slot = &from->slots[i];
        if (!slot->item)
            continue;
        uint32_t home = table_home(to, slot->hash);
        uint32_t at = home > to->end ? home : to->end;
        if (at >= last)
            return false;
        to->slots[at] = *slot;
        to->end = at + 1;
        to->count++;
    }
    return true;
}
