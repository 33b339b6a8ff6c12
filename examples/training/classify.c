// SPDX-License-Identifier: Apache-2.0
// Uses a model: classify MODEL IMAGE… says for each image which of the model's tags it has. The images are those that no model was trained with.
#include <getopt.h>
#include <stdbool.h>
#include <string.h>

#include "training.h"

static const char usage[] =
    "Usage: classify [--data DIR] [--show] MODEL IMAGE…\n"
    "\n"
    "MODEL is a file that a trainer made, IMAGE the place of an image in t10k-images-idx3-ubyte.gz, from 0 on.\n"
    "\n"
    "  --data DIR   the images (" IMAGES_DIRECTORY ")\n"
    "  --show       draws the image as well\n";

static int run(const char *data, const char *path, char **numbers, bool show);
static int classify(const struct model *model, const char *const *tags, const struct images *images, const char *number,
                    bool show);
static void draw(const struct images *images, size_t index);

int main(int argc, char **argv)
{
    static const struct option rows[] = {{"data", required_argument, NULL, 'd'},
                                         {"show", no_argument, NULL, 's'},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    const char *data = IMAGES_DIRECTORY;
    bool show = false;
    for (int option; (option = getopt_long(argc, argv, "h", rows, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (option == 'd')
            data = optarg;
        else if (option == 's')
            show = true;
        else
            optind = argc; // getopt has said what it does not know
    }
    if (argc - optind < 2) {
        fputs(usage, stderr);
        return 2;
    }
    return run(data, argv[optind], argv + optind + 1, show);
}

// `numbers` ends with a NULL.
static int run(const char *data, const char *path, char **numbers, bool show)
{
    const char *tags[JOB_TAGS_MAX];
    struct complaint complaint;
    struct images images = {0};
    struct saved saved = {0};
    struct model model = {0};
    int status = 1;
    if (images_load(data, IMAGES_TEST, &images, &complaint) || saved_read(path, &saved, &complaint)) {
        fprintf(stderr, "classify: %s\n", complaint.text);
    } else if (training_load(&saved, &model, tags) || model.inputs != images.rows * images.columns) {
        fprintf(stderr, "classify: %s: no model for these images\n", path);
    } else {
        status = 0;
        while (*numbers && !status)
            status = classify(&model, tags, &images, *numbers++, show);
    }
    model_deinit(&model);
    saved_deinit(&saved);
    images_free(&images);
    return status;
}

static int classify(const struct model *model, const char *const *tags, const struct images *images, const char *number,
                    bool show)
{
    float probabilities[MODEL_TAGS_MAX];
    char *end;
    unsigned long index = strtoul(number, &end, 10);
    if (end == number || *end || index >= images->count) {
        fprintf(stderr, "classify: images have the numbers 0 to %zu\n", images->count - 1);
        return 2;
    }
    size_t tag = model_predict(model, images_at(images, index), probabilities);
    printf("%lu: %s (%.0f%%)\n", index, tags[tag], (double)probabilities[tag] * 100);
    if (show)
        draw(images, index);
    return 0;
}

// Half as many lines as rows, because a character is about twice as high as wide.
static void draw(const struct images *images, size_t index)
{
    static const char shades[] = " .:-=+*#%@";
    const uint8_t *pixels = images_at(images, index);
    for (size_t row = 0; row + 1 < images->rows; row += 2) {
        for (size_t column = 0; column < images->columns; column++) {
            unsigned sum = pixels[row * images->columns + column] + pixels[(row + 1) * images->columns + column];
            putchar(shades[sum * (sizeof(shades) - 2) / 510]);
        }
        putchar('\n');
    }
}
