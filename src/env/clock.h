// SPDX-License-Identifier: Apache-2.0
// Time, as data. Pure code reads no clock: whoever starts a turn takes one reading and passes it along.
// tidy: prefix moment
#pragma once

#include <stdint.h>

struct moment {
    uint64_t mono_ns; // never goes back, starts anywhere: for waits and deadlines
    uint64_t wall_ns; // since 1970, may jump either way: for what users and the disk see
};

static inline uint64_t moment_mono_ms(struct moment now)
{
    return now.mono_ns / 1000000;
}
