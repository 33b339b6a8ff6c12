// SPDX-License-Identifier: Apache-2.0
// Channels and groups with their numbers, as /metrics found them: a row for each, and a family of metrics for each column. All samples of
// a family stand together, so the numbers are gathered first, in steps, and written family by family.
//
//   metrics_rows_add ─► (row of a channel, rows of its groups)* ─► metrics_rows_write, family by family
//
// What is written never is more than `max_bytes`: rows that do not fit any more are left out, and that is told.
#pragma once

#include "base/buffer.h"
#include "codec/metric_writer.h"
#include "monitor/metrics_families.h"
#include "stan/stan_inspect.h"

struct monitor;

struct metrics_row {
    uint32_t labels, labels_len;          // in `labels`
    uint64_t values[METRICS_COLUMNS_MAX]; // METRICS_UNKNOWN: no sample
};

#define METRICS_UNKNOWN UINT64_MAX

struct metrics_list {
    struct metrics_row *rows; // owned
    size_t count, capacity;
};

struct metrics_rows {
    struct metrics_list lists[METRICS_KINDS];
    struct buffer labels;
    struct buffer scratch; // labels of the row that is being added
    bool old;              // under the old names too
    size_t max_rows;       // channels and groups
    size_t max_bytes;
    size_t bytes;   // that will be written
    bool truncated; // a row did not fit
    // Of the channel whose groups are being added.
    struct stan_consumer_view singles; // its plain subscriptions as if they were one
    bool has_singles;
    // Where metrics_rows_write() is.
    uint32_t kind, family;
    size_t row;
};

// max_bytes: at least 16 KiB, for what families begin with.
void metrics_rows_init(struct metrics_rows *rows, size_t max_rows, size_t max_bytes);
void metrics_rows_deinit(struct metrics_rows *rows);
// False: it does not fit, nor will what comes behind it.
bool metrics_rows_add_channel(struct metrics_rows *rows, const struct stan_channel_view *channel) MUST_USE;
// What follows belongs to the channel added last. `patience` is put_streaming_age()'s: false, when it says so, and nothing was added.
bool metrics_rows_add_group(struct metrics_rows *rows, struct monitor *monitor, const struct stan_channel_view *channel,
                            const struct stan_consumer_view *group, uint32_t *patience) MUST_USE;
// Behind the last group: adds what plain subscriptions have, if there are any. The same.
bool metrics_rows_end_channel(struct metrics_rows *rows, struct monitor *monitor,
                              const struct stan_channel_view *channel, uint32_t *patience) MUST_USE;
// For metrics_old.h: a row with the labels in `scratch`. False: no room.
bool metrics_rows_add(struct metrics_rows *rows, enum metrics_kind kind, const uint64_t values[METRICS_COLUMNS_MAX]);
// Writes some more: about so many samples. True: all is written.
bool metrics_rows_write(struct metrics_rows *rows, struct metric_writer *writer, size_t samples) MUST_USE;
