// SPDX-License-Identifier: Apache-2.0
// A store, its disk and a source of choices from one seed, and what tests over them have in common. For tests only.
#pragma once

#include "store_model.h"

struct world {
    struct sim_disk disk;
    struct model model;
    struct prng prng;
};

// SEED=n in the environment: only that one, with the store's log, to look into a failure.
uint64_t world_first_seed(void);
uint64_t world_last_seed(uint64_t last);

struct world *world_new(uint64_t seed);
void world_free(struct world *world);
// Up to `most` steps of the disk.
void world_steps(struct world *world, uint64_t most);
// A life: appends, turns, reads and deletes in some order.
void world_live(struct world *world, uint64_t turns);
void world_read_all(struct world *world);
// Opens; now and then an operation fails on the way, or the machine stops in the middle of it, and it is tried again.
void world_open_somehow(struct world *world, enum sim_loss loss);
