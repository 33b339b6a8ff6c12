// SPDX-License-Identifier: Apache-2.0
// Cells that count: plain structs embedded where the counting happens, written by one thread. Names, labels and output
// are monitor/'s.
// tidy: prefix counter histogram
// tidy: prefix counter histogram
#pragma once

#include <stdint.h>

struct counter {
    uint64_t value;
};

static inline void counter_add(struct counter *counter, uint64_t n)
{
    counter->value += n;
}

// Latencies (or any values) in log-linear buckets: exact below 128, then 64 buckets per power of two, so that a bucket
// is at most 1/64 of its value wide: two significant digits. Values of HISTOGRAM_LIMIT and more fall in the last
// bucket; the maximum is kept exactly. 18 kB, no allocation.
#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_TOP_BITS 40
#define HISTOGRAM_LIMIT    (1ULL << HISTOGRAM_TOP_BITS)
#define HISTOGRAM_BUCKETS  ((HISTOGRAM_TOP_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

// Empties it; also the way to initialise one.
void histogram_reset(struct histogram *histogram);
// The upper edge of the bucket that holds the q-quantile (0 <= q <= 1), never above the maximum; 0 when empty.
uint64_t histogram_quantile(const struct histogram *histogram, double q);
// How many values were at most that large. Of the bucket that the value lies in, only if it is the bucket's upper edge: a sixty-fourth
// too few at worst.
uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t value);
// Adds all of `from` to `to`: cells of several threads shown as one.
void histogram_merge(struct histogram *to, const struct histogram *from);

// The bucket of a value.
static inline uint32_t histogram_bucket(uint64_t value)
{
    if (value >= HISTOGRAM_LIMIT) {
        return HISTOGRAM_BUCKETS - 1;
    }
    unsigned high = 63u - (unsigned)__builtin_clzll(value | (1u << HISTOGRAM_SUB_BITS));
    unsigned shift = high - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
}

static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max) {
        histogram->max = value;
    }
    histogram->buckets[histogram_bucket(value)]++;
}

static inline uint64_t histogram_count(const struct histogram *histogram)
{
    return histogram->count;
}

static inline uint64_t histogram_max(const struct histogram *histogram)
{
    return histogram->max;
}
