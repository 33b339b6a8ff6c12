// SPDX-License-Identifier: Apache-2.0
// From a directory to a running log: finds the files, decides what of them counts, gives it to the handler, and leaves a new
// file for the writer. FORMAT.md, "Reading the log", is the algorithm in words.
//
// It never writes to a file it found, except that files of which nothing counts are given to prepare.h, which gives them a
// new id. Everything that was not proven synced is copied into the new file and synced before it is served.
#pragma once

#include "store/store_internal.h"

// On success store->log is started and the handler has seen everything. See store_open() for the errors, each of which is
// logged here; then nothing was changed.
int recovery_run(struct store *store) MUST_USE;
