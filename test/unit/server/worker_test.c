// SPDX-License-Identifier: Apache-2.0
// Workers and their mailboxes, stepped by hand: calls, the steps of a stop, who is woken.
#include "server/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"
#include "base/memory.h"

#define WORKERS 3

struct rig {
    struct worker *workers[WORKERS];
    int woken[WORKERS];
    struct moment now;
};

struct errand {
    struct worker_call call;
    struct rig *rig;
    uint32_t ran_on;
    int runs;
    int dones;
    const int *looks_at; // what it finds there when it runs
    int seen;
};

static void wake(void *owner, uint32_t index)
{
    ((struct rig *)owner)->woken[index]++;
}

static void rig_init(struct rig *rig)
{
    *rig = (struct rig){.now = {.mono_ns = 1000000000}};
    struct broker_options broker;
    broker_options_default(&broker);
    for (uint32_t i = 0; i < WORKERS; i++)
        rig->workers[i] = worker_new(&(struct worker_options){.broker = &broker,
                                                              .index = i,
                                                              .count = WORKERS,
                                                              .workers = rig->workers,
                                                              .wake = wake,
                                                              .wake_owner = rig},
                                     rig->now);
}

static void step(struct rig *rig, uint32_t index)
{
    rig->woken[index] = 0;
    worker_turn_begin(rig->workers[index], rig->now);
    worker_receive(rig->workers[index]);
    worker_turn_end(rig->workers[index]);
}

static void settle(struct rig *rig)
{
    bool idle;
    do {
        idle = true;
        for (uint32_t i = 0; i < WORKERS; i++)
            step(rig, i);
        for (uint32_t i = 0; i < WORKERS; i++)
            idle &= rig->woken[i] == 0 && broker_remote_is_idle(worker_broker(rig->workers[i]));
    } while (!idle);
}

static void rig_deinit(struct rig *rig)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        worker_free(rig->workers[i]);
}

static void run(struct worker_call *call, struct worker *worker)
{
    struct errand *errand = container_of(call, struct errand, call);
    errand->runs++;
    errand->ran_on = worker ? worker_index(worker) : UINT32_MAX;
}

static void done(struct worker_call *call)
{
    container_of(call, struct errand, call)->dones++;
}

static void test_call_goes_and_returns(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    settle(&rig);
    struct errand errand = {.call = {.run = run, .done = done}, .rig = &rig};
    worker_send_call(rig.workers[2], &errand.call);
    assert_int_equal(rig.woken[2], 1);
    assert_int_equal(errand.runs, 0);
    step(&rig, 2);
    assert_int_equal(errand.runs, 1);
    assert_int_equal(errand.ran_on, 2);
    assert_int_equal(errand.dones, 0);
    assert_int_equal(rig.woken[0], 1);
    step(&rig, 0);
    assert_int_equal(errand.dones, 1);
    assert_int_equal(errand.runs, 1);
    // To itself, too.
    worker_send_call(rig.workers[0], &errand.call);
    settle(&rig);
    assert_int_equal(errand.runs, 2);
    assert_int_equal(errand.ran_on, 0);
    assert_int_equal(errand.dones, 2);
    rig_deinit(&rig);
}

