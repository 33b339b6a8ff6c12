// SPDX-License-Identifier: Apache-2.0
// A small neural network over pixels: softmax regression, or one layer of rectified units before it. Nothing but arithmetic: no files, no clock, and
// chance only from a seed.
//
//   pixels ──► [ hidden units ──► ] one number a tag ──► softmax ──► a probability for each tag
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { MODEL_HIDDEN_MAX = 512, MODEL_TAGS_MAX = 64 };

struct model {
    size_t inputs, hidden, tags; // hidden 0: regression
    // Owned. For each layer: a row for each of its inputs with a weight for each output, then a row of biases. So the inner loops run over
    // neighbours, and a black pixel costs nothing.
    float *weights;
    size_t weights_count;
};

// Weights by chance, small enough for the numbers of inputs; biases 0. hidden and tags are within the limits above.
void model_init(struct model *model, size_t inputs, size_t hidden, size_t tags, uint64_t seed);
void model_deinit(struct model *model);

// How many weights such a model has.
size_t model_count_weights(size_t inputs, size_t hidden, size_t tags);

// The probability of each tag; returns the likeliest.
size_t model_predict(const struct model *model, const uint8_t *pixels, float ret_probabilities[MODEL_TAGS_MAX]);

// Adds to `gradient` (weights_count numbers) by how much each weight makes the loss of this image grow; returns the loss: the negative logarithm of
// the right tag's probability. It is not a number when the weights have grown beyond all measure, because the rate of learning was too high.
double model_add_gradient(const struct model *model, const uint8_t *pixels, size_t tag, float *gradient);

// A step downhill, and the gradient is 0 again.
void model_learn(struct model *model, float *gradient, float rate);
