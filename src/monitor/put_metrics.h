// SPDX-License-Identifier: Apache-2.0
// What /metrics says of the server as a whole: process, connections, storage, what is counted over all channels; and the old names that
// published dashboards ask for (TL-30 … TL-33).
#pragma once

#include "codec/metric_writer.h"
#include "env/process.h"
#include "monitor/metrics_rows.h"

struct monitor;

// All of it. Of the rows it is told how many there are.
void put_metrics_server(struct monitor *monitor, struct metric_writer *writer, const struct metrics_rows *rows);
// Of it, what other programs called otherwise. `percent`: of one core.
void put_metrics_old(struct monitor *monitor, const struct process_usage *usage, double percent,
                     struct metric_writer *writer);
