// SPDX-License-Identifier: Apache-2.0
// One backup being made, as a stream of bytes (BACKUP.md), in pieces of work that hold nobody up:
//
//     GATHERING ── 256 KiB of images a piece ──► (the moment) ──► GIVING ── what was asked for, a bounded number of reads a piece ──► whole
//
// First the positions of all consumers are taken, one by one, then the clients; then, at one moment, it is noted where each channel ends;
// then images and messages are read as they are asked for. So every position is older than the end of every channel: what a backup
// has as acknowledged, it has all consequences of that were published before, and what was acknowledged a little later comes again.
// Of a consumer or channel that goes meanwhile nothing may be in it, of a subscription that comes meanwhile neither. What limits drop before
// it is read is not in it.
#pragma once

#include "shard/shard.h"
#include "stan/stan.h"

struct backup;

struct backup_options {
    struct shard *shard;         // borrowed for life; open
    struct stan *stan;           // the same; NULL: no clients
    struct bytes cluster_id;     // borrowed during backup_new()
    struct bytes channel;        // the same; len 0: all of them, and clients
    uint64_t time_ns;            // wall clock
    bool keep_going;             // passes over messages that cannot be read, and counts them
    const struct logger *logger; // borrowed for life
};

enum backup_result {
    BACKUP_READY, // so many bytes are there, or all that are left
    BACKUP_BUSY,  // come back at once
    BACKUP_WAITS, // for the disk
    BACKUP_FAILED, // backup_error(): a message cannot be read, or consumers and clients take more than 512 MiB; it can only be freed
};

// ERR_NOT_FOUND: there is no such channel.
int backup_new(const struct backup_options *options, struct backup **ret_backup) MUST_USE;
// NULL is fine. Before the shard goes.
void backup_free(struct backup *backup);

// A piece of the work that it takes to have so many bytes.
enum backup_result backup_work(struct backup *backup, size_t want);
// What is there; borrowed until the next call.
struct bytes backup_bytes(const struct backup *backup);
// These are done with.
void backup_drop(struct backup *backup, size_t count);
// Nothing comes behind what is there.
bool backup_is_whole(const struct backup *backup);
// A sentence; borrowed.
const char *backup_error(const struct backup *backup);

struct backup_stats {
    uint64_t channels, frames, bytes; // that were given
    uint64_t missing;                 // messages that could not be read
};
void backup_stats_get(const struct backup *backup, struct backup_stats *ret_stats);
