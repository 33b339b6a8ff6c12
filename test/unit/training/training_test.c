// SPDX-License-Identifier: Apache-2.0
// Training: it learns what can be learned, and an interruption changes nothing. The images are made here: each tag has its own bright corner, among noise.
#include "training.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "chance.h"

enum { IMAGES = 300, SIDE = 8, PIXELS = SIDE * SIDE };

static struct images images;

static int make_images(void **state)
{
    struct chance chance = chance_init(1, 1);
    (void)state;
    images = (struct images){IMAGES, SIDE, SIDE, complaint_alloc(IMAGES, PIXELS)};
    for (size_t i = 0; i < IMAGES * PIXELS; i++)
        images.pixels[i] = (uint8_t)chance_below(&chance, 160);
    for (size_t i = 0; i < IMAGES; i++) // its tag is i % 3
        memset(images.pixels + i * PIXELS + i % 3 * 2 * SIDE, 200, SIDE / 2);
    return 0;
}

static int free_images(void **state)
{
    (void)state;
    images_free(&images);
    return 0;
}

// Image i has the tag i % 3.
static void make_job(struct job *job, const char *settings)
{
    char text[8192];
    struct complaint complaint;
    size_t len = (size_t)snprintf(text, sizeof(text), "{\"id\":\"j\",%s\"tags\":{", settings);
    for (int tag = 0; tag < 3; tag++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"tag %d\":[", tag ? "," : "", tag);
        for (int i = tag; i < IMAGES; i += 3)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%d", i > tag ? "," : "", i);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "]");
    }
    len += (size_t)snprintf(text + len, sizeof(text) - len, "}}");
    if (job_parse(text, len, IMAGES, job, &complaint))
        fail_msg("%s", complaint.text);
}

static enum training_state run_to_end(struct training *training)
{
    enum training_state state;
    do
        state = training_step(training);
    while (state == TRAINING_GOES_ON || state == TRAINING_EPOCH);
    return state;
}

static void it_learns(void **state)
{
    static const char *const settings[] = {"\"epochs\":12,", "\"epochs\":12,\"hidden\":16,"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct job job;
        struct training training;
        double first_loss = 0;
        make_job(&job, settings[i]);
        training_init(&training, &job, &images);
        assert_int_equal(training.check_count, IMAGES / 5);
        assert_int_equal(training.learn_count, IMAGES - IMAGES / 5);
        for (enum training_state now = TRAINING_GOES_ON; now != TRAINING_DONE;) {
            now = training_step(&training);
            assert_int_not_equal(now, TRAINING_FAILED);
            if (now == TRAINING_EPOCH && first_loss == 0)
                first_loss = training.loss;
        }
        assert_true(training.loss < first_loss / 2);
        assert_true(training.accuracy > 0.9);
        assert_int_equal(training.epoch, 12);
        training_deinit(&training);
        job_deinit(&job);
    }
}

// Stopped after every number of batches there is, and resumed from what was on disk.
static void resumed_training_ends_with_the_same_model_bit_for_bit(void **state)
{
    struct job job;
    struct training whole, part;
    (void)state;
    make_job(&job, "\"epochs\":3,\"hidden\":4,\"batch\":50,\"seed\":5,");
    training_init(&whole, &job, &images);
    assert_int_equal(run_to_end(&whole), TRAINING_DONE);
    for (int batches = 0; batches < 15; batches++) {
        struct complaint complaint;
        struct saved checkpoint;
        char path[] = "/tmp/weir-checkpoint-XXXXXX";
        assert_int_equal(close(mkstemp(path)), 0);
        training_init(&part, &job, &images);
        for (int i = 0; i < batches; i++)
            assert_int_not_equal(training_step(&part), TRAINING_DONE);
        checkpoint = training_save(&part);
        training_deinit(&part);
        assert_int_equal(saved_write(path, &checkpoint, SAVED_REPLACE, &complaint), 0);
        saved_deinit(&checkpoint);
        training_init(&part, &job, &images);
        assert_int_equal(saved_read(path, &checkpoint, &complaint), 0);
        assert_int_equal(training_resume(&part, &checkpoint), 0);
        saved_deinit(&checkpoint);
        assert_int_equal(run_to_end(&part), TRAINING_DONE);
        assert_memory_equal(part.model.weights, whole.model.weights, whole.model.weights_count * sizeof(float));
        assert_true(part.loss == whole.loss && part.accuracy == whole.accuracy);
        training_deinit(&part);
        remove(path);
    }
    training_deinit(&whole);
    job_deinit(&job);
}

