// SPDX-License-Identifier: Apache-2.0
// IDX: two zero bytes, 8 (unsigned bytes), the number of dimensions, each dimension in 4 bytes with the highest first, then the data.
#include "images.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <zlib.h>

enum { DIMENSIONS_MAX = 3 };

static int read_idx(const char *directory, const char *name, size_t dimensions, size_t sizes[DIMENSIONS_MAX],
                    uint8_t **ret_data, struct complaint *ret_complaint);
static int read_content(gzFile file, const char *path, size_t dimensions, size_t sizes[DIMENSIONS_MAX],
                        uint8_t **ret_data, struct complaint *ret_complaint);
static int read_bytes(gzFile file, const char *path, void *to, size_t bytes, struct complaint *ret_complaint);

int images_load(const char *directory, enum images_set set, struct images *ret_images, struct complaint *ret_complaint)
{
    const char *name = set == IMAGES_TEST ? "t10k-images-idx3-ubyte.gz" : "train-images-idx3-ubyte.gz";
    size_t sizes[DIMENSIONS_MAX];
    uint8_t *pixels;
    if (read_idx(directory, name, 3, sizes, &pixels, ret_complaint))
        return -1;
    *ret_images = (struct images){sizes[0], sizes[1], sizes[2], pixels};
    return 0;
}

void images_free(struct images *images)
{
    free(images->pixels);
    *images = (struct images){0};
}

int images_load_labels(const char *directory, enum images_set set, uint8_t **ret_labels, size_t *ret_count,
                       struct complaint *ret_complaint)
{
    const char *name = set == IMAGES_TEST ? "t10k-labels-idx1-ubyte.gz" : "train-labels-idx1-ubyte.gz";
    size_t sizes[DIMENSIONS_MAX];
    if (read_idx(directory, name, 1, sizes, ret_labels, ret_complaint))
        return -1;
    *ret_count = sizes[0];
    return 0;
}

static int read_idx(const char *directory, const char *name, size_t dimensions, size_t sizes[DIMENSIONS_MAX],
                    uint8_t **ret_data, struct complaint *ret_complaint)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    gzFile file = gzopen(path, "rb");
    if (!file)
        return complaint_set(ret_complaint, "%s: %s (Debian has it in the package dataset-fashion-mnist)", path,
                             strerror(errno));
    int result = read_content(file, path, dimensions, sizes, ret_data, ret_complaint);
    gzclose(file);
    return result;
}

static int read_content(gzFile file, const char *path, size_t dimensions, size_t sizes[DIMENSIONS_MAX],
                        uint8_t **ret_data, struct complaint *ret_complaint)
{
    static const size_t limits[DIMENSIONS_MAX] = {IMAGES_MAX, IMAGES_PIXELS_MAX, IMAGES_PIXELS_MAX};
    uint8_t head[4 + 4 * DIMENSIONS_MAX];
    size_t bytes = 1;
    if (read_bytes(file, path, head, 4 + 4 * dimensions, ret_complaint))
        return -1;
    if (head[0] != 0 || head[1] != 0 || head[2] != 8 || head[3] != dimensions)
        return complaint_set(ret_complaint, "%s is no IDX file of bytes with %zu dimensions", path, dimensions);
    for (size_t i = 0; i < dimensions; i++) {
        const uint8_t *at = head + 4 + 4 * i;
        sizes[i] = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
        if (sizes[i] == 0 || sizes[i] > limits[i])
            return complaint_set(ret_complaint, "%s: dimension %zu is %zu, not 1 to %zu", path, i + 1, sizes[i],
                                 limits[i]);
        bytes *= sizes[i];
    }
    if (bytes / sizes[0] > IMAGES_PIXELS_MAX)
        return complaint_set(ret_complaint, "%s: images of more than %d pixels", path, IMAGES_PIXELS_MAX);
    uint8_t *data = complaint_alloc(bytes, 1);
    if (read_bytes(file, path, data, bytes, ret_complaint)) {
        free(data);
        return -1;
    }
    *ret_data = data;
    return 0;
}

static int read_bytes(gzFile file, const char *path, void *to, size_t bytes, struct complaint *ret_complaint)
{
    enum { SLICE = 1 << 20 };
    for (size_t done = 0; done < bytes;) {
        unsigned slice = (unsigned)(bytes - done < SLICE ? bytes - done : SLICE);
        int count = gzread(file, (char *)to + done, slice);
        if (count <= 0) {
            int error = 0;
            const char *why = gzerror(file, &error);
            return complaint_set(ret_complaint, "%s: %s", path, count < 0 && *why ? why : "ends too early");
        }
        done += (size_t)count;
    }
    return 0;
}
