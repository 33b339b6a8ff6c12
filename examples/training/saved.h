// SPDX-License-Identifier: Apache-2.0
// A file with weights and what they are: a finished model, or the checkpoint of one that is being trained.
//
//   offset        bytes
//   0             8          "WEIRTRN1"
//   8             4          H, the head's length          numbers are little-endian
//   12            4          W, the number of weights
//   16            H          the head, JSON
//   16 + H        4 W        the weights, IEEE 754 single
//   16 + H + 4 W  4          CRC-32 of everything before
//
// A file is there as a whole or not at all: it is written under another name, synced, and given its own name then, and the folder is synced. A
// power cut or kill -9 can leave a file "….tmp.XXXXXX"; saved_clean() removes it. Who writes one has it locked (flock), so it is seen whether it is anybody's.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "complaint.h"

enum { SAVED_HEAD_MAX = 64 << 10, SAVED_WEIGHTS_MAX = 16 << 20 };

struct saved {
    json_t *head;   // owned
    float *weights; // owned
    size_t weights_count;
};

// -1: it is not there, cannot be read, or is not whole; the complaint says which.
int saved_read(const char *path, struct saved *ret_saved, struct complaint *ret_complaint);
void saved_deinit(struct saved *saved);

enum saved_when {
    SAVED_REPLACE, // takes the place of what is there
    SAVED_ONCE,    // whoever is first wins, of all processes on this file system
};

// 0: it is on disk. 1: SAVED_ONCE, and somebody was faster, whose file stays. -1: it could not be written (disk full, not permitted).
int saved_write(const char *path, const struct saved *saved, enum saved_when when, struct complaint *ret_complaint);

// The same for text: a report beside the model.
int saved_write_text(const char *path, const char *text, enum saved_when when, struct complaint *ret_complaint);

// Removes what writers of `path` that were killed have left. Those that are at work, here or elsewhere, are not harmed.
void saved_clean(const char *path);
