// SPDX-License-Identifier: Apache-2.0
// A data directory made from something else: a shard as a server has one, on a loop of its own, that somebody fills step by step; then
// the directory is whole, or left marked as unfinished (cmd/intake_target.h).
#pragma once

#include "env/log.h"
#include "stan/stan.h"

// Bytes of a message with all that is in front of its payload: as much as a server can be told to take.
#define FILLING_MESSAGE_MAX (8u << 20)

struct filling {
    const char *directory;                     // empty, or not there yet
    const char *cluster_id;                    // whose it will be
    const struct store_encryption *encryption; // of the directory; NULL: none
    const struct logger *logger;
    // The shard is open and serves nobody; both are there until filling_run() is over.
    void (*begin)(void *owner, struct shard *shard, struct stan *stan);
    // Within a turn: 1: more is to come at once; 0: everything was proposed; ERR_AGAIN: the log takes no more in this turn; any other
    // error ends it all.
    int (*step)(void *owner, struct engine_time now);
    void *owner;
};

// 0: it is durable and whole. Errors of the directory and the log are logged; those of `step` are its own to explain, but for
// ERR_NO_SPACE, which is the new directory's.
int filling_run(const struct filling *filling) MUST_USE;
