// SPDX-License-Identifier: Apache-2.0
// tidy: prefix sim
#include "sim_world.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/must.h"
#include "sim_fault.h"

#define MS     1000000ULL
#define SECOND (1000 * MS)
// Far more than any run needs.
#define SIM_STEPS_MAX      300000
#define SIM_IDLE_TURNS_MAX 2000 // 2 ms: what there is to do when nobody comes does not take longer

static void init_options(struct sim_world *world);
static void keep_channels(struct sim_world *world);
static void init_tls(struct sim_world *world, uint64_t seed);
static void init_clients(struct sim_world *world);
static void step(struct sim_world *world, uint64_t until_ns);
static void resume_durables(struct sim_world *world);
static bool is_owed(const struct sim_world *world, char *ret_text, size_t size);
static void on_gone(void *owner, struct sim_link *link);
static void result_of(const struct sim_world *world, struct sim_result *ret_result);

void sim_world_run(int level, uint32_t workers, uint64_t seed, bool verbose, struct sim_result *ret_result)
{
    static struct sim_world world; // large, and one run at a time
    sim_world_init(&world, level, seed, verbose);
    world.node.options.threads = workers;
    world.model.has_workers = workers > 1;
    sim_world_start(&world);
    sim_world_pass(&world, 2 * SECOND);
    if (seed % 4 == 3)
        keep_channels(&world);
    world.fault_due_ns = world.now_ns;
    sim_world_pass(&world, 8 * SECOND + prng_below(&world.prng, 12 * SECOND));
    sim_trace_note(&world.trace, "faults end");
    sim_fault_end(&world);
    sim_world_calm(&world);
    sim_world_pass(&world, 5 * SECOND);
    if (sim_world_settle(&world, 90 * SECOND))
        sim_world_read_everything(&world);
    if (sim_world_settle(&world, 60 * SECOND)) {
        sim_model_check_end(&world.model);
        sim_fault_final_kill(&world);
        sim_world_pass(&world, 12 * SECOND);
        sim_world_settle(&world, 60 * SECOND);
        sim_model_check_end(&world.model);
    }
    result_of(&world, ret_result);
    sim_world_deinit(&world);
    ret_result->hash = world.trace.hash;
}

void sim_world_init(struct sim_world *world, int level, uint64_t seed, bool verbose)
{
    memset(world, 0, sizeof(*world));
    world->level = level;
    world->seed = seed;
    world->now_ns = 1000 * SECOND;
    world->fault_due_ns = world->start_due_ns = world->disk_relief_ns = world->kill_before_ns = UINT64_MAX;
    prng_seed(&world->prng, seed * 3 + (uint64_t)level);
    sim_trace_init(&world->trace, verbose);
    world->trace.now_ns = world->now_ns;
    struct sim_net_faults faults = {.buffer_bytes = SIZE_MAX};
    if (level >= 2) {
        faults.cut = prng_chance(&world->prng, 3, 4);
        faults.delay_max_ns = prng_chance(&world->prng, 1, 2) ? prng_below(&world->prng, 50 * MS) : 0;
        faults.buffer_bytes = prng_chance(&world->prng, 1, 2) ? 512 + prng_below(&world->prng, 16384) : SIZE_MAX;
    }
    sim_net_init(&world->net, &world->prng, &faults);
    world->net.on_gone = on_gone;
    world->net.owner = world;
    world->net.now_ns = world->now_ns;
    sim_node_init(&world->node, &world->net, &world->prng, &world->trace, level == 0);
    sim_model_init(&world->model, &world->trace, 1 + (uint32_t)prng_below(&world->prng, 3));
    init_options(world);
    world->node.encryption = sim_crypto_for_seed(seed);
    init_tls(world, seed);
    init_clients(world);
}

