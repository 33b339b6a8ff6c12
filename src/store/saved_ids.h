// SPDX-License-Identifier: Apache-2.0
// Gives the saved dedupe ids back to the handler after a start, step by step, while it serves: millions of ids would delay the
// start by seconds. The handler is told before (handler.ids_awaited) and after, so that nothing is taken twice meanwhile.
// The newest come first: those of the log files, whose sidecars are in memory already, then those of the segments. While one
// section is given back, the next is read.
//
//   a section:  STORED ──► READING (open, read …, close) ──► READY ──► given back, in parts, and gone
//                                                       └──► LOST ──► gone
//
// Embedded; one thread.
#pragma once

#include "store/segment_set.h"

enum saved_section_state { SAVED_SECTION_STORED, SAVED_SECTION_READING, SAVED_SECTION_READY, SAVED_SECTION_LOST };

struct saved_section {
    enum saved_section_state state;
    uint64_t segment; // its id; 0: of a log file
    uint64_t offset;  // in the segment
    uint64_t bytes;
    uint64_t check;
    uint64_t last_index; // of the log file's entries; 0: of a segment
    uint64_t left;       // READY: bytes that are not given back
    char *ids;           // owned; NULL while STORED
};

struct saved_ids {
    struct store_context *context;  // borrowed
    bool begun;                     // and not done
    struct saved_section *sections; // owned, oldest first; the last one is being given back
    size_t count, capacity;
    size_t reading; // the one READING, if any is
    uint64_t read;  // bytes of it
    int result;     // of its reading
    uint32_t tries; // how often it failed
    struct disk_request request;
    struct disk_span span;
    char path[STORE_PATH_BYTES];
};

void saved_ids_init(struct saved_ids *saved, struct store_context *context);
// No request completes any more. Closes what is open (disk_run).
void saved_ids_deinit(struct saved_ids *saved);
// Recovery: those of a log file, the files in order. Takes `ids` over (mem_free).
void saved_ids_add(struct saved_ids *saved, char *ids, uint64_t bytes, uint64_t last_index);
// Recovery is over: adds those of the segments whose window is open, and begins. Reports ids that are lost with their segment.
void saved_ids_begin(struct saved_ids *saved, struct segment_set *segments);
// A slice. True: there is more to do at once.
bool saved_ids_step(struct saved_ids *saved);
