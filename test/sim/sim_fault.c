// SPDX-License-Identifier: Apache-2.0
// tidy: prefix sim
#include "sim_fault.h"

#include "base/must.h"

#define MS     1000000ULL
#define SECOND (1000 * MS)

static void one_fault(struct sim_world *world);
static void start_node(struct sim_world *world);
static void maybe_kill(struct sim_world *world);
static void kill_node(struct sim_world *world, uint64_t down_ns);
static void net_fault(struct sim_world *world);
static void disk_fault(struct sim_world *world);
static void jump(struct sim_world *world);
static void relieve(struct sim_world *world);

void sim_fault_step(struct sim_world *world)
{
    if (world->disk_relief_ns <= world->now_ns)
        relieve(world);
    if (world->start_due_ns <= world->now_ns) {
        // What failed needs a restart; what was told to stop has had its time.
        if (world->node.node)
            kill_node(world, 0);
        start_node(world);
    }
    if (world->kill_before_ns != UINT64_MAX)
        maybe_kill(world);
    if (world->fault_due_ns <= world->now_ns) {
        one_fault(world);
        world->fault_due_ns = world->now_ns + 100 * MS + prng_below(&world->prng, 4 * SECOND);
    }
}

void sim_fault_end(struct sim_world *world)
{
    world->fault_due_ns = world->kill_before_ns = UINT64_MAX;
    relieve(world);
    world->net.faults.delay_max_ns = 0;
    if (!world->model.disk_healthy || !world->node.node)
        world->start_due_ns = world->now_ns;
}

uint64_t sim_fault_disk_pace(struct sim_world *world)
{
    static const uint64_t paces_ns[] = {10000, 1 * MS, 20 * MS};
    return 1 + prng_below(&world->prng, paces_ns[prng_below(&world->prng, 3)]);
}

void sim_fault_final_kill(struct sim_world *world)
{
    if (world->level == 0)
        return;
    kill_node(world, 0);
    sim_fault_step(world);
}

static void one_fault(struct sim_world *world)
{
    uint64_t roll = prng_below(&world->prng, 100);
    if (roll < 8) {
        jump(world);
    } else if (world->level >= 2 && roll < 60) {
        net_fault(world);
    } else if (world->level >= 1 && roll < 85 && world->start_due_ns == UINT64_MAX) {
        world->kill_before_ns = world->now_ns + prng_below(&world->prng, SECOND);
    } else if (world->level >= 1 && roll < 95) {
        disk_fault(world);
    } else if (world->level >= 1 && world->start_due_ns == UINT64_MAX && world->node.node) {
        sim_node_shutdown(&world->node);
        world->model.stopping = true;
        // It is not killed before it had time to stop.
        world->start_due_ns = world->now_ns + SECOND + prng_below(&world->prng, 8 * SECOND);
    }
}

// When an operation fails during recovery, somebody starts the node again.
static void start_node(struct sim_world *world)
{
    struct sim_disk *disk = world->node.disk;
    world->start_due_ns = UINT64_MAX;
    if (sim_node_start(&world->node, world->now_ns)) {
        sim_model_started(&world->model, world->now_ns);
    } else if (disk && disk->failed) {
        disk->failed = false;
        world->start_due_ns = world->now_ns + SECOND;
    } else {
        sim_trace_fail(&world->trace, "the node does not start");
    }
}

// Between two steps of a disk at work most can go wrong.
static void maybe_kill(struct sim_world *world)
{
    bool works = world->node.node && !sim_disk_is_idle(world->node.disk);
    if (world->now_ns < world->kill_before_ns && !(works && prng_chance(&world->prng, 1, 4)))
        return;
    world->kill_before_ns = UINT64_MAX;
    if (world->start_due_ns == UINT64_MAX)
        kill_node(world, prng_chance(&world->prng, 1, 2) ? 0 : prng_below(&world->prng, 4 * SECOND));
}

static void kill_node(struct sim_world *world, uint64_t down_ns)
{
    if (world->node.node) {
        enum sim_loss loss = prng_chance(&world->prng, 1, 4)   ? SIM_LOSS_NONE
                             : prng_chance(&world->prng, 1, 4) ? SIM_LOSS_ALL
                                                               : SIM_LOSS_RANDOM;
        sim_model_crashed(&world->model, world->now_ns);
        sim_node_kill(&world->node, loss);
    }
    world->start_due_ns = world->now_ns + down_ns;
}

static void net_fault(struct sim_world *world)
{
    struct sim_client *client = &world->clients[prng_below(&world->prng, world->client_count)];
    uint64_t roll = prng_below(&world->prng, 10);
    client->now_ns = world->now_ns;
    if (!client->link)
        return;
    if (roll < 5) {
        sim_trace_note(&world->trace, "client %u's link is reset", client->index);
        sim_client_break(client, false);
    } else if (roll < 7) {
        sim_trace_note(&world->trace, "client %u's link falls silent", client->index);
        sim_client_break(client, true);
    } else {
        uint64_t stall_ns = prng_below(&world->prng, 3 * SECOND);
        sim_trace_note(&world->trace, "client %u's link stalls for %.3f s", client->index, (double)stall_ns / 1e9);
        sim_link_freeze(client->link, world->now_ns + stall_ns);
    }
}

// One at a time; each ends by itself.
static void disk_fault(struct sim_world *world)
{
    struct sim_disk *disk = world->node.disk;
    if (world->disk_relief_ns != UINT64_MAX || !world->node.node || world->start_due_ns != UINT64_MAX)
        return;
    uint64_t roll = prng_below(&world->prng, 4);
    world->disk_relief_ns = world->now_ns + prng_below(&world->prng, 3 * SECOND);
    if (roll == 0) {
        sim_trace_note(&world->trace, "the disk is slow");
        world->node.step_ns = 200 * MS;
    } else if (roll == 1) {
        sim_trace_note(&world->trace, "the disk is full");
        uint64_t used = sim_disk_used(disk);
        disk->capacity = used + prng_below(&world->prng, 100000);
        world->model.disk_small = true;
    } else if (roll == 2) {
        // As a volume that copies on write may say even within a file that was allocated.
        sim_trace_note(&world->trace, "an operation of the disk will find no space");
        world->model.disk_small = world->model.reads_fail = true;
        disk->failed = false;
        sim_disk_fail(disk, 1 + prng_below(&world->prng, 30), ERR_NO_SPACE);
    } else {
        sim_trace_note(&world->trace, "an operation of the disk will fail");
        world->model.disk_healthy = false;
        world->model.reads_fail = true;
        disk->failed = false;
        sim_disk_fail(disk, 1 + prng_below(&world->prng, 30), ERR_IO);
        world->start_due_ns = world->now_ns + prng_below(&world->prng, 5 * SECOND);
    }
}

static void relieve(struct sim_world *world)
{
    if (world->disk_relief_ns == UINT64_MAX)
        return;
    world->disk_relief_ns = UINT64_MAX;
    world->node.step_ns = sim_fault_disk_pace(world);
    if (world->node.disk)
        world->node.disk->capacity = UINT64_MAX;
}

static void jump(struct sim_world *world)
{
    int64_t by_ns = (int64_t)prng_below(&world->prng, 4000 * SECOND) - (int64_t)(2000 * SECOND);
    sim_trace_note(&world->trace, "the wall clock jumps by %.0f s", (double)by_ns / 1e9);
    world->node.wall_ns += by_ns;
    if (by_ns > 0)
        world->model.jump_ns = world->now_ns;
}
