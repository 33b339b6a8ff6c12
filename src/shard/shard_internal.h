// SPDX-License-Identifier: Apache-2.0
// tidy: prefix shard
// What the files of shard/ share.
#pragma once

#include "base/pool.h"
#include "shard/hold.h"
#include "shard/shard.h"

// Holds are released in the order in which they were added.
void shard_hold_add(struct shard *shard, struct hold *hold);

// --- shard_host.c: what the engine needs, on the store
void shard_host_fill(struct shard *shard, struct engine_host *host);
// --- shard_handler.c: what the store needs, on engine and machines
void shard_handler_fill(struct shard *shard, struct store_handler *handler);

struct shard {
    struct shard_options options;
    struct engine *engine; // owned
    struct store *store;   // owned; NULL before open
    struct list machines;  // shard_machine
    struct list holds;     // hold
    struct pool fetches;   // shard_host.c
    struct engine_time now;
    bool committed;                      // something was applied since the last turn's end
    bool serving;                        // recovery is over
    bool engine_left;                    // checkpoint: the engine has more images
    struct shard_machine *image_machine; // checkpoint: the machine whose images are being written
};
