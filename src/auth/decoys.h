// SPDX-License-Identifier: Apache-2.0
// Hashes of nobody, so that the time of a refusal does not tell whose name exists. Passwords may be kept as hashes of several costs: a
// name that is unknown gets the decoy of one of these costs, always the same for that name, as often each as users have it.
#pragma once

#include "auth/auth_builder_internal.h"

// From the hashes in the view; none: no decoys.
void decoys_make(struct auth_builder *builder);
// Empty without decoys. Who does not know the seed cannot tell which cost a name gets.
struct bytes decoys_pick(const struct auth_view *view, struct bytes name, uint64_t seed);