static void checkpoints_that_are_of_no_use_are_ignored(void **state)
{
    static const char *const changes[] = {"{s:s}", "{s:i}"};
    static const char *const keys[] = {"checkpoint", "digest", "epoch", "next"};
    struct job job;
    struct training training, fresh;
    (void)state;
    make_job(&job, "\"epochs\":3,");
    training_init(&training, &job, &images);
    training_init(&fresh, &job, &images);
    for (size_t i = 0; i < 12; i++) {
        struct saved checkpoint = training_save(&training);
        json_t *change = i < 4   ? json_pack(changes[0], keys[i], "x")
                         : i < 8 ? json_pack(changes[1], keys[i % 4], -2)
                                 : json_pack(changes[1], keys[i % 4], 1000000);
        json_object_update(checkpoint.head, change);
        json_decref(change);
        assert_int_equal(training_resume(&training, &checkpoint), -1);
        saved_deinit(&checkpoint);
    }
    struct saved checkpoint = training_save(&training);
    checkpoint.weights_count--;
    assert_int_equal(training_resume(&training, &checkpoint), -1);
    saved_deinit(&checkpoint);
    assert_memory_equal(training.model.weights, fresh.model.weights, fresh.model.weights_count * sizeof(float));
    assert_memory_equal(training.order, fresh.order, fresh.learn_count * sizeof(*fresh.order));
    training_deinit(&training);
    training_deinit(&fresh);
    job_deinit(&job);
}

static void steps_that_are_too_large_are_seen(void **state)
{
    struct job job;
    struct training training;
    (void)state;
    make_job(&job, "\"epochs\":500,\"hidden\":64,\"rate\":10,\"batch\":1,");
    training_init(&training, &job, &images);
    for (size_t i = 0; i < training.model.weights_count; i++)
        training.model.weights[i] *= 1e18F;
    assert_int_equal(run_to_end(&training), TRAINING_FAILED);
    training_deinit(&training);
    job_deinit(&job);
}

static void a_finished_model_is_loaded_and_knows_its_tags(void **state)
{
    struct job job;
    struct training training;
    struct model model;
    const char *tags[JOB_TAGS_MAX];
    float probabilities[MODEL_TAGS_MAX];
    size_t right = 0;
    (void)state;
    make_job(&job, "\"hidden\":8,");
    training_init(&training, &job, &images);
    assert_int_equal(run_to_end(&training), TRAINING_DONE);
    struct saved saved = training_finish(&training);
    training_deinit(&training);
    job_deinit(&job);
    json_t *hidden = json_object_get(saved.head, "hidden");
    json_integer_set(hidden, 9);
    assert_int_equal(training_load(&saved, &model, tags), -1); // not as many weights as that has
    json_integer_set(hidden, 8);
    assert_int_equal(training_load(&saved, &model, tags), 0);
    for (size_t i = 0; i < IMAGES; i++)
        right += tags[model_predict(&model, images_at(&images, i), probabilities)][4] == (char)('0' + i % 3);
    assert_true(right > IMAGES * 9 / 10);
    model_deinit(&model);
    saved_deinit(&saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns),
        cmocka_unit_test(resumed_training_ends_with_the_same_model_bit_for_bit),
        cmocka_unit_test(checkpoints_that_are_of_no_use_are_ignored),
        cmocka_unit_test(steps_that_are_too_large_are_seen),
        cmocka_unit_test(a_finished_model_is_loaded_and_knows_its_tags),
    };
    return cmocka_run_group_tests(tests, make_images, free_images);
}
