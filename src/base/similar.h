// SPDX-License-Identifier: Apache-2.0
// What somebody may have meant: for messages about names that nobody knows.
#pragma once

#include "base/bytes.h"

// How many letters must be changed, added or dropped to make one name of the other (Levenshtein); of long ones the beginning
// counts.
unsigned similar_distance(struct bytes a, struct bytes b);
// True when `known` is near enough to `name` to be what was meant, and nearer than *distance, which is then lowered. Start
// with UINT_MAX.
bool similar_is_nearer(struct bytes name, struct bytes known, unsigned *distance);
