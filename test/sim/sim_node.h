// SPDX-License-Identifier: Apache-2.0
// A whole server in virtual time: server/node.h on a simulated disk and network. It can be killed at any moment and started again
// on what the disk kept. One thread, one seed; the machine's clock is never read.
#pragma once

#include "server/node.h"
#include "sim_crypto.h"
#include "sim_disk.h"
#include "sim_net.h"
#include "sim_trace.h"
#include "sim_workers.h"

struct sim_node {
    struct options options;   // of the next start
    struct auth_config *auth; // of the next start: borrowed; NULL: everybody is let in
    struct sim_net *net;      // borrowed
    struct prng *prng;        // borrowed
    struct sim_trace *trace;  // borrowed
    struct node *node;        // NULL: not running
    struct node_env env;
    struct sim_workers workers; // as many as options.threads says
    struct random_source random;
    struct logger logger;
    struct sim_disk *disk;              // owned; NULL with a memory store
    struct store_encryption encryption; // of the disk; no key: none
    uint64_t now_ns;                    // monotonic
    int64_t wall_ns;                    // what the wall clock shows beyond now_ns
    uint64_t step_ns;                   // a disk step takes at most so long
    uint64_t disk_due_ns;
    bool again; // the node wants another turn at once
    bool stopping;
    uint64_t turns, starts;
};

void sim_node_init(struct sim_node *sim, struct sim_net *net, struct prng *prng, struct sim_trace *trace, bool memory);
// The node must not run.
void sim_node_deinit(struct sim_node *sim);

// Recovers. False: it could not, and the trace says why.
bool sim_node_start(struct sim_node *sim, uint64_t now_ns);
// Everything that is due.
void sim_node_turn(struct sim_node *sim, uint64_t now_ns);
uint64_t sim_node_next_ns(const struct sim_node *sim);
// It is gone from one moment to the next; the disk keeps what `loss` says.
void sim_node_kill(struct sim_node *sim, enum sim_loss loss);
// What `weir serve` does at SIGHUP and SIGUSR2: other options and other users (NULL: the same); clients shall go elsewhere. The strings in
// `options` are borrowed.
void sim_node_reload(struct sim_node *sim, const struct options *options, struct auth_config *auth);
void sim_node_lame_duck(struct sim_node *sim);
// Begins an orderly stop; turns go on until `node` is NULL.
void sim_node_shutdown(struct sim_node *sim);
