// SPDX-License-Identifier: Apache-2.0
// What the files of this folder share: the composition of a store. Each part has its own header and its own file; this one
// only says who is in it, and the few facts that all of them look at.
//
//   store.c      the facade: options, life, admission, turn; memory.c: the store without a directory
//   log.c        appending: entries, batches, the state of the log    prepare.c   log files made ahead, recycled, the reserve
//   recovery.c   reading the log back at start                         check.c     the same, for people
//   index.c      where each message of the retained log is             tail.c      the log's newest chunks in memory
//   reader.c     fetch, seek, sizes                                    segment.c, rollover.c, checkpoint.c   cold data
#pragma once

#include "store/appender.h"
#include "store/context.h"
#include "store/log_file.h"

struct log;        // log.h
struct memory_log; // memory.h
struct parts;      // parts.h

struct store {
    struct store_context context; // options (identity points at the array below), disk, handler, moment, failed
    char identity[LOG_FILE_IDENTITY_MAX];
    const struct logger *logger;   // borrowed
    struct appender appender;      // entries being built, and sealed ones that are not yet committed
    struct log *log;               // owned; NULL in a memory store
    struct memory_log *memory_log; // owned; NULL in a store with a directory
    struct parts *parts;           // owned: index, tail, segments, reader, rollover, checkpoint
    bool stopping;                 // store_quiesce(): no new background work
    bool finished;                 // store_finish()
};
