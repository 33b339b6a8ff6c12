// SPDX-License-Identifier: Apache-2.0
// What is drawn by chance: which images are kept aside (once a job), and their order (once an epoch). Neither is stored: both can be drawn again.
#include "training.h"

#include <math.h>
#include <string.h>

#include "chance.h"

enum { CHECK_ONE_OF = 5 };

// The streams of chance that a seed has; those of the epochs come after them. The weights' is model.c's.
enum { CHANCE_SPLIT = 1, CHANCE_EPOCHS = 2 };

static void split_images(struct training *training);
static void begin_epoch(struct training *training);
static void end_epoch(struct training *training);
static int64_t whole(const json_t *head, const char *key);

void training_init(struct training *training, const struct job *job, const struct images *images)
{
    *training = (struct training){.job = job, .images = images};
    model_init(&training->model, images->rows * images->columns, job->hidden, job->tags_count, job->seed);
    training->gradient = complaint_alloc(training->model.weights_count, sizeof(float));
    training->split = complaint_alloc(job->images_count, sizeof(uint32_t));
    training->order = complaint_alloc(job->images_count, sizeof(uint32_t));
    split_images(training);
    begin_epoch(training);
}

void training_deinit(struct training *training)
{
    model_deinit(&training->model);
    free(training->gradient);
    free(training->split);
    free(training->order);
    *training = (struct training){0};
}

enum training_state training_step(struct training *training)
{
    const struct job *job = training->job;
    size_t count = 0;
    for (; count < job->batch && training->next < training->learn_count; count++) {
        const struct job_image *one = &job->images[training->order[training->next++]];
        training->loss_sum +=
            model_add_gradient(&training->model, images_at(training->images, one->image), one->tag, training->gradient);
    }
    if (!isfinite(training->loss_sum))
        return TRAINING_FAILED;
    // Large steps at first, small ones in the end, or the last images would count most.
    double rate = job->rate * (1 - (double)training->epoch / (double)job->epochs);
    model_learn(&training->model, training->gradient, (float)(rate / (double)count));
    if (training->next < training->learn_count)
        return TRAINING_GOES_ON;
    end_epoch(training);
    return training->epoch < job->epochs ? TRAINING_EPOCH : TRAINING_DONE;
}

struct saved training_save(const struct training *training)
{
    const struct model *model = &training->model;
    struct saved saved = {NULL, complaint_alloc(model->weights_count, sizeof(float)), model->weights_count};
    memcpy(saved.weights, model->weights, model->weights_count * sizeof(float));
    saved.head = json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f}", "checkpoint", training->job->id, "digest",
                           (json_int_t)training->job->digest, "epoch", (json_int_t)training->epoch, "next",
                           (json_int_t)training->next, "loss_sum", training->loss_sum, "loss", training->loss,
                           "accuracy", training->accuracy);
    return saved;
}

int training_resume(struct training *training, const struct saved *checkpoint)
{
    const json_t *head = checkpoint->head;
    const char *id = json_string_value(json_object_get(head, "checkpoint"));
    int64_t epoch = whole(head, "epoch"), next = whole(head, "next");
    if (!id || strcmp(id, training->job->id) != 0 || whole(head, "digest") != (int64_t)training->job->digest ||
        checkpoint->weights_count != training->model.weights_count || epoch < 0 || epoch >= training->job->epochs ||
        next < 0 || (size_t)next >= training->learn_count)
        return -1;
    memcpy(training->model.weights, checkpoint->weights, checkpoint->weights_count * sizeof(float));
    training->epoch = (uint32_t)epoch;
    training->loss = json_number_value(json_object_get(head, "loss"));
    training->accuracy = json_number_value(json_object_get(head, "accuracy"));
    begin_epoch(training);
    training->next = (size_t)next;
    training->loss_sum = json_number_value(json_object_get(head, "loss_sum"));
    return 0;
}

struct saved training_finish(const struct training *training)
{
    const struct job *job = training->job;
    const struct model *model = &training->model;
    struct saved saved = {NULL, complaint_alloc(model->weights_count, sizeof(float)), model->weights_count};
    memcpy(saved.weights, model->weights, model->weights_count * sizeof(float));
    json_t *tags = json_array();
    for (size_t i = 0; i < job->tags_count; i++)
        json_array_append_new(tags, json_string(job->tags[i]));
    saved.head = json_pack("{s:s, s:I, s:o, s:I, s:I, s:f, s:f, s:I, s:I, s:I}", "id", job->id, "digest",
                           (json_int_t)job->digest, "tags", tags, "inputs", (json_int_t)model->inputs, "hidden",
                           (json_int_t)model->hidden, "accuracy", training->accuracy, "loss", training->loss,
                           "learned_images", (json_int_t)training->learn_count, "checked_images",
                           (json_int_t)training->check_count, "epochs", (json_int_t)training->epoch);
    return saved;
}

int training_load(struct saved *saved, struct model *ret_model, const char *ret_tags[JOB_TAGS_MAX])
{
    int64_t inputs = whole(saved->head, "inputs"), hidden = whole(saved->head, "hidden");
    const json_t *tags = json_object_get(saved->head, "tags");
    size_t count = json_array_size(tags);
    if (inputs < 1 || inputs > IMAGES_PIXELS_MAX || hidden < 0 || hidden > JOB_HIDDEN_MAX || count < 2 ||
        count > JOB_TAGS_MAX || model_count_weights((size_t)inputs, (size_t)hidden, count) != saved->weights_count)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!(ret_tags[i] = json_string_value(json_array_get(tags, i))))
            return -1;
    }
    *ret_model = (struct model){(size_t)inputs, (size_t)hidden, count, saved->weights, saved->weights_count};
    saved->weights = NULL;
    return 0;
}

// Of each tag one image in five is kept aside, so that every tag is looked at in the end.
static void split_images(struct training *training)
{
    const struct job *job = training->job;
    struct chance chance = chance_init(job->seed, CHANCE_SPLIT);
    size_t seen[JOB_TAGS_MAX] = {0}, back = job->images_count;
    uint32_t *all = training->order;
    for (size_t i = 0; i < job->images_count; i++)
        all[i] = (uint32_t)i;
    chance_shuffle(&chance, all, job->images_count);
    for (size_t i = 0; i < job->images_count; i++) {
        bool aside = seen[job->images[all[i]].tag]++ % CHECK_ONE_OF == 0;
        training->split[aside ? --back : training->learn_count++] = all[i];
    }
    training->check_count = job->images_count - training->learn_count;
}

static void begin_epoch(struct training *training)
{
    struct chance chance = chance_init(training->job->seed, CHANCE_EPOCHS + training->epoch);
    memcpy(training->order, training->split, training->learn_count * sizeof(*training->order));
    chance_shuffle(&chance, training->order, training->learn_count);
    training->next = 0;
    training->loss_sum = 0;
}

static void end_epoch(struct training *training)
{
    const struct job *job = training->job;
    float probabilities[MODEL_TAGS_MAX];
    size_t right = 0;
    for (size_t i = 0; i < training->check_count; i++) {
        const struct job_image *one = &job->images[training->split[training->learn_count + i]];
        right += model_predict(&training->model, images_at(training->images, one->image), probabilities) == one->tag;
    }
    training->accuracy = (double)right / (double)training->check_count;
    training->loss = training->loss_sum / (double)training->learn_count;
    training->epoch++;
    begin_epoch(training);
}

static int64_t whole(const json_t *head, const char *key)
{
    const json_t *value = json_object_get(head, key);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}
