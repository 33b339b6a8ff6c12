// SPDX-License-Identifier: Apache-2.0
// Numbers by chance, the same ones from the same seed on every machine (splitmix64). Never for secrets.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

// `part` makes streams of one seed that have nothing to do with each other.
static inline struct chance chance_init(uint64_t seed, uint64_t part)
{
    return (struct chance){seed * UINT64_C(0xd1342543de82ef95) + part * UINT64_C(0x9e3779b97f4a7c15)};
}

static inline uint64_t chance_next(struct chance *chance)
{
    uint64_t z = (chance->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// 0 to `below` - 1; `below` is small beside 2^64 and not 0.
static inline uint64_t chance_below(struct chance *chance, uint64_t below)
{
    return chance_next(chance) % below;
}

// 0 to 1, without 1.
static inline double chance_unit(struct chance *chance)
{
    return (double)(chance_next(chance) >> 11) * 0x1p-53;
}

static inline void chance_shuffle(struct chance *chance, uint32_t *items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = chance_below(chance, i);
        uint32_t item = items[i - 1];
        items[i - 1] = items[other];
        items[other] = item;
    }
}
