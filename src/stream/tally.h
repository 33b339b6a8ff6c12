// SPDX-License-Identifier: Apache-2.0
// What streams and consumers have done since the process began, under their names. A queue group that goes with its last member and comes
// again goes on counting where it was, so that whoever watches the numbers never sees them fall. A book remembers those that are not
// there, as many as it may; who is forgotten begins anew.
//
//   name is given: tally_*_named()   ◄── book ──►   name is taken: tally_*_unnamed()
//
// A stream's own tally has what it did, and what its consumers did that are none any more; what those do that are there is in theirs.
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "stream/engine.h"

// Names that a book remembers: about 200 bytes each.
#define TALLY_NAMES_MAX 16384

struct tally_book {
    struct map pages; // by name
    struct list used; // of them, the one that goes next first
};

void tally_book_init(struct tally_book *book, size_t max);
void tally_book_deinit(struct tally_book *book);
// Adds it to what is under the names. Nothing is not kept. `consumer` has no bytes: it is the stream's own.
void tally_book_keep(struct tally_book *book, struct bytes stream, struct bytes consumer, const struct tally *tally);
// Takes out what is there: nothing, if they are not known.
void tally_book_take(struct tally_book *book, struct bytes stream, struct bytes consumer, struct tally *ret);

void tally_add(struct tally *to, const struct tally *what);
// False: there is not as much, and nothing was taken away.
bool tally_subtract(struct tally *from, const struct tally *what);

// The stream, with its consumers, or the consumer has got its name, and goes on with what was counted under it; or it has none any
// more.
void tally_stream_named(struct stream *stream);
void tally_stream_unnamed(struct stream *stream);
void tally_consumer_named(struct consumer *consumer);
void tally_consumer_unnamed(struct consumer *consumer);
