// SPDX-License-Identifier: Apache-2.0
// The training of one model: stochastic gradient descent in small batches over four fifths of a job's images, and the accuracy on the others.
//
// Everything that is left to chance comes from the job's seed and the number of the epoch. So the state between two batches is a few numbers and the
// weights; training that was resumed from a checkpoint ends with the same model, bit for bit, as training that was never interrupted.
#pragma once

#include "images.h"
#include "job.h"
#include "model.h"
#include "saved.h"

struct training {
    const struct job *job;       // borrowed
    const struct images *images; // borrowed
    struct model model;
    float *gradient; // owned; 0 between batches
    uint32_t *split; // owned; places in job->images: first those to learn from, then those to check with
    uint32_t *order; // owned; the first of them in this epoch's order
    size_t learn_count, check_count;
    uint32_t epoch;  // epochs that are over
    size_t next;     // place in `order`
    double loss_sum; // of this epoch until now
    double loss;     // the mean of the last epoch that is over
    double accuracy; // after it: the part of the images kept aside that gets its right tag
};

// Job and images stay as long as the training.
void training_init(struct training *training, const struct job *job, const struct images *images);
void training_deinit(struct training *training);

enum training_state {
    TRAINING_GOES_ON,
    TRAINING_EPOCH, // an epoch is over; loss and accuracy are new
    TRAINING_DONE,  // the last one is; do not call it again
    TRAINING_FAILED // the weights have grown beyond all measure: the rate is too high. It would be the same another time
};

// One batch, some milliseconds.
enum training_state training_step(struct training *training);

// What there is now, as a checkpoint that can be written; the caller frees it with saved_deinit(). Between batches, not after the end.
struct saved training_save(const struct training *training);
// Goes on where a checkpoint was made, right after training_init(). -1: it is one of another job, or makes no sense; the training is as it was.
int training_resume(struct training *training, const struct saved *checkpoint);

// The finished model. Its head tells how it came to be (tags, accuracy …); the caller may add to it.
struct saved training_finish(const struct training *training);
// The model in a file; takes the weights away from it. `ret_tags` are borrowed from its head. -1: none of ours.
int training_load(struct saved *saved, struct model *ret_model, const char *ret_tags[JOB_TAGS_MAX]);
