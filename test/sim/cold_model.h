// SPDX-License-Identifier: Apache-2.0
// A user of the store with many streams and a small budget, so that most of what it has lies in segments: what was promised, what
// comes back after a crash, and whether each wanted message still reads as it was written. The twin of store_model.h, which
// looks at the log. For tests only.
#pragma once

#include "sim_crypto.h"
#include "sim_disk.h"
#include "store/store.h"

enum { COLD_STREAMS = 12, COLD_MESSAGES = 4000 };
#define COLD_WINDOW_NS UINT64_C(200000000)

struct cold_stream {
    // The state machine, as records make it.
    uint64_t first; // wanted
    uint64_t last;  // stored
    uint64_t index; // of the image it was restored from
    bool changed;   // since the last checkpoint began
    // What was promised, and asked for, over all lives.
    uint64_t promised_first, promised_last;
    uint64_t asked_first, appended;
    uint16_t epochs[COLD_MESSAGES + 1]; // which life wrote the message
    // Dedupe ids, one for each message.
    uint64_t indexes[COLD_MESSAGES + 1]; // of its entry
    uint64_t times[COLD_MESSAGES + 1];   // of the message
    bool known[COLD_MESSAGES + 1];       // in this life
};

struct cold_model {
    struct sim_disk *disk; // borrowed
    struct store *store;   // owned while open
    struct store_options options;
    struct moment now;
    uint64_t window_ns; // of dedupe ids; COLD_WINDOW_NS
    struct cold_stream streams[COLD_STREAMS];
    uint16_t epoch;
    uint64_t applied_index;
    uint32_t image_next; // stream whose image comes next
    bool image_base;
    bool damaged;         // messages may be quarantined, old images may have been loaded
    uint64_t quarantined; // reads that said so
    bool ids_awaited;
    uint64_t ids_restored;
    uint64_t ids_checked;
    uint64_t opened_ns;  // wall clock
    uint64_t replayed;   // entries, in this life
    char complaint[200]; // the first thing that was wrong; "" while all is well
};

void cold_model_init(struct cold_model *model, struct sim_disk *disk);
// Recovers, then compares with what was promised. The error of store_open().
int cold_model_open(struct cold_model *model);
// An orderly end. After sim_disk_crash() the same gets rid of what is left.
void cold_model_stop(struct cold_model *model);
// After an orderly end everything appended is promised.
void cold_model_promise_all(struct cold_model *model);
// Appends a message of `size` bytes of payload, if admitted.
bool cold_model_append(struct cold_model *model, uint32_t stream, size_t size);
// Deletes the messages of the stream below `first`.
void cold_model_trim(struct cold_model *model, uint32_t stream, uint64_t first);
bool cold_model_turn(struct cold_model *model);
// Turns and executes what the disk has to do until nothing more happens, at most `turns` turns.
void cold_model_settle(struct cold_model *model, uint64_t turns);
// Reads one message and compares it; it must be wanted.
void cold_model_read(struct cold_model *model, uint32_t stream, uint64_t sequence);
void cold_model_read_all(struct cold_model *model);
void cold_model_complain(struct cold_model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));
