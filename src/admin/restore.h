// SPDX-License-Identifier: Apache-2.0
// The frames of a backup, put into a shard that was just created, as if it had all happened there (stream/import.c): channels with
// their configuration and messages, clients, consumers where they were. Pure: whoever reads the file gives the frames in order, and
// throws the shard's directory away if one is refused.
#pragma once

#include "admin/backup_file.h"
#include "stan/stan.h"

struct restore;

struct restore_stats {
    uint64_t channels, messages, clients, consumers, members, pending, dead;
    uint64_t without_client; // subscriptions whose client is not in the backup; what is durable of them stays
};

// `shard` and `stan` are borrowed for life; the shard is open and serves nobody. Its log takes messages of so many bytes.
struct restore *restore_new(struct shard *shard, struct stan *stan, uint32_t message_max);
void restore_free(struct restore *restore);
// One frame, but the first and the last of a file. ERR_AGAIN: the log takes no more in this turn, the same frame again in another;
// ERR_TOO_BIG; ERR_CORRUPT: it is none of a backup, or does not fit those before it; errors of the engine.
int restore_take(struct restore *restore, const struct record *record, struct engine_time now) MUST_USE;
// After the last frame. ERR_AGAIN as above.
int restore_end(struct restore *restore, struct engine_time now) MUST_USE;
void restore_stats_get(const struct restore *restore, struct restore_stats *ret_stats);
