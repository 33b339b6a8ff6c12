// SPDX-License-Identifier: Apache-2.0
// The rules of subjects and wildcards (CO-P08), as nats-server applies them.
//
// A subject is tokens separated by '.'; no token is empty. In a subscription a token that is exactly `*` stands for any
// one token, and a last token that is exactly `>` for one or more. Inside a longer token (`foo*`, `>a`) both are ordinary
// characters. Any other byte is allowed (UTF-8 included) except blanks, which end an argument on the wire, and NUL.
//
// Pure functions over borrowed bytes; no allocation; safe on any input.
#pragma once

#include "base/bytes.h"

// A subject longer than this is refused everywhere; the wire's control line is shorter by default.
#define SUBJECT_LEN_MAX 65535

// No empty token, no blank or NUL, at most SUBJECT_LEN_MAX bytes, and no wildcard token. What a message may be sent to,
// and what a queue group's or a channel's literal name must satisfy. Without `pedantic` a server lets a client publish to
// a subject with wildcard tokens: such a message reaches only the wildcard subscriptions that match it.
bool subject_is_valid_publish(struct bytes subject);

// As above, but `*` tokens and a last `>` token are allowed. A `>` token elsewhere is invalid.
bool subject_is_valid_subscribe(struct bytes pattern);

// Usable as a queue group's name: not empty, no blank, no NUL.
bool subject_is_valid_queue(struct bytes queue);

// Two dots in a row, one at either end, or no bytes: no token there. Called for each message.
bool subject_has_empty_token(struct bytes subject);

// At least one token is exactly `*` or `>`.
bool subject_has_wildcard(struct bytes pattern);

// Does the subject fall under the pattern? Both must be valid (publish and subscribe respectively); for anything else the
// answer is unspecified but the call is safe. A wildcard character in `subject` is an ordinary token that only an equal
// token or a wildcard of the pattern matches.
bool subject_match(struct bytes pattern, struct bytes subject);

// Could one subject fall under both patterns? Both must be valid for subscribing.
bool subject_overlap(struct bytes a, struct bytes b);

// Does every subject that falls under `inner` fall under `outer` too? Both must be valid for subscribing; may have wildcards.
bool subject_covers(struct bytes outer, struct bytes inner);

// Is the pattern's first token spelt out, and the same as that of the subject?
bool subject_names_first(struct bytes pattern, struct bytes subject);

// Number of tokens: dots plus one; 0 for no bytes.
size_t subject_token_count(struct bytes subject);

// Cuts the first token off `*rest` (which then starts after the dot, or is empty with ptr NULL when none is left).
// False when rest->ptr is NULL. An empty token is returned as such.
bool subject_token_next(struct bytes *rest, struct bytes *ret_token);
