// SPDX-License-Identifier: Apache-2.0
// From a message to a model, and what is said to the server about it. Every way out of here answers the message once: acknowledged, given back
// (counted or not), or dead. The only way without an answer is to be killed, and then the server gives the job to another trainer.
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "trainer.h"

enum { BACKOFF_MS = 1000, BACKOFF_MAX_MS = 60000 };

struct paths {
    char model[PATH_MAX], report[PATH_MAX], checkpoint[PATH_MAX];
};

// The job at hand.
struct work {
    struct trainer *trainer;
    struct weir_msg *msg;
    struct job job;
    struct paths paths;
    struct training training;
    int64_t began_ms, extended_ms, checkpoint_ms;
};

static int prepare_paths(struct work *work, struct complaint *ret_complaint);
static void train(struct work *work);
static void resume(struct work *work);
static enum training_state learn(struct work *work);
static void keep_lease(struct work *work);
static int write_checkpoint(struct work *work, struct complaint *ret_complaint);
static void finish(struct work *work);
static int finished_before(struct work *work);
static int write_report(const struct work *work, const json_t *head, struct complaint *ret_complaint);
static void die(struct work *work, const char *why);
static void try_later(struct work *work, const char *why);
static uint32_t attempt_of(const struct weir_msg *msg);
static json_t *describe(const struct work *work);

void trainer_work(struct trainer *trainer, struct weir_msg *msg)
{
    struct complaint complaint;
    struct work work = {.trainer = trainer, .msg = msg, .began_ms = trainer_now_ms()};
    work.extended_ms = work.checkpoint_ms = work.began_ms;
    if (job_parse(weir_msg_data(msg), weir_msg_data_bytes(msg), trainer->images.count, &work.job, &complaint) ||
        prepare_paths(&work, &complaint)) {
        die(&work, complaint.text);
    } else if (!finished_before(&work)) {
        if (attempt_of(msg) > trainer->options.max_attempts)
            die(&work, "it was tried too often, and nobody lived to say why it failed");
        else
            train(&work);
    }
    job_deinit(&work.job);
    weir_msg_free(msg);
}

static int prepare_paths(struct work *work, struct complaint *ret_complaint)
{
    const char *folder = work->trainer->options.models, *id = work->job.id;
    struct paths *paths = &work->paths;
    int len = snprintf(paths->checkpoint, sizeof(paths->checkpoint), "%s/%s.checkpoint", folder, id);
    if ((size_t)len >= sizeof(paths->checkpoint))
        return complaint_set(ret_complaint, "the path of its model is too long");
    snprintf(paths->model, sizeof(paths->model), "%s/%s.model", folder, id);
    snprintf(paths->report, sizeof(paths->report), "%s/%s.json", folder, id);
    const char *const all[] = {paths->model, paths->report, paths->checkpoint};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        saved_clean(all[i]); // a trainer that was killed with this job
    return 0;
}

static void train(struct work *work)
{
    struct complaint complaint;
    training_init(&work->training, &work->job, &work->trainer->images);
    resume(work);
    switch (learn(work)) {
    case TRAINING_DONE: finish(work); break;
    case TRAINING_FAILED: die(work, "the loss has grown beyond all measure: try a smaller rate"); break;
    case TRAINING_EPOCH: // somebody else has finished it
        (void)finished_before(work);
        break;
    case TRAINING_GOES_ON: // we are to stop
        if (write_checkpoint(work, &complaint))
            fprintf(stderr, "%s: %s\n", work->trainer->options.name, complaint.text);
        weir_msg_nak(work->msg, 0, false);
        trainer_show(work->trainer, "given_back", describe(work));
        break;
    }
    training_deinit(&work->training);
}

// A checkpoint that is not there, not whole or not of this job is no reason to complain: the job begins at its beginning.
static void resume(struct work *work)
{
    struct saved checkpoint;
    struct complaint complaint;
    bool resumed = false;
    if (saved_read(work->paths.checkpoint, &checkpoint, &complaint) == 0) {
        resumed = training_resume(&work->training, &checkpoint) == 0;
        saved_deinit(&checkpoint);
    }
    trainer_show(work->trainer, resumed ? "resumed" : "begun", describe(work));
}

// Until the end: _DONE or _FAILED, _GOES_ON when we are to stop before it, _EPOCH when there is a model all at once.
static enum training_state learn(struct work *work)
{
    struct trainer *trainer = work->trainer;
    struct complaint complaint;
    for (;;) {
        enum training_state state = training_step(&work->training);
        if (state == TRAINING_FAILED || state == TRAINING_DONE)
            return state;
        if (state == TRAINING_EPOCH) {
            trainer_show(trainer, "epoch", describe(work));
            if (access(work->paths.model, F_OK) == 0)
                return TRAINING_EPOCH;
        }
        keep_lease(work);
        trainer_look_around(trainer, 0);
        if (trainer->stopping)
            return TRAINING_GOES_ON;
        if (trainer_now_ms() - work->checkpoint_ms >= trainer->options.checkpoint_ms) {
            if (write_checkpoint(work, &complaint))
                fprintf(stderr, "%s: %s\n", trainer->options.name, complaint.text);
            work->checkpoint_ms = trainer_now_ms();
        }
    }
}

