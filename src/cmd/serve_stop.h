// SPDX-License-Identifier: Apache-2.0
// The end of a server whose disk hangs: a service manager must not wait for ever. Nothing that was acknowledged is lost by it, as by a
// kill. Files that tell of the process (serve_files.h) may stay.
#pragma once

#include "os/server_log.h"

// How long connections may take for their rest after a signal. Service managers kill after 10 s at the earliest.
#define SERVE_STOP_MS 3000
// From then on, until it ends without what does not answer.
#define SERVE_STOP_HUNG_MS 20000
// For the last things, which may hang as well and have no loop any more: syncs, removed files, joined threads.
#define SERVE_STOP_LAST_S 20

// From now on the process has SERVE_STOP_LAST_S left, whatever hangs; then it ends with exit code 1 and a word on standard error.
void serve_stop_bound(void);
// Writes that the disk has not finished in time, to a log that other threads may still use, and what the log still holds.
void serve_stop_tell(struct server_log *log);
