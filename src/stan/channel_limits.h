// SPDX-License-Identifier: Apache-2.0
// What a channel may hold and how its messages are treated (ST-C10…C15, and what is Weir's own), by the channel's name: values for
// all channels, and rules for names in which `*` stands for any one token and a last `>` for one or more.
//
//   rules              channel        its rule     what that says nothing about comes from
//   foo.>  foo.*  *.a  foo.a          foo.*        foo.>, then the values for all
//                      foo.b.c        foo.>        the values for all
//                      bar            none         the values for all
//
// As in nats-streaming-server 0.25.6: of the rules that a name falls under the narrowest counts; where two differ first, `>` is
// wider than `*`, and that is wider than a word. A rule inherits from the narrowest of the wider rules that its own pattern falls
// under, not from every rule that the channel's name falls under (above: not from *.a).
//
// Pure; immutable once made.
#pragma once

#include "stream/engine.h"

enum {
    CHANNEL_RULES_MAX = 10000,         // rules
    CHANNEL_RULES_WILDCARD_MAX = 1000, // of them with wildcards
    CHANNEL_DEAD_LETTERS_MAX = 16,     // channels one behind the other that dead messages may go through
};

// Which of the values a rule gives; the others are inherited.
enum channel_given {
    CHANNEL_GIVES_SUBSCRIPTIONS = 1 << 0,
    CHANNEL_GIVES_MSGS = 1 << 1,
    CHANNEL_GIVES_BYTES = 1 << 2,
    CHANNEL_GIVES_AGE = 1 << 3,
    CHANNEL_GIVES_INACTIVITY = 1 << 4,
    CHANNEL_GIVES_WINDOW = 1 << 5,
    CHANNEL_GIVES_GRACE = 1 << 6,
    CHANNEL_GIVES_DISCARD = 1 << 7,
    CHANNEL_GIVES_DELIVERIES = 1 << 8,
    CHANNEL_GIVES_BACKOFF = 1 << 9,
    CHANNEL_GIVES_DEAD_LETTER = 1 << 10,
};

// See struct stream_config for those that are the same there.
struct channel_limit {
    uint64_t max_msgs;            // ST-C11; 0: unlimited, as for all of them
    uint64_t max_bytes;           // ST-C12
    uint64_t max_age_ns;          // ST-C13
    uint64_t max_inactivity_ns;   // ST-C14: without subscriptions and messages for so long a channel is removed
    uint64_t duplicate_window_ns; // 0: no message is taken for a repetition
    uint64_t disconnect_grace_ns; // of a lost client
    uint64_t backoff_ns[STREAM_BACKOFF_MAX]; // the first backoff_count are used
    struct bytes dead_letter;                // a channel's name; len 0: none
    uint32_t max_subscriptions;              // ST-C10
    uint32_t max_deliver;
    uint32_t given; // enum channel_given, of a rule
    uint8_t backoff_count;
    bool discard_new;
};

struct channel_rule {
    struct bytes pattern; // borrowed
    struct channel_limit limit;
};

struct channel_limits;

// Those of nats-streaming-server, a window of 2 min, a grace of 5 s.
void channel_limits_default(struct channel_limit *ret_limit);

// May it stand in a rule? A channel's name in which tokens may be `*`, and the last one `>`.
bool channel_limits_is_pattern(struct bytes pattern);

// Copies everything. Of two rules with the same pattern one counts. The patterns must be valid and no more than the maxima.
struct channel_limits *channel_limits_new(const struct channel_limit *all, const struct channel_rule *rules,
                                          size_t count);
// NULL is fine.
void channel_limits_free(struct channel_limits *limits);

// What counts for a channel, inheritance done. Borrowed.
const struct channel_limit *channel_limits_find(const struct channel_limits *limits, struct bytes name);
// The same for its stream. A channel that is its own dead letter channel has none. Borrows `name`, and the dead letter's from `limits`.
void channel_limits_config(const struct channel_limits *limits, struct bytes name, struct stream_config *ret_config);
// Whether some channel may be removed for inactivity.
bool channel_limits_expire(const struct channel_limits *limits);

// A dead letter channel whose own dead messages would go through more than CHANNEL_DEAD_LETTERS_MAX channels, perhaps for ever; len 0:
// none. Borrowed.
struct bytes channel_limits_find_circle(const struct channel_limits *limits);
