// SPDX-License-Identifier: Apache-2.0
// When timers fire and in what order, what they may do to each other while firing, and a random life against an array.
#include "base/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/prng.h"

// A timer that writes down when it fired, and then does what the test wants.
struct alarm {
    struct wheel_timer timer;
    uint64_t fired_ms;
    int order;
    struct bell *bell;
    void (*then)(struct alarm *alarm, uint64_t now_ms);
};

struct bell {
    struct wheel wheel;
    int rung;
    struct alarm alarms[300];
};

static void ring(struct wheel_timer *timer, uint64_t now_ms)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    assert_false(wheel_is_set(timer));
    assert_true(timer->deadline_ms <= now_ms);
    alarm->fired_ms = now_ms;
    alarm->order = ++alarm->bell->rung;
    if (alarm->then) {
        alarm->then(alarm, now_ms);
    }
}

static struct bell *make(uint64_t now_ms)
{
    static struct bell bell;
    memset(&bell, 0, sizeof(bell));
    wheel_init(&bell.wheel, now_ms);
    for (size_t i = 0; i < sizeof(bell.alarms) / sizeof(bell.alarms[0]); i++) {
        bell.alarms[i] = (struct alarm){.timer.fire = ring, .bell = &bell};
    }
    return &bell;
}

static void set(struct bell *bell, int i, uint64_t deadline_ms)
{
    wheel_set(&bell->wheel, &bell->alarms[i].timer, deadline_ms);
}

static void fires_on_time_at_every_level(void **state)
{
    const uint64_t starts[] = {0, 1, 63, 64, 4095, 1700000000123, UINT64_MAX - (1ULL << 40)};
    for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        for (int bit = 0; bit < 40; bit++) {
            struct bell *bell = make(starts[s]);
            uint64_t deadline = starts[s] + (1ULL << bit), next;
            set(bell, 0, deadline);
            assert_true(wheel_next(&bell->wheel, &next));
            assert_true(next > starts[s] && next <= deadline);
            wheel_advance(&bell->wheel, deadline - 1);
            assert_int_equal(bell->rung, 0);
            assert_true(wheel_next(&bell->wheel, &next) && next == deadline);
            wheel_advance(&bell->wheel, deadline);
            assert_int_equal(bell->rung, 1);
            assert_false(wheel_next(&bell->wheel, &next));
        }
    }
}

static void the_far_end_of_time(void **state)
{
    struct bell *bell = make(5);
    uint64_t next;
    set(bell, 0, UINT64_MAX);
    set(bell, 1, UINT64_MAX - 1);
    wheel_advance(&bell->wheel, UINT64_MAX - 2);
    assert_int_equal(bell->rung, 0);
    assert_true(wheel_next(&bell->wheel, &next) && next == UINT64_MAX - 1);
    wheel_advance(&bell->wheel, UINT64_MAX);
    assert_int_equal(bell->alarms[1].order, 1);
    assert_int_equal(bell->alarms[0].order, 2);
}

// Sleeping until wheel_next() again and again arrives at the deadline in few steps.
static void next_leads_to_the_deadline(void **state)
{
    struct bell *bell = make(1234567);
    uint64_t deadline = 1234567 + 86400000ULL * 30, next;
    int steps = 0;
    set(bell, 0, deadline);
    for (uint64_t before = 0; wheel_next(&bell->wheel, &next); before = next, steps++) {
        assert_true(next > before && next <= deadline);
        wheel_advance(&bell->wheel, next);
    }
    assert_true(bell->alarms[0].fired_ms == deadline);
    assert_in_range(steps, 1, WHEEL_LEVELS);
}

static void order_is_deadline_then_set(void **state)
{
    struct bell *bell = make(1000);
    set(bell, 0, 6000);
    set(bell, 1, 5000);
    set(bell, 2, 6000);
    wheel_advance(&bell->wheel, 4990);
    set(bell, 3, 6000); // set from nearer, into a lower level
    set(bell, 4, 5000);
    set(bell, 5, 900); // long due
    wheel_advance(&bell->wheel, 10000);
    const int expected[] = {5, 1, 4, 0, 2, 3};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(bell->alarms[expected[i]].order, i + 1);
    }
}

static void cancel_and_move(void **state)
{
    struct bell *bell = make(0);
    uint64_t next;
    wheel_cancel(&bell->wheel, &bell->alarms[0].timer);
    set(bell, 0, 100);
    set(bell, 1, 100);
    set(bell, 1, 20000);
    wheel_cancel(&bell->wheel, &bell->alarms[0].timer);
    wheel_cancel(&bell->wheel, &bell->alarms[0].timer);
    assert_false(wheel_is_set(&bell->alarms[0].timer));
    wheel_advance(&bell->wheel, 19999);
    assert_int_equal(bell->rung, 0);
    wheel_cancel(&bell->wheel, &bell->alarms[1].timer);
    assert_false(wheel_next(&bell->wheel, &next));
    wheel_advance(&bell->wheel, 30000);
    assert_int_equal(bell->rung, 0);
}

static void past_deadlines_and_a_clock_that_stands(void **state)
{
    struct bell *bell = make(1000);
    uint64_t next;
    set(bell, 0, 1000);
    set(bell, 1, 3);
    assert_true(wheel_next(&bell->wheel, &next) && next == 1000);
    wheel_advance(&bell->wheel, 10); // earlier than the wheel: counts as 1000
    assert_int_equal(bell->rung, 2);
    assert_int_equal(bell->alarms[0].fired_ms, 1000);
    assert_int_equal(bell->wheel.now_ms, 1000);
}

