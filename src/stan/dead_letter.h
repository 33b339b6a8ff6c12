// SPDX-License-Identifier: Apache-2.0
// The header block of a dead letter: the message's own headers, and the story of its death.
//
//   Weir-Dead-Stream        the channel in which it died
//   Weir-Dead-Sequence      its sequence there
//   Weir-Dead-Message-Time  when it was published there
//   Weir-Dead-Group         the queue group it died for; absent without one
//   Weir-Dead-Durable       the durable name; absent without one
//   Weir-Dead-Client        the client that had it last; absent if nobody knows
//   Weir-Dead-Attempts      how often it was delivered
//   Weir-Dead-Reason        max_deliver or terminated
//   Weir-Dead-Text          what came with +TERM; absent without
//   Weir-Dead-Time          when it died
//   Weir-Dead-Hops          how many dead letter channels it has come to, with this one
//
// Times are as in RFC 3339. A message that dies again has the story of its newest death; one that is published anew has none.
#pragma once

#include "stream/engine.h"

// Appends to `headers`, whose limit is far. ERR_EXISTS: it has died in enough channels.
int dead_letter_headers(const struct dead_letter *letter, struct buffer *headers) MUST_USE;

// The headers of a message that is published, without fields of such a story: nobody else may say how often it has died. They are in
// `room`, whose limit is far, if there was something to be left out.
struct bytes dead_letter_strip(struct bytes headers, struct buffer *room);
