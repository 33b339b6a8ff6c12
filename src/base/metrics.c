// SPDX-License-Identifier: Apache-2.0
// The cold half of the histogram: emptying, adding up and asking.
// tidy: prefix histogram
#include "base/metrics.h"

#include <string.h>

#include "base/must.h"

static uint64_t bucket_upper_edge(uint32_t bucket);

void histogram_reset(struct histogram *histogram)
{
    memset(histogram, 0, sizeof(*histogram));
}

uint64_t histogram_quantile(const struct histogram *histogram, double q)
{
    must(q >= 0 && q <= 1);
    // A little less, so that 0.07 of 100, which is 7.000000000000001, means the seventh.
    double wanted = q * (double)histogram->count * (1 - 1e-12);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && histogram->count != 0; i++) {
        seen += histogram->buckets[i];
        if (seen != 0 && (double)seen >= wanted) {
            uint64_t edge = bucket_upper_edge(i);
            return edge < histogram->max ? edge : histogram->max;
        }
    }
    return histogram->max;
}

uint64_t histogram_count_up_to(const struct histogram *histogram, uint64_t value)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && bucket_upper_edge(i) <= value; i++)
        count += histogram->buckets[i];
    return count;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
    to->count += from->count;
    to->sum += from->sum;
    to->max = to->max > from->max ? to->max : from->max;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        to->buckets[i] += from->buckets[i];
    }
}

// The largest value of a bucket; for the last one, which also takes what is beyond the range, no edge.
static uint64_t bucket_upper_edge(uint32_t bucket)
{
    if (bucket == HISTOGRAM_BUCKETS - 1) {
        return UINT64_MAX;
    }
    uint32_t shift = bucket >> HISTOGRAM_SUB_BITS;
    if (shift <= 1) {
        return bucket;
    }
    uint64_t step = (bucket & ((1u << HISTOGRAM_SUB_BITS) - 1)) + (1u << HISTOGRAM_SUB_BITS);
    return ((step + 1) << (shift - 1)) - 1;
}