// The server gives the job to another trainer when it has not heard of it for ack_wait; three chances are enough.
static void keep_lease(struct work *work)
{
    int64_t now_ms = trainer_now_ms();
    if (now_ms - work->extended_ms >= work->trainer->options.ack_wait_ms / 3) {
        weir_msg_extend(work->msg);
        work->extended_ms = now_ms;
    }
}

static int write_checkpoint(struct work *work, struct complaint *ret_complaint)
{
    struct saved checkpoint = training_save(&work->training);
    int result = saved_write(work->paths.checkpoint, &checkpoint, SAVED_REPLACE, ret_complaint);
    saved_deinit(&checkpoint);
    return result;
}

static void finish(struct work *work)
{
    struct complaint complaint;
    struct saved model = training_finish(&work->training);
    const char *url = weir_fleet_server_url(work->trainer->fleet, weir_msg_server(work->msg));
    json_object_set_new(model.head, "trainer", json_string(work->trainer->options.name));
    json_object_set_new(model.head, "server", json_string(url));
    json_object_set_new(model.head, "attempt", json_integer(attempt_of(work->msg)));
    int result = saved_write(work->paths.model, &model, SAVED_ONCE, &complaint);
    saved_deinit(&model);
    if (result < 0)
        try_later(work, complaint.text);
    else if (!finished_before(work)) // now it is
        try_later(work, "its model has gone again");
}

// Whether there is a model, ours or another's: then its report is written, in case somebody was killed before, and the message is answered. Both are
// the same however often they are written.
static int finished_before(struct work *work)
{
    struct saved model;
    struct complaint complaint;
    if (access(work->paths.model, F_OK) != 0)
        return 0;
    if (saved_read(work->paths.model, &model, &complaint)) {
        try_later(work, complaint.text);
        return 1;
    }
    if (json_integer_value(json_object_get(model.head, "digest")) != (json_int_t)work->job.digest) {
        die(work, "another job had this id, and has a model");
    } else if (write_report(work, model.head, &complaint)) {
        try_later(work, complaint.text);
    } else {
        unlink(work->paths.checkpoint);
        weir_msg_ack(work->msg);
        trainer_show(work->trainer, "done", json_incref(model.head));
    }
    saved_deinit(&model);
    return 1;
}

static int write_report(const struct work *work, const json_t *head, struct complaint *ret_complaint)
{
    char *text = json_dumps(head, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    if (!text)
        return complaint_set(ret_complaint, "%s: no report can be made of it", work->paths.model);
    int result = saved_write_text(work->paths.report, text, SAVED_REPLACE, ret_complaint);
    free(text);
    return result;
}

static void die(struct work *work, const char *why)
{
    weir_msg_term(work->msg, why);
    json_t *line = describe(work);
    json_object_set_new(line, "why", json_string(why));
    trainer_show(work->trainer, "dead", line);
}

static void try_later(struct work *work, const char *why)
{
    uint32_t attempt = attempt_of(work->msg);
    if (attempt >= work->trainer->options.max_attempts) {
        die(work, why);
        return;
    }
    int64_t delay_ms = attempt > 6 ? BACKOFF_MAX_MS : (int64_t)BACKOFF_MS << (attempt - 1);
    weir_msg_nak(work->msg, delay_ms < BACKOFF_MAX_MS ? delay_ms : BACKOFF_MAX_MS, true);
    json_t *line = describe(work);
    json_object_set_new(line, "why", json_string(why));
    trainer_show(work->trainer, "failed", line);
}

static uint32_t attempt_of(const struct weir_msg *msg)
{
    return weir_msg_redeliveries(msg) + 1;
}

static json_t *describe(const struct work *work)
{
    const struct training *training = &work->training;
    const char *url = weir_fleet_server_url(work->trainer->fleet, weir_msg_server(work->msg));
    json_t *line = json_pack("{s:s, s:s, s:I, s:I}", "id", work->job.id, "server", url, "sequence",
                             (json_int_t)weir_msg_sequence(work->msg), "attempt", (json_int_t)attempt_of(work->msg));
    if (training->job) {
        json_object_set_new(line, "epoch", json_integer(training->epoch));
        json_object_set_new(line, "epochs", json_integer(training->job->epochs));
    }
    if (training->epoch > 0) {
        json_object_set_new(line, "loss", json_real(training->loss));
        json_object_set_new(line, "accuracy", json_real(training->accuracy));
    }
    return line;
}
