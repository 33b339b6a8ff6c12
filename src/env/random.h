// SPDX-License-Identifier: Apache-2.0
// Randomness, as a seed. The composition root asks the implementation once for each generator (base/prng.h) that a layer
// embeds; the simulator gives a seed of its own.
#pragma once

#include <stdint.h>

struct random_source {
    void *owner;
    uint64_t (*next)(void *owner); // 64 unpredictable bits
};
