// SPDX-License-Identifier: Apache-2.0
// Channels that are removed because nobody uses them (ST-B21, ST-C14): without a subscription, durables that are offline included, and
// without a new message for max_inactivity. (nats-streaming-server removes channels whose durables are offline, and what these had
// not received with them.)
//
// When a message came is in the log; when a subscription ended is not, so for channels with such a limit that is noted there too, a
// machine on the shard's log: RECORD_CHANNEL_LEFT before each record that ends a subscription, and when the channel is made or first
// found without one. So a restart is no activity, and a server that was down may find that a channel's time is over.
//
//   offset size  body of RECORD_CHANNEL_LEFT, object: stream
//       16    8  time, wall clock ns; 0: the channel is removed, nothing is to be remembered
//   RECORD_IMAGE_CHANNEL_LEFT: 8 bytes index, then the body above.
//
// A removal is proposed within a turn, and until it is durable the channel's name is refused (ST-E18): whoever publishes then gets
// a channel that begins anew when he tries again.
#pragma once

#include "base/list.h"
#include "base/map_u64.h"
#include "shard/shard.h"

struct stan;

struct inactivity {
    struct shard_machine machine;
    struct stan *stan;       // borrowed
    struct map_u64 channels; // by stream id: struct left_channel, owned
    struct list changed;     // since the last checkpoint began
    struct list imaging;     // still to be written to the running one
    struct list removals;    // proposed and not durable
    uint64_t look_ms;        // monotonic: when all channels are to be looked at; UINT64_MAX: not at all
};

void inactivity_init(struct inactivity *inactivity, struct stan *stan);
void inactivity_deinit(struct inactivity *inactivity);

// A subscription of the channel is about to end, or the channel was made just now: to be called before that is proposed. Does nothing
// for channels that never had the limit: the note of one that had must not be older than its last subscription when the limit comes back.
// Admission errors; then the end must not be proposed.
int inactivity_note(struct inactivity *inactivity, const struct stream *stream) MUST_USE;
// Removes a channel, whoever uses it. Admission errors, ERR_NOT_FOUND.
int inactivity_remove(struct inactivity *inactivity, struct stream *stream, bool by_hand, uint64_t *ret_index) MUST_USE;
// Is the channel of this name being removed?
bool inactivity_is_removing(const struct inactivity *inactivity, struct bytes name);
// Limits changed, or there are channels now: looks at all of them at the turn's end. Each has a timer from then on.
void inactivity_look_soon(struct inactivity *inactivity);
// Behind the timers, which remove what is due.
void inactivity_turn_end(struct inactivity *inactivity);
// Besides the timers.
uint64_t inactivity_next_deadline_ms(const struct inactivity *inactivity);