// Every way to a secure connection, by the seed: two of five are in the clear. Certificates are nobody's business here.
static void init_tls(struct sim_world *world, uint64_t seed)
{
    struct tls_options *tls = &world->node.options.tls;
    static const enum tls_options_first firsts[] = {TLS_OPTIONS_INFO_FIRST, TLS_OPTIONS_HANDSHAKE_FIRST,
                                                    TLS_OPTIONS_AUTO};
    tls->use = seed % 5 < 3 && world->level >= 2 ? TLS_OPTIONS_ON : TLS_OPTIONS_OFF;
    tls->first = firsts[seed % 3];
    tls->allow_plain = seed % 2;
}

static void init_options(struct sim_world *world)
{
    struct prng *prng = &world->prng;
    struct options *options = &world->node.options;
    static const uint64_t graces[] = {0, 1, 2, 5};
    options->channel.disconnect_grace_ns = graces[prng_below(prng, 4)] * SECOND;
    options->channel.duplicate_window_ns = prng_chance(prng, 1, 4) ? 15 * SECOND : 600 * SECOND;
    options->heartbeat_interval_ns = 5 * SECOND;
    options->heartbeat_timeout_ns = 2 * SECOND;
    options->ping_interval_ns = 10 * SECOND;
    options->write_deadline_ns = 4 * SECOND;
    if (prng_chance(prng, 1, 5)) {
        options->channel.max_msgs = 20 + prng_below(prng, 60);
        world->model.limited = true;
    }
    if (world->seed % 5 == 2) {
        options->channel.max_msgs = 20 + world->seed % 40;
        options->channel.discard_new = true;
        world->model.limited = world->model.keeps_unfinished = true;
    }
    if (world->seed % 7 == 3) {
        options->channel.max_age_ns = (5 + world->seed % 5) * SECOND;
        world->model.max_age_ns = options->channel.max_age_ns;
        world->model.only_aged = !world->model.limited;
        world->model.limited = true;
    }
    if (world->level >= 2 && prng_chance(prng, 1, 4))
        options->max_pending = 64 * 1024;
    // With clients that say such words (sim_habits.verdicts): the dead go to a channel that nobody reads, which may be full; a message
    // waits longer from try to try.
    if (world->seed % 3 == 1 && world->seed % 2)
        options->channel.dead_letter = BYTES("dead.letters");
    if (world->seed % 9 == 1) {
        options->channel.backoff_count = 2;
        options->channel.backoff_ns[0] = 3 * SECOND / 2;
        options->channel.backoff_ns[1] = 6 * SECOND;
    }
    world->model.window_ns = options->channel.duplicate_window_ns;
    world->model.grace_ns = options->channel.disconnect_grace_ns;
    world->node.step_ns = sim_fault_disk_pace(world);
}

// ST-B21: a channel that nobody uses is removed, but not while it has a durable, and be that offline. Here each gets one, and then a
// reload brings the limit.
static void keep_channels(struct sim_world *world)
{
    struct sim_client *reader = &world->clients[world->client_count - 1];
    for (uint32_t i = 0; i < world->model.channel_count && !world->trace.failed; i++) {
        struct sim_sub_request wanted = {.client = reader->index,
                                         .channel = i,
                                         .durable = "keeper",
                                         .max_in_flight = 100,
                                         .ack_wait_ns = 30 * SECOND};
        if (!sim_client_subscribe(reader, &wanted))
            sim_trace_fail(&world->trace, "nobody keeps the channels");
    }
    sim_world_pass(world, SECOND);
    for (size_t i = reader->sub_count; i > 0 && !world->trace.failed; i--)
        sim_client_end_sub(reader, reader->subs[i - 1], false);
    world->node.options.channel.max_inactivity_ns = 200 * MS;
    if (world->node.node)
        sim_node_reload(&world->node, &world->node.options, NULL);
}

