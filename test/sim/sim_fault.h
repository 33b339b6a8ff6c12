// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a simulated world, and when it ends.
#pragma once

#include "sim_world.h"

// Faults and restarts that are due.
void sim_fault_step(struct sim_world *world);
// Everything is well again, for good.
void sim_fault_end(struct sim_world *world);
// How long a step of the disk takes at most, when it is well.
uint64_t sim_fault_disk_pace(struct sim_world *world);
// Once more, when nothing is owed: kills the node (with a disk) and starts it again at once.
void sim_fault_final_kill(struct sim_world *world);
