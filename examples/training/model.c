// SPDX-License-Identifier: Apache-2.0
// Forward from the pixels to the probabilities, and backward from these to what each weight has to do with the loss.
#include "model.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "complaint.h"

// What one image makes of the network.
struct pass {
    float hidden[MODEL_HIDDEN_MAX], outputs[MODEL_TAGS_MAX];
};

static void fill(float *weights, size_t inputs, size_t outputs, struct chance *chance);
static void run(const struct model *model, const uint8_t *pixels, struct pass *ret_pass);
static void run_pixels(const float *weights, const uint8_t *pixels, size_t inputs, float *ret_outputs, size_t outputs);
static void add_scaled(float *to, const float *from, float factor, size_t count);
static void add_pixels(float *gradient, const uint8_t *pixels, size_t inputs, const float *slopes, size_t outputs);
static void soften(float *outputs, size_t count);

void model_init(struct model *model, size_t inputs, size_t hidden, size_t tags, uint64_t seed)
{
    struct chance chance = chance_init(seed, 0);
    size_t first = hidden ? hidden : tags;
    *model = (struct model){inputs, hidden, tags, NULL, model_count_weights(inputs, hidden, tags)};
    model->weights = complaint_alloc(model->weights_count, sizeof(float));
    fill(model->weights, inputs, first, &chance);
    if (hidden)
        fill(model->weights + (inputs + 1) * hidden, hidden, tags, &chance);
}

void model_deinit(struct model *model)
{
    free(model->weights);
    *model = (struct model){0};
}

size_t model_count_weights(size_t inputs, size_t hidden, size_t tags)
{
    return hidden ? (inputs + 1) * hidden + (hidden + 1) * tags : (inputs + 1) * tags;
}

size_t model_predict(const struct model *model, const uint8_t *pixels, float ret_probabilities[MODEL_TAGS_MAX])
{
    struct pass pass;
    size_t best = 0;
    run(model, pixels, &pass);
    for (size_t i = 0; i < model->tags; i++) {
        ret_probabilities[i] = pass.outputs[i];
        if (pass.outputs[i] > pass.outputs[best])
            best = i;
    }
    return best;
}

// Of softmax and this loss together the slope at an output is its probability, less 1 for the right one.
double model_add_gradient(const struct model *model, const uint8_t *pixels, size_t tag, float *gradient)
{
    struct pass pass;
    run(model, pixels, &pass);
    double loss = -log(pass.outputs[tag] < FLT_MIN ? (double)FLT_MIN : (double)pass.outputs[tag]);
    pass.outputs[tag] -= 1;
    if (!model->hidden) {
        add_pixels(gradient, pixels, model->inputs, pass.outputs, model->tags);
        return loss;
    }
    const float *row = model->weights + (model->inputs + 1) * model->hidden;
    float *slopes = gradient + (model->inputs + 1) * model->hidden;
    float back[MODEL_HIDDEN_MAX];
    for (size_t i = 0; i < model->hidden; i++, row += model->tags, slopes += model->tags) {
        back[i] = 0;
        if (!(pass.hidden[i] > 0))
            continue;
        add_scaled(slopes, pass.outputs, pass.hidden[i], model->tags);
        for (size_t j = 0; j < model->tags; j++)
            back[i] += row[j] * pass.outputs[j];
    }
    add_scaled(slopes, pass.outputs, 1, model->tags);
    add_pixels(gradient, pixels, model->inputs, back, model->hidden);
    return loss;
}

void model_learn(struct model *model, float *gradient, float rate)
{
    add_scaled(model->weights, gradient, -rate, model->weights_count);
    memset(gradient, 0, model->weights_count * sizeof(*gradient));
}

// He's rule: even numbers with a variance of 2 / inputs. Biases stay 0.
static void fill(float *weights, size_t inputs, size_t outputs, struct chance *chance)
{
    double limit = sqrt(6.0 / (double)inputs);
    for (size_t i = 0; i < inputs * outputs; i++)
        weights[i] = (float)((2 * chance_unit(chance) - 1) * limit);
}

static void run(const struct model *model, const uint8_t *pixels, struct pass *ret_pass)
{
    if (!model->hidden) {
        run_pixels(model->weights, pixels, model->inputs, ret_pass->outputs, model->tags);
    } else {
        const float *row = model->weights + (model->inputs + 1) * model->hidden;
        run_pixels(model->weights, pixels, model->inputs, ret_pass->hidden, model->hidden);
        memcpy(ret_pass->outputs, row + model->hidden * model->tags, model->tags * sizeof(*row));
        for (size_t i = 0; i < model->hidden; i++, row += model->tags) {
            if (ret_pass->hidden[i] > 0)
                add_scaled(ret_pass->outputs, row, ret_pass->hidden[i], model->tags);
        }
    }
    soften(ret_pass->outputs, model->tags);
}

static void run_pixels(const float *weights, const uint8_t *pixels, size_t inputs, float *ret_outputs, size_t outputs)
{
    memcpy(ret_outputs, weights + inputs * outputs, outputs * sizeof(*weights));
    for (size_t i = 0; i < inputs; i++) {
        if (pixels[i])
            add_scaled(ret_outputs, weights + i * outputs, (float)pixels[i] / 255, outputs);
    }
}

static void add_pixels(float *gradient, const uint8_t *pixels, size_t inputs, const float *slopes, size_t outputs)
{
    for (size_t i = 0; i < inputs; i++) {
        if (pixels[i])
            add_scaled(gradient + i * outputs, slopes, (float)pixels[i] / 255, outputs);
    }
    add_scaled(gradient + inputs * outputs, slopes, 1, outputs);
}

static void add_scaled(float *to, const float *from, float factor, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += factor * from[i];
}

static void soften(float *outputs, size_t count)
{
    float highest = outputs[0], sum = 0;
    for (size_t i = 1; i < count; i++)
        highest = outputs[i] > highest ? outputs[i] : highest;
    for (size_t i = 0; i < count; i++)
        sum += outputs[i] = expf(outputs[i] - highest);
    for (size_t i = 0; i < count; i++)
        outputs[i] /= sum;
}
