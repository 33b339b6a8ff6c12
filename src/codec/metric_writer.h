// SPDX-License-Identifier: Apache-2.0
// Writes metrics as text that Prometheus and its kin read: the text format 0.0.4, or OpenMetrics 1.0. A family (name, type, help) is
// begun once, and all its samples follow:
//
//     # HELP weir_acks_total Messages acknowledged.            # HELP weir_acks Messages acknowledged.
//     # TYPE weir_acks_total counter                           # TYPE weir_acks counter
//     weir_acks_total{channel="jobs"} 7                        weir_acks_total{channel="jobs"} 7
//                                                              # EOF
//                     0.0.4                                                 OpenMetrics
//
// Names, help and the keys of labels are the caller's, and plain; values of labels may be anybody's. A buffer that is full makes the writer
// fail for good: metric_writer_finish() tells.
#pragma once

#include "base/buffer.h"
#include "base/metrics.h"

enum metric_format { METRIC_PROMETHEUS, METRIC_OPENMETRICS };
// UNKNOWN: what is no counter though its name says so, kept for those who have it in their queries.
enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_INFO, METRIC_UNKNOWN };

struct metric_writer {
    struct buffer *out; // borrowed
    enum metric_format format;
    enum metric_type type; // of the family
    struct bytes name;     // of it, borrowed; without the ending that its samples have
    int error;             // the first of the buffer's
};

void metric_writer_init(struct metric_writer *writer, struct buffer *out, enum metric_format format);
// Static texts. The name comes without "_total" or "_info"; help has no backslash, quotation mark or line break.
void metric_writer_family(struct metric_writer *writer, enum metric_type type, const char *name, const char *help);
// A sample. Labels are of metric_label_append(), or empty.
void metric_writer_u64(struct metric_writer *writer, struct bytes labels, uint64_t value);
// Seconds, of nanoseconds.
void metric_writer_seconds(struct metric_writer *writer, struct bytes labels, uint64_t ns);
// A whole family's samples without labels, by `count` upper edges that grow. `seconds`: values and edges are nanoseconds.
void metric_writer_histogram(struct metric_writer *writer, const struct histogram *histogram, const uint64_t *edges,
                             size_t count, bool seconds);
// 0, or ERR_TOO_BIG: what is in the buffer is not complete.
int metric_writer_finish(struct metric_writer *writer) MUST_USE;

// Appends key="value" to labels, behind a comma if there are some already. Readers take UTF-8 only, and not every control
// character: those, and bytes that are no UTF-8, become U+FFFD and two hexadecimal digits, and so does U+FFFD, byte by byte: two names
// that differ make labels that differ. ERR_TOO_BIG; then nothing was appended.
int metric_label_append(struct buffer *labels, const char *key, struct bytes value) MUST_USE;
