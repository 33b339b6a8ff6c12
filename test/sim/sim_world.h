// SPDX-License-Identifier: Apache-2.0
// One run of one seed: a node, its clients, faults, and the model that judges. First a safety phase, in which everything goes wrong
// that the level allows; then faults end and, in the liveness phase, everything owed must be paid; then what is stored is read from
// the first message on, and the node is killed once more, after which nothing that was acknowledged may come again.
//
//   S0  memory store, perfect network; clients die, the wall clock jumps
//   S1  the simulated disk: kills with lost, torn and garbled writes, orderly restarts, failing operations, a full and a slow disk
//   S2  also the simulated network: pieces, delays, small buffers, resets, silent peers, stalls
#pragma once

#include "sim_client.h"
#include "sim_model.h"
#include "sim_net.h"
#include "sim_node.h"
#include "sim_trace.h"

enum { SIM_CLIENTS_MAX = 8 };

struct sim_world {
    int level;
    uint64_t seed;
    struct prng prng; // of the world, the network and the clients
    struct sim_trace trace;
    struct sim_net net;
    struct sim_node node;
    struct sim_model model;
    struct sim_client clients[SIM_CLIENTS_MAX]; // the last one only reads
    uint32_t client_count;
    uint64_t now_ns;
    uint64_t fault_due_ns, start_due_ns; // UINT64_MAX: none
    uint64_t kill_before_ns;             // the node is killed while its disk works, or then; UINT64_MAX: it is not
    uint64_t disk_relief_ns;             // when a squeezed or slow disk is well again; UINT64_MAX: it is
    uint64_t steps;
    uint32_t idle_turns; // one after the other, at once, with nothing from outside in between
};

// What a run did, to show that seeds see enough.
struct sim_result {
    bool failed;
    char failure[700];
    uint64_t hash; // of the trace
    uint64_t publishes, accepted, deliveries, redeliveries, starts, turns;
};

// --- pieces, for scenarios (sim_scenario_test.c)

// A world that has not started yet, with what its seed draws; nothing acts on its own while `calm`.
void sim_world_init(struct sim_world *world, int level, uint64_t seed, bool verbose);
void sim_world_deinit(struct sim_world *world);
void sim_world_start(struct sim_world *world);
void sim_world_calm(struct sim_world *world);
// Kills the node while its disk holds what `loss` says, and starts it again at once.
void sim_world_restart(struct sim_world *world, enum sim_loss loss);
// So much virtual time, or less when something goes wrong.
void sim_world_pass(struct sim_world *world, uint64_t duration_ns);
// Until nothing is owed. False: something went wrong, or is owed still after `limit_ns`.
bool sim_world_settle(struct sim_world *world, uint64_t limit_ns);
// A new consumer per channel, from the first message on.
void sim_world_read_everything(struct sim_world *world);

// --- all of it
void sim_world_run(int level, uint32_t workers, uint64_t seed, bool verbose, struct sim_result *ret_result);
