// SPDX-License-Identifier: Apache-2.0
// An import in memory: a store of files that the test puts there, a shard on another disk, and what became of it after a start.
#pragma once

#include "broker/broker.h"
#include "sim_disk.h"
#include "stan/import/importer.h"

struct import_world {
    struct sim_disk source, target;
    struct importer_options options;
    struct importer_stats stats; // of the last import
    struct logger logger;
    char said[4096]; // what was logged, one line behind the other
    size_t said_len;
    struct moment now;
    // Of the shard that is open:
    struct broker *broker;
    struct shard *shard;
    struct stan *stan;
};

void import_world_init(struct import_world *world);
void import_world_deinit(struct import_world *world);

// A file of the store; its folder is made.
void import_world_put(struct import_world *world, const char *path, struct bytes content);

// Imports into an empty target, or only looks. 0: it is durable there; else the error that ended it.
int import_world_run(struct import_world *world, bool only_look);

// A server starts on the target as any does. Then the shard is open until import_world_close().
int import_world_open(struct import_world *world);
void import_world_close(struct import_world *world);
// Turns until nothing is left to do.
void import_world_settle(struct import_world *world);
