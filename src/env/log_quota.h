// SPDX-License-Identifier: Apache-2.0
// Of lines that strangers cause the log takes so many a second, so that they cannot fill it: each listener of each worker has a quota. What
// was left out is counted, and told with the next line that is written, whenever that is. All zeroes at first. One thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LOG_QUOTA_LINES 10 // a second

struct log_quota {
    uint64_t second_ends_ms;
    uint32_t lines;    // in this second
    uint32_t left_out; // since a line was written
};

// Whether a line may be written, of so many a second; *ret_left_out: how many were not since the last one.
static inline bool log_quota_take_of(struct log_quota *quota, uint32_t lines, uint64_t now_ms, uint32_t *ret_left_out)
{
    if (now_ms >= quota->second_ends_ms) {
        quota->second_ends_ms = now_ms + 1000;
        quota->lines = 0;
    }
    if (quota->lines >= lines) {
        quota->left_out++;
        return false;
    }
    quota->lines++;
    *ret_left_out = quota->left_out;
    quota->left_out = 0;
    return true;
}

static inline bool log_quota_take(struct log_quota *quota, uint64_t now_ms, uint32_t *ret_left_out)
{
    return log_quota_take_of(quota, LOG_QUOTA_LINES, now_ms, ret_left_out);
}
