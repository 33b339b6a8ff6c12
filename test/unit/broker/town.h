// SPDX-License-Identifier: Apache-2.0
// Several brokers of one server, each a world (world.h) with clients of its own, and the mailboxes between them: one queue per
// worker, first in, first out over all senders, as threads would have it. Nothing moves unless a test says so, so every order that
// threads could take can be taken here, step by step.
#pragma once

#include "broker/remote.h"
#include "world.h"

#define TOWN_WORKERS_MAX 4

struct town;

struct town_worker {
    struct world world;
    struct remote_carrier carrier;
    struct town *town;
    uint32_t number;
    struct list mailbox; // struct remote_batch.link
    size_t waiting;      // batches in it
};

struct town {
    struct town_worker workers[TOWN_WORKERS_MAX];
    uint32_t count;
};

// `options` are those of each broker, but for what makes it one of several.
void town_init(struct town *town, uint32_t count, const struct broker_options *options);
void town_deinit(struct town *town);
// One worker takes up to `max` batches, then turns until it has nothing more to do.
void town_step(struct town *town, uint32_t worker, size_t max);
// Steps all until nothing is under way.
void town_settle(struct town *town);
// Nothing is under way between workers.
bool town_is_quiet(const struct town *town);
