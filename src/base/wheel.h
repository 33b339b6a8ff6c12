// SPDX-License-Identifier: Apache-2.0
// Hierarchical timer wheel with millisecond resolution. Setting and cancelling are O(1), advancing costs O(1) per timer
// fired plus at most one move per level and timer; nothing allocates. The wheel reads no clock: time is what the caller
// says. One thread.
//
// Each level has 64 slots of 64 times the width of the level below; eleven levels cover every 64-bit deadline, so none
// is ever clamped. A timer lies at the level of the highest six-bit digit in which its deadline differs from the wheel's
// time, and moves down when the wheel's time enters its slot.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define WHEEL_LEVELS 11
#define WHEEL_SLOTS  64

// Embedded in its owner, which must cancel it before it goes away. All zeroes, or zeroes and `fire`, is an unset timer.
struct wheel_timer {
    struct list
        link; // list link: a slot, or the lists of due and firing timers; first, for those who only ask whether it is set
    // Called from wheel_advance(), with the timer already unset. It may set and cancel any timer, itself included, and
    // free its owner. now_ms is that of wheel_advance().
    void (*fire)(struct wheel_timer *timer, uint64_t now_ms);
    uint64_t deadline_ms; // of the last wheel_set()
    uint32_t slot;        // level * 64 + slot, or WHEEL_LEVELS * 64 when on another list
};

struct wheel {
    uint64_t now_ms;                              // the latest time seen; never goes back
    uint64_t occupied[WHEEL_LEVELS];              // per level, one bit per slot that holds a timer
    uint32_t levels;                              // one bit per level with an occupied slot
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS]; // list heads of timers with deadlines after now_ms
    struct list due;                              // timers with deadlines up to now_ms, fired by the next advance
    struct list firing;                           // timers that the running advance still has to fire
    bool advancing;
};

// A wheel holds pointers into itself and may not be moved.
void wheel_init(struct wheel *wheel, uint64_t now_ms);

// Sets the timer, or moves it if it is set. A deadline that is not after the wheel's time fires at the next
// wheel_advance(); so a timer that sets itself to "now" while firing does not spin. timer->fire must be there.
void wheel_set(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ms);
// No-op when the timer is not set.
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer);
// Fires all timers with deadlines up to now_ms, earlier deadlines first, equal ones in the order they were set. A now_ms
// before the wheel's time counts as that time. May not be called from a timer.
void wheel_advance(struct wheel *wheel, uint64_t now_ms);
// A time at or before the earliest deadline: the wheel's own time when something is due, else the beginning of the
// earliest occupied slot, which is exact at the lowest level. Advancing to it may fire nothing, but then timers move
// down and the next answer is later. False (and the output untouched) when no timer is set.
bool wheel_next(const struct wheel *wheel, uint64_t *ret_deadline_ms);

static inline bool wheel_is_set(const struct wheel_timer *timer)
{
    return list_is_linked(&timer->link);
}