// Several sends, one wake-up.
static void test_one_wake_up_per_batch(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    settle(&rig);
    struct errand errands[5];
    for (int i = 0; i < 5; i++) {
        errands[i] = (struct errand){.call = {.run = run}, .rig = &rig};
        worker_send_call(rig.workers[1], &errands[i].call);
    }
    assert_int_equal(rig.woken[1], 1);
    step(&rig, 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(errands[i].runs, 1);
    assert_int_equal(rig.woken[0], 0);
    rig_deinit(&rig);
}

static bool on_message(struct inlet *inlet, const struct inlet_message *message)
{
    (void)message;
    ++*(int *)(void *)(inlet + 1);
    return true;
}

struct counter {
    struct inlet inlet;
    int count;
};

static void look(struct worker_call *call, struct worker *worker)
{
    run(call, worker);
    struct errand *errand = container_of(call, struct errand, call);
    errand->seen = *errand->looks_at;
}

// What was sent before a call is worked through before it.
static void test_calls_come_behind_messages(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct counter counter = {.inlet.on_message = on_message};
    assert_int_equal(broker_inlet_add(worker_broker(rig.workers[1]), &counter.inlet, BYTES("x")), 0);
    settle(&rig);
    struct errand errand = {.call = {.run = look}, .rig = &rig, .looks_at = &counter.count};
    struct bytes part = BYTES("1"), none = {0};
    worker_turn_begin(rig.workers[0], rig.now);
    assert_int_equal(broker_publish(worker_broker(rig.workers[0]), BYTES("x"), none, none, &part, 1), 1);
    worker_turn_end(rig.workers[0]);
    worker_send_call(rig.workers[1], &errand.call);
    step(&rig, 1);
    assert_int_equal(errand.seen, 1);
    settle(&rig);
    broker_inlet_remove(worker_broker(rig.workers[1]), &counter.inlet);
    settle(&rig);
    rig_deinit(&rig);
}

static void drain(struct worker_call *call, struct worker *worker)
{
    worker_drain(worker, call);
}

static void test_drained_when_all_has_arrived(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct counter counter = {.inlet.on_message = on_message};
    assert_int_equal(broker_inlet_add(worker_broker(rig.workers[1]), &counter.inlet, BYTES("x")), 0);
    settle(&rig);
    struct errand errand = {.call = {.run = drain, .done = done}, .rig = &rig};
    worker_send_call(rig.workers[2], &errand.call);
    worker_turn_begin(rig.workers[2], rig.now);
    struct bytes part = BYTES("1"), none = {0};
    broker_publish(worker_broker(rig.workers[2]), BYTES("x"), none, none, &part, 1);
    worker_receive(rig.workers[2]);
    worker_turn_end(rig.workers[2]);
    step(&rig, 2);
    step(&rig, 0);
    assert_int_equal(errand.dones, 0);
    step(&rig, 1);
    assert_int_equal(counter.count, 1);
    step(&rig, 2);
    step(&rig, 0);
    assert_int_equal(errand.dones, 1);
    assert_false(worker_is_closing(rig.workers[2]));
    worker_close(rig.workers[2]);
    assert_true(worker_is_closing(rig.workers[2]));
    settle(&rig);
    broker_inlet_remove(worker_broker(rig.workers[1]), &counter.inlet);
    settle(&rig);
    rig_deinit(&rig);
}

// Nothing is lost, and nothing leaks, when a worker ends with something in its mailboxes.
static void test_what_is_left_is_freed(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    struct counter counter = {.inlet.on_message = on_message};
    assert_int_equal(broker_inlet_add(worker_broker(rig.workers[1]), &counter.inlet, BYTES("x")), 0);
    settle(&rig);
    struct errand errand = {.call = {.run = run}, .rig = &rig};
    worker_send_call(rig.workers[1], &errand.call);
    size_t len = 100000;
    char *payload = mem_alloc_zero(len);
    struct bytes part = bytes_make(payload, len), none = {0};
    worker_turn_begin(rig.workers[0], rig.now);
    broker_publish(worker_broker(rig.workers[0]), BYTES("x"), none, none, &part, 1);
    worker_turn_end(rig.workers[0]);
    rig_deinit(&rig);
    assert_int_equal(errand.runs, 1);
    assert_int_equal(errand.ran_on, UINT32_MAX);
    mem_free(payload);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call_goes_and_returns),      cmocka_unit_test(test_one_wake_up_per_batch),
        cmocka_unit_test(test_calls_come_behind_messages), cmocka_unit_test(test_drained_when_all_has_arrived),
        cmocka_unit_test(test_what_is_left_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
