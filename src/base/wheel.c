// SPDX-License-Identifier: Apache-2.0
// The timer wheel. Advancing first moves everything due onto one list, with the wheel's time already final, and only
// then calls out: so a timer's function sees a wheel at rest and may do with it what it likes. A timer waiting on that
// list is still set: it can be cancelled or moved.
#include "base/wheel.h"

#include "base/must.h"

#define LEVEL_BITS 6
#define NO_SLOT    (WHEEL_LEVELS * WHEEL_SLOTS)

static void put(struct wheel *wheel, struct wheel_timer *timer);
static void take(struct wheel *wheel, struct wheel_timer *timer);
static void empty_slot(struct wheel *wheel, uint32_t level, uint32_t slot);
static bool first_slot(const struct wheel *wheel, uint32_t *ret_level, uint32_t *ret_slot, uint64_t *ret_begin_ms);
static void collect(struct wheel *wheel, uint64_t now_ms);
static void fire_collected(struct wheel *wheel, uint64_t now_ms);

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    wheel->now_ms = now_ms;
    wheel->advancing = false;
    wheel->levels = 0;
    list_init(&wheel->due);
    list_init(&wheel->firing);
    for (uint32_t level = 0; level < WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (uint32_t slot = 0; slot < WHEEL_SLOTS; slot++) {
            list_init(&wheel->slots[level][slot]);
        }
    }
}

void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms)
{
    must(timer->fire);
    wheel_cancel(wheel, timer);
    timer->deadline_ms = deadline_ms;
    put(wheel, timer);
}

void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer)
{
    if (wheel_is_set(timer)) {
        take(wheel, timer);
    }
}

void wheel_advance(struct wheel *wheel, uint64_t now_ms)
{
    must(!wheel->advancing);
    // Many turns of a loop lie within a millisecond.
    if (now_ms <= wheel->now_ms && list_empty(&wheel->due)) {
        return;
    }
    wheel->advancing = true;
    now_ms = now_ms > wheel->now_ms ? now_ms : wheel->now_ms;
    list_append_all(&wheel->firing, &wheel->due);
    collect(wheel, now_ms);
    fire_collected(wheel, now_ms);
    wheel->advancing = false;
}

bool wheel_next(const struct wheel *wheel, uint64_t *ret_deadline_ms)
{
    uint32_t level, slot;
    if (!list_empty(&wheel->due) || !list_empty(&wheel->firing)) {
        *ret_deadline_ms = wheel->now_ms;
        return true;
    }
    return first_slot(wheel, &level, &slot, ret_deadline_ms);
}

// Links an unset timer where its deadline belongs, seen from the wheel's time.
static void put(struct wheel *wheel, struct wheel_timer *timer)
{
    if (timer->deadline_ms <= wheel->now_ms) {
        timer->slot = NO_SLOT;
        list_push_back(&wheel->due, &timer->link);
        return;
    }
    uint64_t differing = timer->deadline_ms ^ wheel->now_ms;
    uint32_t level = (63u - (uint32_t)__builtin_clzll(differing)) / LEVEL_BITS;
    uint32_t slot = (timer->deadline_ms >> (level * LEVEL_BITS)) % WHEEL_SLOTS;
    timer->slot = level * WHEEL_SLOTS + slot;
    list_push_back(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= 1ULL << slot;
    wheel->levels |= 1u << level;
}

static void take(struct wheel *wheel, struct wheel_timer *timer)
{
    list_remove(&timer->link);
    if (timer->slot == NO_SLOT) {
        return;
    }
    uint32_t level = timer->slot / WHEEL_SLOTS, slot = timer->slot % WHEEL_SLOTS;
    if (list_empty(&wheel->slots[level][slot])) {
        empty_slot(wheel, level, slot);
    }
}

static void empty_slot(struct wheel *wheel, uint32_t level, uint32_t slot)
{
    wheel->occupied[level] &= ~(1ULL << slot);
    if (wheel->occupied[level] == 0) {
        wheel->levels &= ~(1u << level);
    }
}

// The occupied slot that begins first. Timers share all digits above their level with the wheel's time and have a higher
// one at it; so the lowest occupied level, and its lowest occupied slot, come before all others.
static bool first_slot(const struct wheel *wheel, uint32_t *ret_level, uint32_t *ret_slot, uint64_t *ret_begin_ms)
{
    if (wheel->levels == 0) {
        return false;
    }
    uint32_t level = (uint32_t)__builtin_ctz(wheel->levels);
    uint32_t slot = (uint32_t)__builtin_ctzll(wheel->occupied[level]);
    uint32_t above = (level + 1) * LEVEL_BITS;
    uint64_t digits_above = above < 64 ? wheel->now_ms >> above << above : 0;
    *ret_level = level;
    *ret_slot = slot;
    *ret_begin_ms = digits_above | (uint64_t)slot << (level * LEVEL_BITS);
    return true;
}

// Moves the wheel's time to now_ms, slot by slot: what is due goes on the firing list, the rest of a slot moves down.
static void collect(struct wheel *wheel, uint64_t now_ms)
{
    uint32_t level, slot;
    uint64_t begin_ms;
    while (first_slot(wheel, &level, &slot, &begin_ms) && begin_ms <= now_ms) {
        struct list moved;
        list_init(&moved);
        list_append_all(&moved, &wheel->slots[level][slot]);
        empty_slot(wheel, level, slot);
        must(begin_ms > wheel->now_ms);
        wheel->now_ms = begin_ms;
        for (struct list *link = list_pop_front(&moved); link; link = list_pop_front(&moved)) {
            put(wheel, container_of(link, struct wheel_timer, link));
        }
        list_append_all(&wheel->firing, &wheel->due);
    }
    wheel->now_ms = now_ms;
}

static void fire_collected(struct wheel *wheel, uint64_t now_ms)
{
    for (struct list *link = list_pop_front(&wheel->firing); link; link = list_pop_front(&wheel->firing)) {
        struct wheel_timer *timer = container_of(link, struct wheel_timer, link);
        timer->fire(timer, now_ms);
    }
}
