// SPDX-License-Identifier: Apache-2.0
// A connection as monitoring sees it, and its copy with everything that it points to.
// tidy: prefix inspection
#pragma once

#include "broker/connection.h"
#include "broker/inspection.h"

// All fields but stop_ns, next and the subscriptions; texts are borrowed from the connection.
void inspection_describe(const struct connection *connection, struct inspection_connection *ret_info);
// Bytes of its texts and of those of its first `listed` subscriptions.
size_t inspection_text_size(const struct inspection_connection *info, const struct connection *connection,
                            uint32_t listed);
// Copies `info` with its texts and the first `listed` subscriptions; what is pointed to goes to `to`: room for `listed` struct
// inspection_subscription, then for the texts.
void inspection_copy(const struct inspection_connection *info, const struct connection *connection, uint32_t listed,
                     struct inspection_connection *ret_copy, void *to);
