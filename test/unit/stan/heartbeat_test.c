// SPDX-License-Identifier: Apache-2.0
// Clients that do not answer: given up where they could have heard us, kept while the uplink to all of them is away.
#include "base/memory.h"
#include "rig.h"

static int set_up(void **state)
{
    assert_int_equal(rig_set_up(state), 0);
    struct rig *rig = *state;
    rig->options.heartbeat_interval_ns = rig->options.heartbeat_timeout_ns = SECOND;
    rig->options.heartbeat_fail_count = 2;
    rig_stop(rig);
    rig_start(rig);
    return 0;
}

static int set_up_cut_off(void **state)
{
    assert_int_equal(set_up(state), 0);
    struct rig *rig = *state;
    rig->has_uplink = true;
    rig_stop(rig);
    rig_start(rig);
    return 0;
}

static void connect_one(struct rig *rig)
{
    rig_connect(rig, "a", "r.1");
    rig_settle(rig);
    rig_expect_heard(rig, "1 ok;");
    rig_expect_counts(rig, 1, 0, 0);
}

// ST-B15.
static void who_does_not_answer_is_given_up(void **state)
{
    struct rig *rig = *state;
    connect_one(rig);
    for (int i = 0; i < 20; i++) {
        rig_pass(rig, 1);
        rig_settle(rig);
    }
    rig_expect_heard(rig, "heartbeat ok;heartbeat ok;heartbeat ok;");
    rig_expect_counts(rig, 0, 0, 0);
}

// ST-C06.
static void who_cannot_be_reached_is_not_asked(void **state)
{
    struct rig *rig = *state;
    connect_one(rig);
    for (int i = 0; i < 20; i++) {
        rig_pass(rig, 1);
        rig_settle(rig);
    }
    rig_expect_heard(rig, "");
    rig_expect_counts(rig, 1, 0, 0);
}

// ST-P11, ST-C06: who wants the id of somebody whom nobody can reach does not get it by waiting.
static void an_id_is_not_taken_from_who_cannot_be_reached(void **state)
{
    struct rig *rig = *state;
    connect_one(rig);
    rig_connect(rig, "a", "r.2");
    for (int i = 0; i < 5; i++) {
        rig_pass(rig, 1);
        rig_settle(rig);
    }
    rig_expect_heard(rig, "heartbeat ok;");
    rig_expect_counts(rig, 1, 0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_does_not_answer_is_given_up, set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(who_cannot_be_reached_is_not_asked, set_up_cut_off, rig_tear_down),
        cmocka_unit_test_setup_teardown(an_id_is_not_taken_from_who_cannot_be_reached, set_up_cut_off, rig_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
