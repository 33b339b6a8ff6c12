// SPDX-License-Identifier: Apache-2.0
// A connection and its subscriptions as monitoring sees them, and a copy with everything that they point to.
// tidy: prefix inspection
#pragma once

#include "base/number.h"
#include "broker/connection.h"
#include "broker/inspection.h"

// All fields but stop_ns, next and the subscriptions; texts are borrowed from the connection.
void inspection_describe(const struct connection *connection, struct inspection_connection *ret_info);
// Its texts, to be copied.
#define INSPECTION_TEXTS 5
void inspection_texts(struct inspection_connection *info, struct bytes *ret_texts[INSPECTION_TEXTS]);
// Its bytes are borrowed from the subscription, those of the sid perhaps from `room`.
void inspection_describe_subscription(const struct subscription *subscription, char room[NUMBER_MAX_DIGITS],
                                      struct inspection_subscription *ret_info);
// Bytes of its texts and of those of its first `listed` subscriptions.
size_t inspection_text_size(const struct inspection_connection *info, const struct connection *connection,
                            uint32_t listed);
// Copies `info` with its texts and the first `listed` subscriptions; what is pointed to goes to `to`: room for `listed` struct
// inspection_subscription, then for the texts.
void inspection_copy(const struct inspection_connection *info, const struct connection *connection, uint32_t listed,
                     struct inspection_connection *ret_copy, void *to);
