// SPDX-License-Identifier: Apache-2.0
// The hashes of Weir: XXH3 from xxhash, behind three names, so that formats and maps agree on one algorithm.
// The values are part of the on-disk format: XXH3 is frozen since 0.8.0 and the test pins known values.
// Not cryptographic: a seed makes collisions harder to find for strangers, not impossible.
// tidy: prefix hash128
#pragma once

#include "base/bytes.h"

struct hash128 {
    uint64_t lo;
    uint64_t hi;
};

// XXH3_64bits_withSeed.
uint64_t hash_bytes(struct bytes bytes, uint64_t seed);
// XXH3_128bits_withSeed.
struct hash128 hash128_bytes(struct bytes bytes, uint64_t seed);

// The low 32 bits of hash_bytes().
static inline uint32_t hash_bytes32(struct bytes bytes, uint64_t seed)
{
    return (uint32_t)hash_bytes(bytes, seed);
}

static inline bool hash128_equal(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}
