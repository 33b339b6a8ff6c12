// SPDX-License-Identifier: Apache-2.0
// Turns subjects of one shape into subjects of another: what imports with `to` and a prefix do (CO-S08).
//
// The source is a pattern. The destination is a template: literal tokens stay, the n-th `*` stands for what the source's n-th `*`
// matched, `$n` (or `{{wildcard(n)}}`) for that of number n, a last `>` for what the source's `>` matched.
//
//     orders.*.*  ──► by.$2.$1      orders.eu.7 becomes by.7.eu
//     events.>    ──► from.a.events.>
//
// Immutable once made. Pure functions otherwise.
#pragma once

#include "base/bytes.h"
#include "base/error.h"

struct transform;

#define TRANSFORM_WILDCARDS_MAX 128 // in one source

// ERR_INVALID: not a valid pattern; a template that names a wildcard its source lacks, mixes `*` with `$n`, or has a `>`
// where the source has none. ERR_LIMIT: too many wildcards. `*ret_transform` is the caller's.
int transform_new(struct bytes source, struct bytes destination, struct transform **ret_transform) MUST_USE;
// The other direction: makes of what transform_new(source, destination) made the subject it was made from. ERR_INVALID also
// when the template does not name each wildcard of the source exactly once.
int transform_new_inverse(struct bytes source, struct bytes destination, struct transform **ret_transform) MUST_USE;
void transform_free(struct transform *transform); // NULL is fine

// The pattern of all that a template can make: its references are stars. Writes at most destination.len bytes.
size_t transform_pattern(struct bytes destination, char *ret_buffer);
// What it is made from: a pattern of all subjects it can turn. Borrowed.
struct bytes transform_source(const struct transform *transform);
// Nothing changes.
bool transform_is_identity(const struct transform *transform);
// The length of what becomes of `subject`; it is written if `size` suffices. 0: the source does not match it, or the result would be
// longer than a subject may be.
size_t transform_apply(const struct transform *transform, struct bytes subject, char *ret_buffer, size_t size);
