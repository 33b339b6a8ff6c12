// SPDX-License-Identifier: Apache-2.0
#include "broker/subscription_set.h"

#include "base/hash.h"
#include "broker/subscription.h"

static bool is_row(const struct subscription_set *set);
static uint32_t home_of(const struct subscription_set *set, uint64_t seed, struct bytes sid);
static uint32_t place_of(const struct subscription_set *set, uint64_t seed, const struct subscription *subscription);
static void put(struct subscription_set *set, uint64_t seed, struct subscription *subscription);
static void take_from_table(struct subscription_set *set, uint64_t seed, uint32_t hole);
static void resize(struct subscription_set *set, uint64_t seed, uint32_t cap);

struct subscription *subscription_set_find(const struct subscription_set *set, uint64_t seed, struct bytes sid)
{
    if (is_row(set)) {
        for (uint32_t i = 0; i < set->count; i++) {
            if (bytes_equal(subscription_sid(set->slots[i]), sid))
                return set->slots[i];
        }
        return NULL;
    }
    uint32_t mask = set->cap - 1;
    for (uint32_t i = home_of(set, seed, sid); set->slots[i]; i = (i + 1) & mask) {
        if (bytes_equal(subscription_sid(set->slots[i]), sid))
            return set->slots[i];
    }
    return NULL;
}

void subscription_set_add(struct subscription_set *set, uint64_t seed, struct subscription *subscription)
{
    uint64_t room = is_row(set) ? set->cap : (uint64_t)set->cap / 4 * 3;
    if (set->count >= room) {
        must(set->cap < UINT32_C(1) << 31);
        resize(set, seed, set->cap > 0 ? 2 * set->cap : 1);
    }
    put(set, seed, subscription);
}

void subscription_set_remove(struct subscription_set *set, uint64_t seed, const struct subscription *subscription)
{
    uint32_t place = place_of(set, seed, subscription);
    if (is_row(set)) {
        memmove(set->slots + place, set->slots + place + 1, (set->count - place - 1) * sizeof(set->slots[0]));
        set->slots[--set->count] = NULL;
    } else {
        take_from_table(set, seed, place);
        set->count--;
    }
    if (set->count == 0 || (set->cap > SUBSCRIPTION_SET_FEW && set->count < set->cap / 8))
        resize(set, seed, set->count == 0 ? 0 : set->cap / 2);
}

struct subscription *subscription_set_next(const struct subscription_set *set, uint32_t *at)
{
    while (*at < set->cap) {
        struct subscription *subscription = set->slots[(*at)++];
        if (subscription)
            return subscription;
    }
    return NULL;
}

void subscription_set_drain(struct subscription_set *set, void (*each)(struct subscription *subscription))
{
    struct subscription_set all = *set;
    struct subscription *subscription;
    uint32_t at = 0;
    *set = (struct subscription_set){0};
    while ((subscription = subscription_set_next(&all, &at)))
        each(subscription);
    mem_free(all.slots);
}

void subscription_set_check(const struct subscription_set *set, uint64_t seed)
{
    uint32_t count = 0;
    uint32_t at = 0;
    struct subscription *subscription;
    while ((subscription = subscription_set_next(set, &at))) {
        must(subscription_set_find(set, seed, subscription_sid(subscription)) == subscription);
        count++;
    }
    must(count == set->count && (set->slots == NULL) == (set->cap == 0) && (set->cap == 0) == (count == 0));
    must(is_row(set) || set->count <= set->cap / 4 * 3);
}

static bool is_row(const struct subscription_set *set)
{
    return set->cap <= SUBSCRIPTION_SET_FEW;
}

static uint32_t home_of(const struct subscription_set *set, uint64_t seed, struct bytes sid)
{
    return (uint32_t)hash_bytes(sid, seed) & (set->cap - 1);
}

static uint32_t place_of(const struct subscription_set *set, uint64_t seed, const struct subscription *subscription)
{
    uint32_t place = is_row(set) ? 0 : home_of(set, seed, subscription_sid(subscription));
    while (set->slots[place] != subscription) {
        must(set->slots[place]);
        place = (place + 1) & (set->cap - 1);
    }
    return place;
}

// There is room.
static void put(struct subscription_set *set, uint64_t seed, struct subscription *subscription)
{
    uint32_t place = set->count;
    if (!is_row(set)) {
        place = home_of(set, seed, subscription_sid(subscription));
        while (set->slots[place])
            place = (place + 1) & (set->cap - 1);
    }
    set->slots[place] = subscription;
    set->count++;
}

// Moves later members of the same run into the hole as long as that brings them no further than their home.
static void take_from_table(struct subscription_set *set, uint64_t seed, uint32_t hole)
{
    uint32_t mask = set->cap - 1;
    for (uint32_t i = (hole + 1) & mask; set->slots[i]; i = (i + 1) & mask) {
        uint32_t home = home_of(set, seed, subscription_sid(set->slots[i]));
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            set->slots[hole] = set->slots[i];
            hole = i;
        }
    }
    set->slots[hole] = NULL;
}

static void resize(struct subscription_set *set, uint64_t seed, uint32_t cap)
{
    struct subscription_set old = *set;
    struct subscription *subscription;
    uint32_t at = 0;
    *set = (struct subscription_set){.cap = cap};
    if (cap > 0)
        set->slots = mem_alloc_zero(cap * sizeof(set->slots[0]));
    while ((subscription = subscription_set_next(&old, &at)))
        put(set, seed, subscription);
    mem_free(old.slots);
}
