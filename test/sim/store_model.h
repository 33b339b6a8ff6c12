// SPDX-License-Identifier: Apache-2.0
// What a user of the store believes, and checks: one stream whose messages are made from their sequence, so that each can
// be verified wherever it turns up. Implements store_handler on that, with a checkpoint image of a few numbers, and finds
// out whether what comes back after a crash is exactly what was promised. For tests only.
#pragma once

#include "sim_crypto.h"
#include "sim_disk.h"
#include "store/store.h"

enum { MODEL_STREAM = 7, MODEL_MESSAGES_MAX = 20000 };

struct model {
    struct sim_disk *disk; // borrowed
    struct store *store;   // owned while open
    struct store_options options;
    struct moment now;
    struct prng prng;
    // What was promised, over all lives of the store.
    uint64_t promised; // the last sequence whose commit was reported
    uint64_t promised_index;
    uint64_t appended;   // the last sequence ever appended since the last recovery, or recovered by it
    uint64_t trimmed;    // sequences up to this were deleted, and that was committed
    uint64_t asked_trim; // … was appended
    uint32_t epoch;      // part of each message: which life of the store made it
    uint32_t epochs[MODEL_MESSAGES_MAX + 1]; // of each sequence appended
    // The state machine on the log, as its records make it.
    uint64_t state_last;  // sequence
    uint64_t state_first; // the first wanted
    uint64_t state_index; // of the image, or the last entry
    uint64_t image_index; // of the image; 0: there was none
    uint64_t applied_index;
    uint64_t replayed_from; // the first entry of this recovery; 0: none
    bool holes_allowed;     // after damage
    uint64_t holes;         // messages missing
    bool refused;
    int refused_error;
    unsigned admitted; // how often the store took publishes again
    bool checkpointing;
    uint64_t commits_checked, check_commits; // verify one commit in so many against a fork; 0: none
    char complaint[200];                     // the first thing that was wrong; "" while all is well
};

void model_init(struct model *model, struct sim_disk *disk, uint64_t seed);
// Starts a new life: the state machine is empty, recovery fills it, then everything promised is looked for. The error of
// store_open(), if any; problems go to `complaint`.
int model_open(struct model *model);
// Appends a message of a size between 0 and `max` bytes, if admitted.
bool model_append(struct model *model, size_t max);
// Deletes all messages up to and including `sequence`; what store_admit_reserved() said if it refused.
int model_trim(struct model *model, uint64_t sequence);
bool model_turn(struct model *model);
// Reads a message that must be there and checks it; pumps the disk when it is cold.
void model_fetch(struct model *model, uint64_t sequence);
// An orderly end.
void model_stop(struct model *model);
// After sim_disk_crash(): gets rid of the store without its being able to write.
void model_abandon(struct model *model);
// Notes the first complaint.
void model_complain(struct model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));
