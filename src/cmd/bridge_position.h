// SPDX-License-Identifier: Apache-2.0
// How far the copy of one channel has come, and what is to be done with the next message that the old server sends. Pure.
//
// Everything up to `highest` is at the new server or on its way there; of what is beyond, `ahead` is there already: it was under way
// behind a message that was refused. A message behind a gap is not taken at once: it may be that the one before got lost between the old server
// and us. The subscription is then opened again, upon which a server sends first what was not acknowledged; if the same message
// comes first again, the gap is real.
//
// A server without a store counts from 1 again after a restart. Times show it: a number that we have, at a later time than any that we
// have, begins a new epoch.
#pragma once

#include "base/seqset.h"

// Messages of a channel that may be on their way at the same time.
enum { BRIDGE_WINDOW_MAX = 1024 };

struct bridge_position {
    uint64_t epoch;
    uint64_t highest;
    uint64_t newest_ns; // of the messages that were taken
    uint64_t gap;       // the message that was last found behind one; 0: none
    struct seqset ahead, in_flight;
};

enum bridge_verdict {
    BRIDGE_COPY,    // it is now on its way
    BRIDGE_PRESENT, // it is there: acknowledge it
    BRIDGE_WAIT,    // it is on its way
    BRIDGE_GAP,     // open the subscription again
};

void bridge_position_init(struct bridge_position *position);
void bridge_position_deinit(struct bridge_position *position);

enum bridge_verdict bridge_position_take(struct bridge_position *position, uint64_t sequence, uint64_t time_ns);
// The last message up to which nothing is missing that the old server sent.
uint64_t bridge_position_reached(const struct bridge_position *position);
// It is at the new server. False: it was not on its way.
bool bridge_position_arrived(struct bridge_position *position, uint64_t epoch, uint64_t sequence);
// The new server's connection is gone: what was on its way may be there or not. What is behind the first of it is forgotten, until
// bridge_position_found() tells.
void bridge_position_lose(struct bridge_position *position);
// Of the newest messages at the new server, in any order: one was copied from the old server. Those of the highest epoch count.
void bridge_position_found(struct bridge_position *position, uint64_t epoch, uint64_t sequence, uint64_t time_ns);
// That was all: what is older than everything found is there, or was.
void bridge_position_found_all(struct bridge_position *position);
