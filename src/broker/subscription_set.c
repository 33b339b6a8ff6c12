// SPDX-License-Identifier: Apache-2.0
#include "broker/subscription_set.h"

#include "base/hash.h"
#include "base/table.h"
#include "broker/subscription.h"

static bool is_row(const struct subscription_set *set);
static uint32_t hash_of(uint64_t seed, const struct subscription_sid *sid);
static uint32_t hash_of_member(uint64_t seed, const struct subscription *subscription);
static void to_table(struct subscription_set *set, uint64_t seed);
static void to_row(struct subscription_set *set);
static void row_resize(struct subscription_set *set, uint32_t cap);
static void took_one(struct subscription_set *set);

struct subscription *subscription_set_find(const struct subscription_set *set, uint64_t seed,
                                           const struct subscription_sid *sid)
{
    if (is_row(set)) {
        for (uint32_t i = 0; i < set->count; i++) {
            if (subscription_has_sid(set->row[i], sid))
                return set->row[i];
        }
        return NULL;
    }
    uint32_t hash = hash_of(seed, sid);
    for (const struct table_slot *slot = table_find(set->table, hash); slot->item && slot->hash == hash; slot++) {
        if (subscription_has_sid(slot->item, sid))
            return slot->item;
    }
    return NULL;
}

void subscription_set_add(struct subscription_set *set, uint64_t seed, struct subscription *subscription)
{
    if (is_row(set) && set->count == SUBSCRIPTION_SET_FEW)
        to_table(set, seed);
    if (is_row(set)) {
        if (set->count == set->cap)
            row_resize(set, set->cap > 0 ? 2 * set->cap : 1);
        set->row[set->count] = subscription;
    } else {
        table_add(set->table, hash_of_member(seed, subscription), subscription);
    }
    set->count++;
}

void subscription_set_remove(struct subscription_set *set, uint64_t seed, const struct subscription *subscription)
{
    if (is_row(set)) {
        uint32_t place = 0;
        while (set->row[place] != subscription) {
            place++;
            must(place < set->count);
        }
        memmove(set->row + place, set->row + place + 1, (set->count - place - 1) * sizeof(set->row[0]));
    } else {
        table_remove(set->table, hash_of_member(seed, subscription), subscription);
    }
    took_one(set);
}

struct subscription *subscription_set_pop(struct subscription_set *set)
{
    if (set->count == 0)
        return NULL;
    struct subscription *subscription = is_row(set) ? set->row[set->count - 1] : table_pop(set->table);
    took_one(set);
    return subscription;
}

struct subscription *subscription_set_next(const struct subscription_set *set, uint32_t *at)
{
    if (!is_row(set))
        return table_next(set->table, at);
    return *at < set->count ? set->row[(*at)++] : NULL;
}

void subscription_set_check(const struct subscription_set *set, uint64_t seed)
{
    uint32_t count = 0;
    uint32_t at = 0;
    struct subscription *subscription;
    while ((subscription = subscription_set_next(set, &at))) {
        char room[NUMBER_MAX_DIGITS];
        struct subscription_sid sid = subscription_sid_of(subscription_sid_text(subscription, room));
        must(subscription_set_find(set, seed, &sid) == subscription);
        count++;
    }
    must(count == set->count && (set->row == NULL) == (set->cap == 0) && (set->cap == 0) == (count == 0));
    if (is_row(set)) {
        must(set->count <= set->cap && set->cap <= SUBSCRIPTION_SET_FEW);
    } else {
        must(set->count == set->table->count && set->count > SUBSCRIPTION_SET_FEW / 2);
        table_check(set->table);
    }
}

static bool is_row(const struct subscription_set *set)
{
    return set->cap != SUBSCRIPTION_SET_HASHED;
}

static uint32_t hash_of(uint64_t seed, const struct subscription_sid *sid)
{
    if (!sid->is_number)
        return hash_bytes32(sid->text, seed);
    return hash_bytes32(bytes_make((const char *)&sid->number, sizeof(sid->number)), seed);
}

static uint32_t hash_of_member(uint64_t seed, const struct subscription *subscription)
{
    struct subscription_sid sid = {!subscription->target.has_text, subscription->target.sid, {0}};
    if (!sid.is_number)
        sid.text = subscription_sid_text(subscription, NULL);
    return hash_of(seed, &sid);
}

static void to_table(struct subscription_set *set, uint64_t seed)
{
    struct table *table = mem_alloc_zero(sizeof(*table));
    for (uint32_t i = 0; i < set->count; i++)
        table_add(table, hash_of_member(seed, set->row[i]), set->row[i]);
    mem_free(set->row);
    set->table = table;
    set->cap = SUBSCRIPTION_SET_HASHED;
}

static void to_row(struct subscription_set *set)
{
    struct table *table = set->table;
    set->cap = SUBSCRIPTION_SET_FEW;
    set->row = mem_alloc(set->cap * sizeof(set->row[0]));
    for (uint32_t i = 0; i < set->count; i++)
        set->row[i] = table_pop(table);
    table_deinit(table);
    mem_free(table);
}

static void row_resize(struct subscription_set *set, uint32_t cap)
{
    set->row = mem_realloc(set->row, cap * sizeof(set->row[0]));
    set->cap = cap;
}

static void took_one(struct subscription_set *set)
{
    set->count--;
    if (!is_row(set) && set->count == SUBSCRIPTION_SET_FEW / 2)
        to_row(set);
    if (set->count == 0) {
        mem_free(set->row);
        *set = (struct subscription_set){0};
    }
}
