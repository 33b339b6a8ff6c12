// SPDX-License-Identifier: Apache-2.0
// Jobs run elsewhere, `done` runs on the loop's thread within a turn, exactly once, also when everything stops before.
#include "os_test.h"

#include <sched.h>
#include <stdatomic.h>

#include "os/offload.h"

#define COUNT 100

struct rig;

struct job {
    struct offload_job offload;
    struct rig *rig;
    uv_thread_t ran_on;
    bool ran;
    unsigned done;
};

struct rig {
    struct os_test_loop test;
    struct offload_pool pool;
    struct offload_port port;
    struct job jobs[COUNT];
    unsigned done;
    bool submitting;
    uv_sem_t gate; // a job waits here
    atomic_bool at_gate;
};

static void job_run(struct offload_job *offload)
{
    struct job *job = container_of(offload, struct job, offload);
    job->ran_on = uv_thread_self();
    job->ran = true;
}

static void job_wait(struct offload_job *offload)
{
    struct job *job = container_of(offload, struct job, offload);
    atomic_store(&job->rig->at_gate, true);
    uv_sem_wait(&job->rig->gate);
    job_run(offload);
}

static void job_done(struct offload_job *offload)
{
    struct job *job = container_of(offload, struct job, offload);
    assert_false(job->rig->submitting);
    job->done++;
    job->rig->done++;
}

static int setup(void **state)
{
    struct rig *rig = mem_alloc_zero(sizeof(*rig));
    os_test_loop_init(&rig->test);
    assert_int_equal(uv_sem_init(&rig->gate, 0), 0);
    assert_int_equal(offload_pool_start(&rig->pool, 2), 0);
    assert_int_equal(offload_port_open(&rig->port, &rig->pool, &rig->test.loop), 0);
    for (int i = 0; i < COUNT; i++)
        rig->jobs[i] = (struct job){.offload = {.run = job_run, .done = job_done}, .rig = rig};
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;
    offload_pool_stop(&rig->pool);
    loop_deinit(&rig->test.loop);
    uv_sem_destroy(&rig->gate);
    mem_free(rig);
    return 0;
}

static void submit(struct rig *rig, unsigned count)
{
    rig->submitting = true;
    for (unsigned i = 0; i < count; i++)
        offload_submit(&rig->port.offload, &rig->jobs[i].offload);
    rig->submitting = false;
}

static bool all_done(void *context)
{
    return ((struct rig *)context)->done == COUNT;
}

static void test_all_run(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(rig->pool.thread_count, 1); // a login never depends on getting the first one
    submit(rig, COUNT);
    assert_int_equal(rig->done, 0);
    os_test_run_until(&rig->test, all_done, rig);
    uv_thread_t self = uv_thread_self();
    for (int i = 0; i < COUNT; i++) {
        assert_true(rig->jobs[i].ran);
        assert_int_equal(rig->jobs[i].done, 1);
        assert_false(uv_thread_equal(&rig->jobs[i].ran_on, &self));
    }
    assert_int_equal(rig->pool.thread_count, 2);
    offload_port_close(&rig->port);
}

static bool is_at_gate(void *context)
{
    return atomic_load(&((struct rig *)context)->at_gate);
}

// When the jobs that wait have been taken back.
static void open_gate(void *argument)
{
    struct rig *rig = argument;
    bool waiting = true;
    while (waiting) {
        uv_mutex_lock(&rig->pool.mutex);
        waiting = rig->pool.jobs.first;
        uv_mutex_unlock(&rig->pool.mutex);
        sched_yield();
    }
    uv_sem_post(&rig->gate);
}

// The port goes while a job is under way: that one is waited for, those behind it are not run.
static void test_close_early(void **state)
{
    struct rig *rig = *state;
    rig->pool.thread_max = 1;
    rig->jobs[0].offload.run = job_wait;
    submit(rig, COUNT);
    rig->test.spin = true;
    os_test_run_until(&rig->test, is_at_gate, rig);
    uv_thread_t opener;
    assert_int_equal(uv_thread_create(&opener, open_gate, rig), 0);
    offload_port_close(&rig->port);
    assert_int_equal(uv_thread_join(&opener), 0);
    assert_int_equal(rig->done, COUNT);
    assert_true(rig->jobs[0].ran);
    for (int i = 1; i < COUNT; i++)
        assert_true(!rig->jobs[i].ran && rig->jobs[i].done == 1);
}

// Two workers, one pool: what one leaves behind does not touch the other's.
static void test_two_ports(void **state)
{
    struct rig *rig = *state;
    struct offload_port other;
    assert_int_equal(offload_port_open(&other, &rig->pool, &rig->test.loop), 0);
    struct job left[10];
    for (int i = 0; i < 10; i++) {
        left[i] = (struct job){.offload = {.run = job_run, .done = job_done}, .rig = rig};
        offload_submit(&rig->port.offload, &rig->jobs[i].offload);
        offload_submit(&other.offload, &left[i].offload);
    }
    offload_port_close(&other);
    for (int i = 0; i < 10; i++)
        assert_int_equal(left[i].done, 1);
    for (int i = 10; i < COUNT; i++)
        offload_submit(&rig->port.offload, &rig->jobs[i].offload);
    rig->done -= 10;
    os_test_run_until(&rig->test, all_done, rig);
    for (int i = 0; i < COUNT; i++)
        assert_true(rig->jobs[i].ran);
    offload_port_close(&rig->port);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_run),
        TEST(test_close_early),
        TEST(test_two_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