static void init_clients(struct sim_world *world)
{
    struct prng *prng = &world->prng;
    world->client_count = 3 + (uint32_t)prng_below(prng, 3);
    for (uint32_t i = 0; i < world->client_count; i++) {
        struct sim_habits habits = {
            .ack_now = 40 + (uint32_t)prng_below(prng, 61),
            .window = 1 + (uint32_t)prng_below(prng, 64),
            .burst = 1 + (uint32_t)prng_below(prng, 6),
            .payload_max = prng_chance(prng, 1, 4) ? 8000 : 600,
            .think_ns = 200 * MS + prng_below(prng, 2000 * MS),
            .republish = (uint32_t)prng_below(prng, 101),
            .publish_again = (uint32_t)prng_below(prng, 15),
            .subs_max = 1 + (uint32_t)prng_below(prng, 4),
            .end_sub = (uint32_t)prng_below(prng, 30),
            .unsubscribe = (uint32_t)prng_below(prng, 15),
            .end_client = (uint32_t)prng_below(prng, 15),
            .die = (uint32_t)prng_below(prng, 25),
        };
        habits.ack_late = (uint32_t)prng_below(prng, 101 - habits.ack_now);
        habits.verdicts = world->seed % 3 == 1;
        sim_client_init(&world->clients[i], i, &world->net, &world->model, prng, &habits);
        world->clients[i].anchor = i == 0;
        world->clients[i].link_due_ns = world->now_ns;
    }
    struct sim_client *reader = &world->clients[world->client_count - 1];
    reader->reader = true;
}

void sim_world_deinit(struct sim_world *world)
{
    if (world->node.node)
        sim_node_kill(&world->node, SIM_LOSS_ALL);
    for (uint32_t i = 0; i < world->client_count; i++)
        sim_client_deinit(&world->clients[i]);
    sim_net_deinit(&world->net);
    sim_node_deinit(&world->node);
    sim_model_deinit(&world->model);
}

// To the next moment at which anything happens, and everything that happens then.
static void step(struct sim_world *world, uint64_t until_ns)
{
    uint64_t next_ns = until_ns;
    const uint64_t dues[] = {sim_net_next_ns(&world->net), sim_node_next_ns(&world->node), world->fault_due_ns,
                             world->start_due_ns,          world->disk_relief_ns,          world->kill_before_ns};
    for (size_t i = 0; i < sizeof(dues) / sizeof(dues[0]); i++)
        next_ns = dues[i] < next_ns ? dues[i] : next_ns;
    for (uint32_t i = 0; i < world->client_count; i++) {
        uint64_t due_ns = sim_client_next_ns(&world->clients[i]);
        next_ns = due_ns < next_ns ? due_ns : next_ns;
    }
    bool node_only = next_ns <= world->now_ns && sim_node_next_ns(&world->node) <= world->now_ns;
    world->idle_turns = node_only ? world->idle_turns + 1 : 0;
    if (world->idle_turns > SIM_IDLE_TURNS_MAX)
        sim_trace_fail(&world->trace, "the node asks for turn after turn");
    // Each turn has its own time, by which the model tells turns apart.
    world->now_ns = next_ns > world->now_ns ? next_ns : world->now_ns + 1000;
    world->trace.now_ns = world->net.now_ns = world->now_ns;
    sim_model_clock(&world->model, world->now_ns, (uint64_t)((int64_t)world->now_ns + world->node.wall_ns));
    world->steps++;
    sim_fault_step(world);
    for (uint32_t i = 0; i < world->client_count; i++)
        sim_client_act(&world->clients[i], world->now_ns);
    if (world->node.node) {
        sim_node_turn(&world->node, world->now_ns);
        for (uint32_t i = 0; i < world->client_count; i++)
            sim_client_poll(&world->clients[i], world->now_ns);
    }
    sim_net_deliver(&world->net, world->now_ns);
}

void sim_world_pass(struct sim_world *world, uint64_t duration_ns)
{
    uint64_t until_ns = world->now_ns + duration_ns;
    while (world->now_ns < until_ns && !world->trace.failed) {
        step(world, until_ns);
        if (world->steps > SIM_STEPS_MAX)
            sim_trace_fail(&world->trace, "it goes round in circles");
    }
}