static void set_again_now(struct alarm *alarm, uint64_t now_ms)
{
    wheel_set(&alarm->bell->wheel, &alarm->timer, now_ms);
}

static void a_timer_set_to_now_does_not_spin(void **state)
{
    struct bell *bell = make(0);
    bell->alarms[0].then = set_again_now;
    set(bell, 0, 10);
    for (int i = 1; i <= 5; i++) {
        uint64_t next;
        wheel_advance(&bell->wheel, 50);
        assert_int_equal(bell->rung, i);
        assert_true(wheel_next(&bell->wheel, &next) && next == 50);
    }
}

static void meddle(struct alarm *alarm, uint64_t now_ms)
{
    struct bell *bell = alarm->bell;
    uint64_t next;
    assert_true(wheel_is_set(&bell->alarms[1].timer)); // waits its turn in this very advance
    assert_true(wheel_next(&bell->wheel, &next) && next == now_ms);
    wheel_cancel(&bell->wheel, &bell->alarms[1].timer);
    set(bell, 2, now_ms + 5);
    set(bell, 4, now_ms - 1);
    set(bell, 0, now_ms + 7);
}

static void timers_cancel_and_move_each_other(void **state)
{
    struct bell *bell = make(0);
    bell->alarms[0].then = meddle;
    set(bell, 0, 100);
    set(bell, 1, 100);
    set(bell, 2, 101);
    set(bell, 3, 101);
    set(bell, 4, 5000);
    wheel_advance(&bell->wheel, 200);
    assert_int_equal(bell->rung, 2);
    assert_int_equal(bell->alarms[3].fired_ms, 200);
    wheel_advance(&bell->wheel, 200);
    assert_int_equal(bell->alarms[4].fired_ms, 200);
    wheel_advance(&bell->wheel, 206);
    assert_int_equal(bell->alarms[2].fired_ms, 206);
    assert_int_equal(bell->alarms[1].order, 0);
    bell->alarms[0].then = NULL;
    wheel_advance(&bell->wheel, 207);
    assert_int_equal(bell->alarms[0].fired_ms, 207);
}

// Advances, and checks that exactly the timers due by the model fired, in the order of their deadlines.
static void advance_and_compare(struct bell *bell, uint64_t now_ms)
{
    enum { ALARMS = 300 };
    bool was_set[ALARMS];
    int due = 0, rung = bell->rung;
    uint64_t at_order[ALARMS + 1] = {0};
    for (int i = 0; i < ALARMS; i++) {
        was_set[i] = wheel_is_set(&bell->alarms[i].timer);
        due += was_set[i] && bell->alarms[i].timer.deadline_ms <= now_ms;
    }
    wheel_advance(&bell->wheel, now_ms);
    assert_int_equal(bell->rung - rung, due);
    for (int i = 0; i < ALARMS; i++) {
        struct alarm *alarm = &bell->alarms[i];
        bool was_due = was_set[i] && alarm->timer.deadline_ms <= now_ms;
        assert_int_equal(wheel_is_set(&alarm->timer), was_set[i] && !was_due);
        if (was_due) {
            assert_true(alarm->fired_ms == now_ms && alarm->order > rung);
            at_order[alarm->order - rung] = alarm->timer.deadline_ms;
        }
    }
    for (int i = 1; i <= due; i++) {
        assert_true(at_order[i - 1] <= at_order[i]);
    }
}

static void check_next(struct bell *bell)
{
    uint64_t earliest = UINT64_MAX, next;
    bool any = false;
    for (int i = 0; i < 300; i++) {
        if (wheel_is_set(&bell->alarms[i].timer)) {
            any = true;
            earliest = bell->alarms[i].timer.deadline_ms < earliest ? bell->alarms[i].timer.deadline_ms : earliest;
        }
    }
    assert_int_equal(wheel_next(&bell->wheel, &next), any);
    assert_true(!any || next <= earliest || next == bell->wheel.now_ms);
    assert_true(!any || next > bell->wheel.now_ms || earliest <= bell->wheel.now_ms);
}

static void follows_a_model(void **state)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct prng prng;
        prng_seed(&prng, seed);
        uint64_t now_ms = prng_next(&prng) >> 24;
        struct bell *bell = make(now_ms);
        for (int step = 0; step < 6000; step++) {
            int i = (int)prng_below(&prng, 300);
            uint64_t distance = prng_next(&prng) >> (34 + prng_below(&prng, 30));
            switch (prng_below(&prng, 8)) {
            case 0:
                now_ms += distance >> 2;
                advance_and_compare(bell, now_ms);
                break;
            case 1: wheel_cancel(&bell->wheel, &bell->alarms[i].timer); break;
            case 2: // already past; may not be later than what is in the same advance, so fire it alone
                set(bell, i, now_ms);
                advance_and_compare(bell, now_ms);
                break;
            default: set(bell, i, now_ms + 1 + distance);
            }
            check_next(bell);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_on_time_at_every_level),
        cmocka_unit_test(the_far_end_of_time),
        cmocka_unit_test(next_leads_to_the_deadline),
        cmocka_unit_test(order_is_deadline_then_set),
        cmocka_unit_test(cancel_and_move),
        cmocka_unit_test(past_deadlines_and_a_clock_that_stands),
        cmocka_unit_test(a_timer_set_to_now_does_not_spin),
        cmocka_unit_test(timers_cancel_and_move_each_other),
        cmocka_unit_test(follows_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
