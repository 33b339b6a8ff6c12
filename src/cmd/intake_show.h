// SPDX-License-Identifier: Apache-2.0
// What people see of an import: a bar while it goes on, and what came over.
#pragma once

#include <stdio.h>

#include "cmd/intake.h"

// The key of an encrypted store from ENCRYPTION_VARIABLE (ST-C23), or else the given one. len 0: none.
struct bytes intake_key(const char *given);

// intake.progress: one line, written over itself, on standard error.
void intake_show_progress(void *owner, const struct importer_stats *stats);
// The same as a line of a log every ten seconds. The owner is one of these.
struct intake_log {
    const struct logger *logger; // borrowed
    uint64_t told_ns;            // of the last line, or of the start
};
void intake_show_log(void *owner, const struct importer_stats *stats);
void intake_show_summary(const struct intake *intake, FILE *out);
// The same as one line, for a log.
void intake_show_line(const struct intake *intake, char *text, size_t size);
