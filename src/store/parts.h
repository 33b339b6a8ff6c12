// SPDX-License-Identifier: Apache-2.0
// Everything of a store but the appending: where messages are, what is in memory, what became cold. One composition, so that
// the log and recovery need not know its members.
#pragma once

#include "store/context.h"

struct parts;        // parts.c
struct sidecar_info; // sidecar.h

struct parts_loaded {
    uint64_t covered; // entries up to this index are in the checkpoint: replayed as covered
    uint64_t end;     // the next new entry must have a greater index, even if the log ends before
    uint64_t rolled;  // messages of entries up to this index are in segments: those entries are not replayed at all
};

// `context` is borrowed for life. Also for the memory store.
struct parts *parts_new(struct store_context *context);
// No request may be under way.
void parts_free(struct parts *parts);

// Recovery, before replay: manifest, segments, checkpoint images (handler.restore). first_index: of the log's
// first entry, 0 when it has none. All zero when there is no checkpoint. ERR_*: refuse to start.
int parts_load(struct parts *parts, uint64_t first_index, struct parts_loaded *ret_loaded);
// Recovery, instead of the replay of a log file that the checkpoint covers: what its sidecar says. False: it cannot be used,
// and nothing was done.
bool parts_load_sidecar(struct parts *parts, const struct sidecar_info *info);
// Recovery, after replay. Then the saved dedupe ids are given back, step by step.
void parts_recovered(struct parts *parts, uint64_t first_index, uint64_t last_index, bool damaged);

// These bytes of a log file are durable and lie in `chunk`: before the entries in them are applied or replayed. Positions
// increase from call to call.
void parts_add_durable(struct parts *parts, uint64_t file, uint64_t offset, struct bytes bytes, struct chunk *chunk);
// Recovery has read what there is: only this log file is written from now on.
void parts_begin_file(struct parts *parts, uint64_t file);
// A slice of roll-over or checkpoint. True: there is more to do at once.
bool parts_step(struct parts *parts);
uint64_t parts_next_deadline_ms(const struct parts *parts);
// Roll-over cannot keep up: no publish is admitted for a while.
bool parts_is_behind(const struct parts *parts);
// Begins nothing new. / A request is under way.
void parts_quiesce(struct parts *parts);
bool parts_is_busy(const struct parts *parts);
// Memory store: bytes of memory that messages keep.
uint64_t parts_memory_bytes(const struct parts *parts);
// Fills in its share.
void parts_stats(const struct parts *parts, struct store_stats *stats);
// `weir check`: prints what segments and checkpoints hold; returns the number of problems, or ERR_*.
int parts_check(struct disk *disk, void (*print)(void *owner, const char *line), void *owner);
