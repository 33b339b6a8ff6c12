// SPDX-License-Identifier: Apache-2.0
// A trainer: takes jobs from all servers, as a member of a group, trains their models one after the other, and leaves them in a folder that all
// trainers share. What it does with a message:
//
//   arrives ──► waits (inbox.h) ──► is trained ──► its model is on disk ──► acknowledged
//                  │                 │   │  └ the disk is full …  ──► given back, counted, to be tried again later and later
//                  │                 │   └ it is no job, or cannot be trained ──► dead, with the reason
//                  └─────────────────┴ SIGTERM, or it has waited too long here ──► given back, not counted
//
// One thread works; the library's threads only put messages into the inbox. Between two batches it looks whether it was told to stop, extends the
// lease of its job, gives back what has waited too long, and now and then writes a checkpoint. So a trainer may be killed at any moment: the server gives the job to
// another one, which goes on from the last checkpoint.
//
// A job may come twice (its publisher was unsure and sent it to a second server, a trainer died between its last write and the acknowledgement). The
// model's file decides: whoever makes it first has finished the job, everybody else finds it there and acknowledges.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "images.h"
#include "inbox.h"
#include "training.h"

struct trainer_options {
    const char *servers, *channel, *group, *name, *models, *data, *progress;
    int64_t ack_wait_ms, checkpoint_ms;
    uint32_t max_attempts;
};

struct trainer {
    struct trainer_options options;
    struct images images;
    struct weir_fleet *fleet;
    struct weir_fleet_sub *sub;
    struct inbox inbox;
    int signal_fd; // SIGTERM and SIGINT
    bool stopping;
};

// trainer_job.c: what becomes of a message: it is answered, and freed. Returns early when the trainer was told to stop.
void trainer_work(struct trainer *trainer, struct weir_msg *msg);

// trainer.c: looks after everything but the job at hand. Waits at most `wait_ms` for something to happen. Sets `stopping`.
void trainer_look_around(struct trainer *trainer, int wait_ms);
int64_t trainer_now_ms(void);

// trainer_show.c: a line of JSON on standard output, and the same as a message to the channel --progress. Takes the reference to `line`, an object;
// `event` and our name come to its front.
void trainer_show(struct trainer *trainer, const char *event, json_t *line);