static bool is_owed(const struct sim_world *world, char *ret_text, size_t size)
{
    for (uint32_t i = 0; i < world->client_count; i++)
        if (world->clients[i].stan_stage != SIM_STAN_CONNECTED || world->clients[i].link_stage != SIM_LINK_UP) {
            snprintf(ret_text, size, "client %u is not connected", i);
            return true;
        }
    return sim_model_is_owed(&world->model, ret_text, size);
}

// Runs until nothing is owed. False: something went wrong, or the time is over and something is owed still.
bool sim_world_settle(struct sim_world *world, uint64_t limit_ns)
{
    uint64_t until_ns = world->now_ns + limit_ns;
    char owed[300] = "";
    while (!world->trace.failed) {
        sim_world_pass(world, SECOND);
        resume_durables(world);
        if (!world->trace.failed && !is_owed(world, owed, sizeof(owed)))
            return true;
        if (world->now_ns >= until_ns && !world->trace.failed)
            sim_trace_fail(&world->trace, "after %.0f quiet seconds: %s", (double)limit_ns / 1e9, owed);
    }
    return false;
}

// No more new things; everybody comes back and does what is expected.
void sim_world_calm(struct sim_world *world)
{
    for (uint32_t i = 0; i < world->client_count; i++) {
        world->clients[i].calm = true;
        world->clients[i].now_ns = world->now_ns;
    }
}

void sim_world_start(struct sim_world *world)
{
    bool started = sim_node_start(&world->node, world->now_ns);
    must(started);
}

void sim_world_restart(struct sim_world *world, enum sim_loss loss)
{
    sim_model_crashed(&world->model, world->now_ns);
    sim_node_kill(&world->node, loss);
    sim_world_start(world);
    sim_model_started(&world->model, world->now_ns);
}

static void result_of(const struct sim_world *world, struct sim_result *ret_result)
{
    *ret_result = (struct sim_result){
        .failed = world->trace.failed,
        .publishes = world->model.publish_count,
        .deliveries = world->model.deliveries,
        .redeliveries = world->model.redeliveries,
        .starts = world->node.starts,
        .turns = world->node.turns,
    };
    for (size_t i = 0; i < world->model.publish_count; i++)
        ret_result->accepted += world->model.publishes[i]->state == SIM_PUBLISH_ACCEPTED;
    memcpy(ret_result->failure, world->trace.failure, sizeof(ret_result->failure));
}

// Somebody takes up each durable that nobody holds.
static void resume_durables(struct sim_world *world)
{
    struct sim_model *model = &world->model;
    for (size_t i = 0; i < model->consumer_count; i++) {
        struct sim_consumer *consumer = model->consumers[i];
        bool held = !consumer->durable || consumer->ended;
        for (size_t k = 0; k < model->sub_count; k++)
            held |= model->subs[k]->consumer == consumer && model->subs[k]->state != SIM_SUB_ENDED;
        if (held)
            continue;
        struct sim_sub_request wanted = consumer->request;
        if (consumer->group)
            wanted.client = 0;
        wanted.max_in_flight = 10;
        wanted.ack_wait_ns = SECOND;
        sim_client_subscribe(&world->clients[wanted.client], &wanted);
    }
}

// A new consumer per channel, from the first message on.
void sim_world_read_everything(struct sim_world *world)
{
    struct sim_client *reader = &world->clients[world->client_count - 1];
    for (uint32_t i = 0; i < world->model.channel_count; i++) {
        struct sim_sub_request wanted = {
            .client = reader->index,
            .channel = i,
            .start = SIM_START_FIRST,
            .max_in_flight = 1 + (uint32_t)prng_below(&world->prng, 200),
            .ack_wait_ns = 30 * SECOND,
        };
        if (!sim_client_subscribe(reader, &wanted))
            sim_trace_fail(&world->trace, "the reader is not connected");
        else
            world->model.readers[i] = reader->subs[reader->sub_count - 1]->consumer;
    }
}

static void on_gone(void *owner, struct sim_link *link)
{
    struct sim_world *world = owner;
    sim_model_link_gone(&world->model, link->number, world->now_ns);
}
