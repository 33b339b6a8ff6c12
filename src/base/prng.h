// SPDX-License-Identifier: Apache-2.0
// A reproducible pseudo-random generator (xoshiro256**, seeded by splitmix64) for jitter, sampling and tests. Embedded,
// no global state: the seed comes from the caller (env/ random, or a test). Never for secrets.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/must.h"

// Twice the width, for multiplication; the compiler's extension, hence the mark for -Wpedantic.
__extension__ typedef unsigned __int128 prng_wide;

struct prng {
    uint64_t state[4];
};

// Any seed is fine; equal seeds give equal sequences on every machine.
static inline void prng_seed(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        prng->state[i] = z ^ (z >> 31);
    }
}

static inline uint64_t prng_rotate_(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

// 64 uniform bits.
static inline uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = prng_rotate_(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = prng_rotate_(s[3], 45);
    return result;
}

// Uniform in 0..n-1, without bias; n >= 1.
static inline uint64_t prng_below(struct prng *prng, uint64_t n)
{
    must(n > 0);
    prng_wide wide = (prng_wide)prng_next(prng) * n;
    if ((uint64_t)wide < n) {
        uint64_t reject = -n % n;
        while ((uint64_t)wide < reject) {
            wide = (prng_wide)prng_next(prng) * n;
        }
    }
    return (uint64_t)(wide >> 64);
}

// True in num of den cases; den >= 1.
static inline bool prng_chance(struct prng *prng, uint64_t num, uint64_t den)
{
    return prng_below(prng, den) < num;
}
