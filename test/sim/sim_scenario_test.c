// SPDX-License-Identifier: Apache-2.0
// What the simulation has found, as scenarios of their own: seeds see other things when the code changes. And scenarios that a seed
// meets too seldom. One server, clients that do only what they are told, the same judge.
#include "base/memory.h"
#include "sim_client_internal.h"
#include "sim_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND 1000000000ULL

static int setup(void **state)
{
    struct sim_world *world = mem_alloc(sizeof(*world));
    sim_world_init(world, 1, 1, false);
    world->model.limited = false;
    world->model.keeps_unfinished = false;
    world->model.max_age_ns = 0;
    world->node.options.channel.max_msgs = 0;
    world->node.options.channel.max_age_ns = 0;
    world->node.options.channel.discard_new = false;
    world->node.options.channel.duplicate_window_ns = world->model.window_ns = 600 * SECOND;
    world->node.options.channel.disconnect_grace_ns = world->model.grace_ns = 5 * SECOND;
    sim_world_calm(world);
    sim_world_start(world);
    sim_world_pass(world, SECOND);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct sim_world *world = *state;
    if (world->trace.failed)
        print_error("%s\n", world->trace.failure);
    sim_world_deinit(world);
    mem_free(world);
    return 0;
}

// Everything that was published is read once, and nothing else went wrong.
static void finish(struct sim_world *world)
{
    if (sim_world_settle(world, 60 * SECOND))
        sim_world_read_everything(world);
    if (sim_world_settle(world, 60 * SECOND))
        sim_model_check_end(&world->model);
    assert_string_equal(world->trace.failure, "");
}

static void publish_many(struct sim_world *world, size_t count, uint32_t size)
{
    for (size_t i = 0; i < count; i++) {
        sim_client_publish(&world->clients[1], 0, size);
        if (i % 16 == 15)
            sim_world_pass(world, SECOND / 10);
    }
    sim_world_pass(world, SECOND);
}

static struct sim_sub *subscribe(struct sim_world *world, uint32_t client, const char *durable, uint32_t max_in_flight)
{
    struct sim_sub_request wanted = {
        .client = client, .start = SIM_START_FIRST, .max_in_flight = max_in_flight, .ack_wait_ns = 2 * SECOND};
    memcpy(wanted.durable, durable, strlen(durable));
    assert_true(sim_client_subscribe(&world->clients[client], &wanted));
    sim_world_pass(world, SECOND);
    return world->model.subs[world->model.sub_count - 1];
}

// Roll-over saves the ids that are still in their window. Recovery measures them by the newest record's time, which does not go
// back when the wall clock does.
static void test_saved_ids_outlive_a_wall_clock_that_went_back(void **state)
{
    struct sim_world *world = *state;
    sim_client_publish(&world->clients[0], 0, 100);
    sim_world_pass(world, SECOND);
    world->node.wall_ns -= (int64_t)(1000 * SECOND);
    publish_many(world, 400, 3000);
    sim_world_restart(world, SIM_LOSS_NONE);
    sim_world_pass(world, 2 * SECOND);
    sim_client_send_publish(&world->clients[0], world->model.publishes[0]);
    finish(world);
    assert_int_equal(world->model.publishes[0]->attempts, 2);
}

// ST-B29: plain subscriptions and clients go on after a restart, on their old inboxes.
static void test_a_restart_is_transparent(void **state)
{
    struct sim_world *world = *state;
    struct sim_sub *plain = subscribe(world, 0, "", 5), *durable = subscribe(world, 1, "d", 5);
    for (int round = 0; round < 5; round++) {
        publish_many(world, 20, 200);
        sim_world_restart(world, SIM_LOSS_ALL);
        sim_world_pass(world, 2 * SECOND);
    }
    finish(world);
    assert_int_equal(plain->state, SIM_SUB_OPEN);
    assert_int_equal(durable->state, SIM_SUB_OPEN);
    assert_int_equal(plain->consumer->held[100].deliveries, 1);
}

// A batch whose write fails is answered as one into a log that has failed, not with some other error.
static void test_publishers_learn_that_the_log_failed(void **state)
{
    struct sim_world *world = *state;
    world->model.disk_healthy = false;
    sim_disk_fail(world->node.disk, 1, ERR_IO);
    publish_many(world, 3, 100);
    assert_int_equal(world->model.publishes[0]->state, SIM_PUBLISH_UNKNOWN);
    sim_world_restart(world, SIM_LOSS_RANDOM);
    sim_world_pass(world, 2 * SECOND);
    publish_many(world, 3, 100);
    finish(world);
    assert_int_equal(world->model.publishes[5]->state, SIM_PUBLISH_ACCEPTED);
}

// A volume that copies on write may be full within a file that was allocated: the batch is refused, its sequences are given again.
static void test_a_refused_batch_leaves_no_gap(void **state)
{
    struct sim_world *world = *state;
    subscribe(world, 0, "d", 50);
    publish_many(world, 5, 100);
    world->model.disk_small = true;
    sim_disk_fail(world->node.disk, 1, ERR_NO_SPACE);
    publish_many(world, 4, 100);
    assert_int_equal(world->model.publishes[5]->state, SIM_PUBLISH_REFUSED);
    publish_many(world, 5, 100);
    finish(world);
    assert_int_equal(world->model.publishes[13]->state, SIM_PUBLISH_ACCEPTED);
}

