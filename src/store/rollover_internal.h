// SPDX-License-Identifier: Apache-2.0
// What rollover.c, rollover_copy.c, rollover_gather.c, rollover_husk.c and rollover_sweep.c share.
#pragma once

#include "store/rollover.h"

enum {
    ROLLOVER_ITEMS = 32768,        // read in one gather at most: a power of two
    ROLLOVER_GATHER = 8 * 1048576, // bytes of it, where what is wanted is spread over the log file
};

struct rollover_item {
    uint64_t sequence;
    uint64_t offset; // in the log file
    size_t at;       // in the writer's buffer
    uint32_t stream;
    uint32_t size;
};

// Copying the messages of rollover->file into the writer (rollover_copy.c).
void rollover_copy_begin(struct rollover *rollover);
// COLLECTING: looks up the next messages and, once they are enough, begins to read them, or goes on to WRITING or ATTACHING.
// True: more at once.
bool rollover_collect(struct rollover *rollover);
// TAKING: those that verify become part of the segment, some each turn; then goes on to WRITING, or COLLECTING. True: more at once.
bool rollover_take(struct rollover *rollover);
// Reads the items to their places: READING, then TAKING (rollover_gather.c). There is at least one.
void rollover_gather_read(struct rollover *rollover);
// Everything is copied: appends the footer to the writer's buffer.
void rollover_copy_foot(struct rollover *rollover);
// Gives the log file back and frees what copying needed.
void rollover_copy_end(struct rollover *rollover);

// The segment with the id info.id has a writer, with its header in the buffer.
void rollover_writer_ensure(struct rollover *rollover);

// Is it worth its while to copy the segment's dedupe ids (rollover_husk.c)?
bool rollover_is_husk(const struct rollover *rollover, const struct segment *segment);
// Copies those of rollover->husk: READING, then WRITING.
void rollover_husk_begin(struct rollover *rollover);
// ATTACHING: the copy is in force, the husk is dead. False: not yet.
bool rollover_husk_attach(struct rollover *rollover);
// Frees what copying needed.
void rollover_husk_end(struct rollover *rollover);

// Back to IDLE, to be tried again (rollover.c).
void rollover_failed(struct rollover *rollover, int error);
// A request of the writer completed.
void rollover_wake(void *owner);

// Declares segments dead, and removes the files of those both generations know to be (rollover_sweep.c).
void rollover_sweep_dead(struct rollover *rollover);
// Does it wait for the disk, whose answer calls again?
bool rollover_sweep_waits(const struct rollover *rollover);
// Start: what interrupted roll-overs left behind.
void rollover_sweep_orphans(struct rollover *rollover, uint64_t first_index, uint64_t last_index, bool damaged);
