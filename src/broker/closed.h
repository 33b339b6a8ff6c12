// SPDX-License-Identifier: Apache-2.0
// The connections that closed last, as monitoring lists them: a list bounded in number and in bytes; the oldest goes first.
#pragma once

#include "broker/connection.h"
#include "broker/inspection.h"

// Of all that is remembered of closed connections.
#define CLOSED_SIZE_BYTES_MAX (8 * 1024 * 1024)
// Subscriptions remembered of each.
#define CLOSED_SUBSCRIPTIONS_MAX 16

struct closed_connections;

// A list of at most `max` connections; 0: none.
struct closed_connections *closed_new(uint32_t max);
void closed_free(struct closed_connections *closed);
// The connection is about to close, or has just been lost: its subscriptions are still there, and its `reason` is known.
void closed_add(struct broker *broker, const struct connection *connection);
// From the one that closed last to the oldest, until `visit` returns false.
void closed_each(const struct closed_connections *closed,
                 bool (*visit)(void *context, const struct inspection_connection *connection), void *context);
