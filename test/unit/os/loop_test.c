// SPDX-License-Identifier: Apache-2.0
// Turns: one clock reading each, an end before the loop sleeps, at once again when asked, at the deadline otherwise.
#include "os_test.h"

#include "os/clock.h"

static bool always(void *context)
{
    (void)context;
    return true;
}

static bool third_turn(void *context)
{
    struct os_test_loop *test = context;
    test->again = true;
    return test->ends == 3;
}

static void turns_follow_at_once_when_asked(void **state)
{
    struct os_test_loop test;
    os_test_loop_init(&test);
    os_test_run_until(&test, third_turn, &test);
    assert_int_equal(test.ends, 3);
    loop_deinit(&test.loop);
}

static bool deadline_passed(void *context)
{
    struct os_test_loop *test = context;
    if (moment_mono_ms(test->now) < test->deadline_ms)
        return false;
    test->deadline_ms = UINT64_MAX;
    return true;
}

static void a_deadline_wakes_not_early_and_not_often(void **state)
{
    struct os_test_loop test;
    os_test_loop_init(&test);
    uint64_t deadline_ms = clock_mono_ns() / 1000000 + 20;
    test.deadline_ms = deadline_ms;
    os_test_run_until(&test, deadline_passed, &test);
    assert_true(clock_mono_ns() / 1000000 >= deadline_ms);
    // The first turn, the one at the deadline, and one or two when the loop's coarse clock was ahead.
    assert_in_range(test.ends, 2, 6);
    loop_deinit(&test.loop);
}

struct counting_task {
    struct loop_task task;
    struct os_test_loop *test;
    unsigned runs;
    unsigned turn_of_last;
    unsigned left; // how often it defers itself again
};

static void counting_run(struct loop_task *task)
{
    struct counting_task *counting = container_of(task, struct counting_task, task);
    counting->runs++;
    assert_int_equal(counting->test->begins, counting->test->ends + 1);
    assert_true(counting->runs == 1 || counting->test->begins > counting->turn_of_last);
    counting->turn_of_last = counting->test->begins;
    if (counting->left > 0) {
        counting->left--;
        loop_defer(&counting->test->loop, task);
        loop_defer(&counting->test->loop, task);
    }
}

static bool counted_out(void *context)
{
    return ((struct counting_task *)context)->runs == 4;
}

static void a_deferred_task_runs_once_per_turn_and_within_one(void **state)
{
    struct os_test_loop test;
    os_test_loop_init(&test);
    struct counting_task counting = {.task = {.run = counting_run}, .test = &test, .left = 3};
    list_init(&counting.task.link);
    loop_defer(&test.loop, &counting.task);
    loop_defer(&test.loop, &counting.task);
    os_test_run_until(&test, counted_out, &counting);
    assert_int_equal(counting.runs, 4);
    assert_int_equal(counting.left, 0);
    loop_deinit(&test.loop);
}

static void it_runs_again_after_a_stop(void **state)
{
    struct os_test_loop test;
    os_test_loop_init(&test);
    os_test_run_until(&test, always, NULL);
    unsigned ends = test.ends;
    os_test_run_until(&test, always, NULL);
    assert_true(test.ends > ends);
    loop_deinit(&test.loop);
}

struct late_waker {
    struct os_test_loop test;
    uv_poll_t poll;
    int ends[2];           // of a pipe
    unsigned turn_of_wake; // 0: not yet
};

// The turn has begun, so what a thread brings now is not seen in it; and the loop's own wake-up is the next callback of this poll.
static void wake_within_the_turn(uv_poll_t *handle, int status, int events)
{
    struct late_waker *waker = container_of(handle, struct late_waker, poll);
    (void)events;
    assert_int_equal(status, 0);
    assert_false(waker->test.loop.in_turn);
    loop_enter(&waker->test.loop);
    uv_poll_stop(handle);
    loop_wake(&waker->test.loop);
    waker->turn_of_wake = waker->test.begins;
}

static bool turned_after_the_wake(void *context)
{
    const struct late_waker *waker = context;
    return waker->turn_of_wake > 0 && waker->test.ends > waker->turn_of_wake;
}

static void a_wake_within_a_turn_brings_another_turn(void **state)
{
    struct late_waker waker = {0};
    os_test_loop_init(&waker.test);
    assert_int_equal(pipe(waker.ends), 0);
    assert_int_equal(uv_poll_init(&waker.test.loop.uv, &waker.poll, waker.ends[0]), 0);
    assert_int_equal(uv_poll_start(&waker.poll, UV_READABLE, wake_within_the_turn), 0);
    os_test_run_until(&waker.test, always, NULL);
    // Both are ready at the next poll, the pipe first.
    assert_int_equal(write(waker.ends[1], "x", 1), 1);
    loop_wake(&waker.test.loop);
    os_test_run_until(&waker.test, turned_after_the_wake, &waker);
    assert_true(waker.test.begins > waker.turn_of_wake);
    loop_deinit(&waker.test.loop);
    close(waker.ends[0]);
    close(waker.ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_follow_at_once_when_asked),
        cmocka_unit_test(a_deadline_wakes_not_early_and_not_often),
        cmocka_unit_test(a_deferred_task_runs_once_per_turn_and_within_one),
        cmocka_unit_test(it_runs_again_after_a_stop),
        cmocka_unit_test(a_wake_within_a_turn_brings_another_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
