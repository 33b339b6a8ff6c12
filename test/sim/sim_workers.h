// SPDX-License-Identifier: Apache-2.0
// The turns of a simulated node that has several workers: between two turns of the node, each of the others ends its turn or is left
// asleep, in random order, so that what they send each other arrives in every order that threads could take. What comes from the
// network goes to the worker that has the connection. With one worker it only passes things on, and draws nothing.
#pragma once

#include "base/prng.h"
#include "env/net.h"
#include "server/node.h"

struct sim_workers {
    struct node *node; // borrowed
    struct prng *prng; // borrowed
    uint32_t count;
    bool asleep; // somebody has something left to do
    struct net_handler handler;
};

// After node_start(); the caller sets node_env.wake to a function that does nothing, since nobody sleeps for long here.
void sim_workers_start(struct sim_workers *workers, struct node *node, uint32_t count, struct prng *prng);
// Where the network hands connections to.
const struct net_handler *sim_workers_handler(struct sim_workers *workers);
// Around what the network does: everybody's turn begins; then those that are awake end theirs, the node's too. True: come back at once.
void sim_workers_begin(struct sim_workers *workers, struct moment now);
bool sim_workers_end(struct sim_workers *workers, struct moment now);
// All are as far with their stop as they can be without their connections.
bool sim_workers_are_quiet(const struct sim_workers *workers);
uint64_t sim_workers_next_deadline_ms(const struct sim_workers *workers);
