// SPDX-License-Identifier: Apache-2.0
// What somebody wants to have trained. A job is a message:
//
//   {
//     "id": "shoes-17",                         names the model; at most 64 letters, digits, - and _
//     "tags": {                                 2 to 64 of them; what the model will tell apart
//       "sneaker": [5, 17, [100, 199]],         its images: their ids, or the first and the last of many
//       "sandal":  [[2000, 2299]]
//     },
//     "epochs": 20,                             how often each image is looked at      (1 to 500; 10)
//     "hidden": 32,                             units between pixels and tags          (0 to 512; 0: none, softmax regression)
//     "batch": 32,                              images between two steps of learning   (1 to 4,096; 32)
//     "rate": 0.1,                              how far a step goes in the first epoch (above 0, to 10; 0.1)
//     "seed": 1                                 for everything that is left to chance  (0)
//   }
//
// A job may come from anybody: nothing in it is believed before it was looked at, and what is not known is refused, so that a setting with a
// typing error is no surprise after an hour of training. The same job trains the same model, bit for bit, on the same machine.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "complaint.h"

enum {
    JOB_BYTES_MAX = 4 << 20,
    JOB_ID_MAX = 64,
    JOB_TAGS_MAX = 64,
    JOB_TAG_BYTES_MAX = 64,
    JOB_IMAGES_MIN = 10, // of each tag, because a fifth of them is kept to see what was learned
    JOB_EPOCHS_MAX = 500,
    JOB_HIDDEN_MAX = 512,
    JOB_BATCH_MAX = 4096,
};

struct job_image {
    uint32_t image, tag;
};

struct job {
    char id[JOB_ID_MAX + 1];
    uint64_t digest; // of its text: two jobs with one id are not the same job
    char tags[JOB_TAGS_MAX][JOB_TAG_BYTES_MAX + 1];
    size_t tags_count;
    struct job_image *images; // owned; no image twice
    size_t images_count;
    uint32_t epochs, hidden, batch;
    double rate;
    uint64_t seed;
};

// Reads a job over a set of `images_count` images. -1: it is none, and will never be one; the complaint says why.
int job_parse(const void *text, size_t bytes, size_t images_count, struct job *ret_job,
              struct complaint *ret_complaint);
void job_deinit(struct job *job);
