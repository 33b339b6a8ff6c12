// SPDX-License-Identifier: Apache-2.0
// The images that jobs speak of: the files of Fashion-MNIST as Debian's package dataset-fashion-mnist has them (IDX, compressed with gzip), or any other
// set in that format. An image's id is its place in the file, from 0 on.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "complaint.h"

#define IMAGES_DIRECTORY "/usr/share/datasets/fashion-mnist"

// Limits of what is read, whatever a file says of itself.
enum { IMAGES_MAX = 1000000, IMAGES_PIXELS_MAX = 64 * 64 };

enum images_set {
    IMAGES_TRAIN, // train-images-idx3-ubyte.gz; what jobs may name
    IMAGES_TEST,  // t10k-images-idx3-ubyte.gz; what no model has seen
};

struct images {
    size_t count, rows, columns;
    uint8_t *pixels; // owned: images one after the other, row by row
};

// -1, with a complaint that names the package, if the file is not there, or is no set of images.
int images_load(const char *directory, enum images_set set, struct images *ret_images, struct complaint *ret_complaint);
void images_free(struct images *images);

// The kind of each image, 0 to 9, as the set's makers saw it. It is for whoever makes jobs; the trainer knows only the tags of its job.
// ret_labels is the caller's, to be freed with free().
int images_load_labels(const char *directory, enum images_set set, uint8_t **ret_labels, size_t *ret_count,
                       struct complaint *ret_complaint);

static inline const uint8_t *images_at(const struct images *images, size_t index)
{
    return images->pixels + index * images->rows * images->columns;
}