// Acknowledgements and the end of subscriptions use the reserve: they go on while publishes are refused.
static void test_a_full_disk_still_takes_acknowledgements(void **state)
{
    struct sim_world *world = *state;
    struct sim_sub *kept = subscribe(world, 0, "kept", 500), *ended = subscribe(world, 0, "", 500);
    publish_many(world, 50, 3000);
    world->model.disk_small = true;
    world->node.disk->capacity = sim_disk_used(world->node.disk);
    publish_many(world, 200, 3000);
    assert_int_equal(world->model.publishes[249]->state, SIM_PUBLISH_REFUSED);
    assert_true(sim_client_end_sub(&world->clients[0], ended, false));
    sim_world_pass(world, 8 * SECOND);
    assert_int_equal(ended->state, SIM_SUB_ENDED);
    sim_world_restart(world, SIM_LOSS_ALL);
    world->node.disk->capacity = UINT64_MAX;
    sim_world_pass(world, 5 * SECOND);
    publish_many(world, 5, 100);
    finish(world);
    assert_int_equal(kept->consumer->held[1].deliveries, 1);
}

// What the end of a subscription needs is there before a young server's only log file has become too short for it.
static void test_a_young_server_on_a_full_disk(void **state)
{
    struct sim_world *world = *state;
    struct sim_sub *ended = subscribe(world, 0, "", 500);
    world->model.disk_small = true;
    world->node.disk->capacity = sim_disk_used(world->node.disk);
    for (int i = 0; i < 12; i++)
        publish_many(world, 1, 100);
    assert_true(sim_client_end_sub(&world->clients[0], ended, false));
    sim_world_pass(world, 8 * SECOND);
    assert_int_equal(ended->state, SIM_SUB_ENDED);
    world->node.disk->capacity = UINT64_MAX;
    sim_world_pass(world, 5 * SECOND);
    finish(world);
}

// Whoever pings lives, however often it loses its connection: its failed heartbeats are not counted up to the limit.
static void test_a_client_that_reconnects_often_is_kept(void **state)
{
    struct sim_world *world = *state;
    struct sim_sub *sub = subscribe(world, 1, "", 5);
    for (uint64_t until_ns = world->now_ns + 30 * SECOND; world->now_ns < until_ns && !world->trace.failed;) {
        sim_world_pass(world, SECOND / 2000);
        // Right behind its ping, so that the heartbeat that follows finds nobody.
        struct sim_client *client = &world->clients[1];
        client->now_ns = world->now_ns;
        if (client->link_stage == SIM_LINK_UP && client->request_count == 0)
            sim_client_break(client, false);
    }
    sim_world_pass(world, 2 * SECOND);
    publish_many(world, 5, 100);
    finish(world);
    assert_int_equal(sub->state, SIM_SUB_OPEN);
    assert_int_equal(sub->consumer->held[5].deliveries, 1);
}

// A reader with much to come and little room for what waits gets it piece by piece and is not closed as too slow.
static void replay_fits_a_small_queue(struct sim_world *world, uint32_t workers)
{
    sim_node_kill(&world->node, SIM_LOSS_ALL);
    world->node.options.threads = workers;
    world->model.has_workers = workers > 1;
    world->node.options.max_pending = 64 * 1024;
    sim_world_start(world);
    sim_world_pass(world, 3 * SECOND);
    publish_many(world, 300, 1000);
    uint64_t links = world->net.link_count;
    subscribe(world, 2, "", 1000);
    sim_world_pass(world, 5 * SECOND);
    assert_int_equal(world->net.link_count, links);
    finish(world);
}

static void test_a_replay_fits_a_small_queue(void **state)
{
    replay_fits_a_small_queue(*state, 1);
}

// Whoever reads on another worker than the channel's was sent more in one turn than it may have waiting, and closed, again and again.
static void test_a_replay_to_another_worker_fits_a_small_queue(void **state)
{
    replay_fits_a_small_queue(*state, 3);
}

// ST-B21: a channel goes when nobody has used it for long enough, whatever kills come between, and not before.
static void test_a_channel_without_use_is_removed(void **state)
{
    struct sim_world *world = *state;
    world->node.options.channel.max_inactivity_ns = 60 * SECOND;
    sim_world_restart(world, SIM_LOSS_ALL);
    for (int round = 0; round < 2; round++) {
        publish_many(world, 3, 100);
        struct sim_sub *sub = subscribe(world, 0, "", 5);
        sim_world_pass(world, 65 * SECOND);
        assert_true(sim_client_end_sub(&world->clients[0], sub, false));
        for (int i = 0; i < 2; i++) {
            sim_world_pass(world, 20 * SECOND);
            sim_world_restart(world, SIM_LOSS_ALL);
        }
        sim_world_pass(world, 5 * SECOND);
        // Not yet: everything can be read. That is use, so it begins once more.
        sub = subscribe(world, 0, "", 5);
        sim_world_pass(world, 2 * SECOND);
        assert_true(sub->consumer->held_count > 3);
        assert_int_equal(sub->consumer->held[3].deliveries, 1);
        assert_true(sim_client_end_sub(&world->clients[0], sub, false));
        for (int i = 0; i < 2; i++) {
            sim_world_pass(world, 35 * SECOND);
            sim_world_restart(world, SIM_LOSS_RANDOM);
        }
        sim_world_pass(world, 5 * SECOND);
        sim_model_channel_gone(&world->model, 0);
    }
    publish_many(world, 2, 100);
    finish(world);
    assert_int_equal(world->model.channels[0].last_sequence, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_saved_ids_outlive_a_wall_clock_that_went_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_restart_is_transparent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_publishers_learn_that_the_log_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_refused_batch_leaves_no_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_disk_still_takes_acknowledgements, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_young_server_on_a_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_that_reconnects_often_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_replay_fits_a_small_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_replay_to_another_worker_fits_a_small_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_channel_without_use_is_removed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
