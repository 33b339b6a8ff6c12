// SPDX-License-Identifier: Apache-2.0
// The brokers of the other workers, as one broker sees them: what its connections subscribe to is announced to them, what theirs
// subscribe to lies in its trie as remote targets, and messages for them gather in batches.
//
// Pure: batches are given to a carrier (server/worker.h moves them between threads, tests step them in any legal order). The
// life of a batch:
//
//                     remote_carrier.send                    broker_remote_receive
//     GATHERING ───────────────────────────► to `to` ───────────────────────────────► worked through
//     (sender)                                                                              │ send, at the turn's end
//         ▲            broker_remote_receive                                                ▼
//         └────────────────────────────────────────────────────────────────────────── back to `from`
//
// The return of a batch is everything at once: the credit (its bytes count against the sender's window until then), the
// acknowledgement of interest announced in it, and the memory for another. So it needs no message of its own, and no receiver
// allocates or frees. A carrier must be one queue per receiver, first in, first out over all senders: then whoever has been told
// something finds what was sent before it already delivered.
//
// What is gathered is sent before the sockets of the same turn: who gets a PONG knows that all he published before is on its way,
// in front of anything that others publish because of it.
//
// How a connection and its worker wait for others:
//
//     OPEN ──SUB of something not yet known everywhere──► WAITING ──PUB or PING──► HELD (not read) ──acknowledged──► OPEN
//       │                                                    └──────────────acknowledged──────────────────────────────►┘
//       ├──published, and a window is full──► PAUSED (not read) ──half of it is back──► OPEN
//       └──an inlet elsewhere is overloaded─► PAUSED (not read) ──that worker resumes──► OPEN
// tidy: prefix broker_remote
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/mailbox.h"

struct broker;

// Workers of one server at most: sets of them are one word.
#define REMOTE_WORKERS_MAX 64

// Records one after the other, to one worker. Whoever has it owns it; there is never more than one.
struct remote_batch {
    struct mailbox_item item; // the carrier's while it is under way
    struct list link;         // list link: of the broker that has it
    uint32_t from;            // worker
    uint32_t to;              // worker
    bool returning;           // worked through, on its way home
    uint64_t round;           // the round of interest that it completes; 0: none
    size_t cost_bytes;        // what counts against the window: records, and blocks they refer to
    size_t len;               // bytes in use
    size_t cap;               // bytes of data[]
    _Alignas(8) char data[];
};

struct remote_carrier {
    void *owner;
    // Takes the batch to worker `to`, whose broker gets it by broker_remote_receive(), in order. Never blocks, never fails.
    void (*send)(void *owner, uint32_t to, struct remote_batch *batch);
};

// A batch that came for this worker: one of another's, or one of its own that returns. Within a turn.
void broker_remote_receive(struct broker *broker, struct remote_batch *batch);
// Everything that was sent has been worked through, and nothing waits to be sent.
bool broker_remote_is_idle(const struct broker *broker);
// Connections on other workers, which count for max_connections as well: for the worker that accepts.
void broker_remote_count_connections(struct broker *broker, uint32_t elsewhere);
// Frees a batch that nobody will receive any more.
void remote_batch_free(struct remote_batch *batch);
