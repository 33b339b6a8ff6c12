// SPDX-License-Identifier: Apache-2.0
// What a subscriber can say about a message besides acknowledging it, as text on the same inbox; the words are JetStream's, but
// here an inbox is a subscription's and not a message's, so the sequence follows:
//
//   +WPI [<sequence>]                 in progress: the ack wait begins anew
//   -NAK [<sequence>] [<options>]     given back: it goes out again; options: {"delay": 5000000000 or "5s", "count": false}
//   +TERM <sequence> [<reason>]       dead: it is not delivered again
//
// Without a sequence it is about everything that the subscription has. One blank between the parts. An Ack (ST-M04) cannot be taken for
// one of these: it begins with byte 0A or 10, or with that of a field that no client has; nor can these be taken for an Ack, because
// they are looked for first.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

enum verdict_kind { VERDICT_IN_PROGRESS, VERDICT_GIVE_BACK, VERDICT_TERMINATE };

enum { VERDICT_OPTIONS_MAX = 1024 }; // bytes

struct verdict {
    enum verdict_kind kind;
    uint64_t sequence;   // 0: all that the subscription has
    uint64_t delay_ns;   // GIVE_BACK; at most 365 days
    bool count;          // GIVE_BACK: the delivery was an attempt
    struct bytes reason; // TERMINATE; borrowed
};

// False for what begins with a field of an Ack.
static inline bool verdict_may_be(struct bytes payload)
{
    return payload.len == 0 || (payload.ptr[0] != '\x0a' && payload.ptr[0] != '\x10');
}

// ERR_NOT_FOUND: it begins with none of the words; ERR_INVALID: with one of them, but the rest is wrong.
int verdict_decode(struct bytes payload, struct verdict *ret) MUST_USE;
