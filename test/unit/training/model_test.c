// SPDX-License-Identifier: Apache-2.0
// The network: its gradient is that of its loss, and going down it lowers the loss.
#include "model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

enum { INPUTS = 12 };

static const uint8_t pixels[INPUTS] = {0, 255, 17, 0, 90, 200, 1, 128, 0, 44, 250, 3};

static double loss_of(const struct model *model, size_t tag)
{
    float probabilities[MODEL_TAGS_MAX];
    model_predict(model, pixels, probabilities);
    return -log((double)probabilities[tag]);
}

// Each weight is moved a little to both sides, and the loss is looked at.
static void check_gradient(size_t hidden, size_t tags, uint64_t seed)
{
    const double step = 1e-3;
    struct model model;
    model_init(&model, INPUTS, hidden, tags, seed);
    assert_int_equal(model.weights_count, model_count_weights(INPUTS, hidden, tags));
    float *gradient = calloc(model.weights_count, sizeof(*gradient));
    double loss = model_add_gradient(&model, pixels, tags - 1, gradient);
    assert_true(fabs(loss - loss_of(&model, tags - 1)) < 1e-5);
    for (size_t i = 0; i < model.weights_count; i++) {
        float weight = model.weights[i];
        model.weights[i] = (float)((double)weight + step);
        double above = loss_of(&model, tags - 1);
        model.weights[i] = (float)((double)weight - step);
        double below = loss_of(&model, tags - 1), slope = (above - below) / (2 * step);
        model.weights[i] = weight;
        if (fabs(slope - (double)gradient[i]) > 2e-3 + 2e-2 * fabs(slope))
            fail_msg("weight %zu of %zu hidden units, seed %u: %g, not %g", i, hidden, (unsigned)seed,
                     (double)gradient[i], slope);
    }
    free(gradient);
    model_deinit(&model);
}

static void the_gradient_is_the_slope_of_the_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        check_gradient(0, 2, seed);
        check_gradient(0, 7, seed);
        check_gradient(1, 2, seed);
        check_gradient(9, 5, seed);
    }
}

static void gradients_of_images_add_up(void **state)
{
    struct model model;
    (void)state;
    model_init(&model, INPUTS, 4, 3, 1);
    float *once = calloc(model.weights_count, sizeof(*once)), *twice = calloc(model.weights_count, sizeof(*twice));
    model_add_gradient(&model, pixels, 1, once);
    model_add_gradient(&model, pixels, 1, twice);
    model_add_gradient(&model, pixels, 1, twice);
    for (size_t i = 0; i < model.weights_count; i++)
        assert_true(fabsf(twice[i] - 2 * once[i]) < 1e-6F);
    free(once);
    free(twice);
    model_deinit(&model);
}

static void a_step_lowers_the_loss_and_clears_the_gradient(void **state)
{
    struct model model;
    (void)state;
    model_init(&model, INPUTS, 6, 3, 2);
    float *gradient = calloc(model.weights_count, sizeof(*gradient));
    double loss = model_add_gradient(&model, pixels, 2, gradient);
    for (int i = 0; i < 20; i++) {
        model_learn(&model, gradient, 0.05F);
        for (size_t j = 0; j < model.weights_count; j++)
            assert_true(gradient[j] == 0);
        double next = model_add_gradient(&model, pixels, 2, gradient);
        assert_true(next < loss);
        loss = next;
    }
    free(gradient);
    model_deinit(&model);
}

static void probabilities_are_some_also_for_large_weights(void **state)
{
    float probabilities[MODEL_TAGS_MAX];
    struct model model;
    (void)state;
    model_init(&model, INPUTS, 0, 4, 3);
    for (size_t i = 0; i < model.weights_count; i++)
        model.weights[i] *= 1e6F;
    float *gradient = calloc(model.weights_count, sizeof(*gradient)), sum = 0;
    model_predict(&model, pixels, probabilities);
    for (size_t i = 0; i < 4; i++) {
        assert_true(probabilities[i] >= 0 && probabilities[i] <= 1);
        sum += probabilities[i];
        assert_true(isfinite(model_add_gradient(&model, pixels, i, gradient)));
    }
    assert_true(fabsf(sum - 1) < 1e-5F);
    free(gradient);
    model_deinit(&model);
}

static void the_same_seed_makes_the_same_weights(void **state)
{
    struct model one, same, other;
    (void)state;
    model_init(&one, INPUTS, 3, 2, 7);
    model_init(&same, INPUTS, 3, 2, 7);
    model_init(&other, INPUTS, 3, 2, 8);
    assert_memory_equal(one.weights, same.weights, one.weights_count * sizeof(float));
    assert_memory_not_equal(one.weights, other.weights, one.weights_count * sizeof(float));
    model_deinit(&one);
    model_deinit(&same);
    model_deinit(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gradient_is_the_slope_of_the_loss),
        cmocka_unit_test(gradients_of_images_add_up),
        cmocka_unit_test(a_step_lowers_the_loss_and_clears_the_gradient),
        cmocka_unit_test(probabilities_are_some_also_for_large_weights),
        cmocka_unit_test(the_same_seed_makes_the_same_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
