// SPDX-License-Identifier: Apache-2.0
// The reply subjects that one connection was sent and may therefore publish to (allow_responses, CO-S06): each so many times and
// so long after the message. At most REPLIES_MAX are remembered, and no more than REPLIES_BYTES_MAX of their text; then the oldest
// are forgotten. One thread.
#pragma once

#include "auth/auth_config.h"

#define REPLIES_MAX       65536
#define REPLIES_BYTES_MAX (8 * 1024 * 1024)

struct replies;

// response_max and response_ttl_ns as in the permissions. hash_seed: unpredictable to clients.
struct replies *replies_new(int32_t response_max, int64_t response_ttl_ns, uint64_t hash_seed);
void replies_free(struct replies *replies); // NULL is fine

// A message with this reply subject was delivered at now_ms: the count and the time of the subject begin anew. One that
// alone is longer than REPLIES_BYTES_MAX is not remembered.
void replies_add(struct replies *replies, struct bytes subject, uint64_t now_ms);
// Uses up one answer to the subject; false: there is none left.
bool replies_take(struct replies *replies, struct bytes subject, uint64_t now_ms);
size_t replies_count(const struct replies *replies);
