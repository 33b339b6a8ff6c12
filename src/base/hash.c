// SPDX-License-Identifier: Apache-2.0
// XXH3, compiled in here rather than called in its shared library: for the short keys of maps the call through the
// linkage table would cost as much as the hash. One file includes the 6,000-line header, no other does.
// tidy: prefix hash128
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(struct bytes bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.ptr, bytes.len, seed);
}

struct hash128 hash128_bytes(struct bytes bytes, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes.ptr, bytes.len, seed);
    return (struct hash128){hash.low64, hash.high64};
}
