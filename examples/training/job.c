// SPDX-License-Identifier: Apache-2.0
// jansson makes JSON of text, within limits of its own (depth, UTF-8); here is what makes a job of JSON.
#include "job.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

static int read_object(json_t *root, size_t images_count, struct job *job, struct complaint *ret_complaint);
static int read_member(const char *key, json_t *value, struct job *job, struct complaint *ret_complaint);
static int read_id(json_t *value, char ret_id[JOB_ID_MAX + 1], struct complaint *ret_complaint);
static int read_whole(const char *key, json_t *value, uint64_t min, uint64_t max, uint32_t *ret, struct complaint *why);
static int read_tags(json_t *tags, size_t images_count, struct job *job, struct complaint *ret_complaint);
static int read_tag(const char *name, json_t *list, bool *taken, size_t images_count, struct job *job,
                    struct complaint *ret_complaint);
static int read_range(json_t *item, size_t images_count, size_t *ret_first, size_t *ret_last);

int job_parse(const void *text, size_t bytes, size_t images_count, struct job *ret_job, struct complaint *ret_complaint)
{
    json_error_t error;
    if (bytes > JOB_BYTES_MAX)
        return complaint_set(ret_complaint, "a job has at most %d bytes, this one %zu", JOB_BYTES_MAX, bytes);
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return complaint_set(ret_complaint, "no JSON: %s, at byte %d", error.text, error.position);
    struct job job = {.epochs = 10, .batch = 32, .rate = 0.1};
    job.digest = (uint64_t)bytes << 32 | crc32_z(0, text, bytes);
    int result = read_object(root, images_count, &job, ret_complaint);
    json_decref(root);
    if (result)
        job_deinit(&job);
    else
        *ret_job = job;
    return result;
}

void job_deinit(struct job *job)
{
    free(job->images);
    job->images = NULL;
}

static int read_object(json_t *root, size_t images_count, struct job *job, struct complaint *ret_complaint)
{
    const char *key;
    json_t *value, *tags = json_object_get(root, "tags");
    if (!json_is_object(root))
        return complaint_set(ret_complaint, "a job is a JSON object");
    json_object_foreach(root, key, value)
    {
        if (value != tags && read_member(key, value, job, ret_complaint))
            return -1;
    }
    if (!job->id[0])
        return complaint_set(ret_complaint, "a job has an id");
    return read_tags(tags, images_count, job, ret_complaint);
}

static int read_member(const char *key, json_t *value, struct job *job, struct complaint *ret_complaint)
{
    if (strcmp(key, "id") == 0)
        return read_id(value, job->id, ret_complaint);
    if (strcmp(key, "epochs") == 0)
        return read_whole(key, value, 1, JOB_EPOCHS_MAX, &job->epochs, ret_complaint);
    if (strcmp(key, "hidden") == 0)
        return read_whole(key, value, 0, JOB_HIDDEN_MAX, &job->hidden, ret_complaint);
    if (strcmp(key, "batch") == 0)
        return read_whole(key, value, 1, JOB_BATCH_MAX, &job->batch, ret_complaint);
    if (strcmp(key, "rate") == 0) {
        job->rate = json_number_value(value);
        return job->rate > 0 && job->rate <= 10 ? 0 : complaint_set(ret_complaint, "rate is a number above 0, to 10");
    }
    if (strcmp(key, "seed") == 0) {
        job->seed = (uint64_t)json_integer_value(value);
        return json_is_integer(value) ? 0 : complaint_set(ret_complaint, "seed is a whole number");
    }
    static const char known[] = "a job has id, tags, epochs, hidden, batch, rate and seed";
    for (const char *at = key; *at; at++) {
        if (*at < ' ' || *at > '~') // a line feed; or half a letter, where it is cut off
            return complaint_set(ret_complaint, "%s, and nothing else", known);
    }
    return complaint_set(ret_complaint, "%s, not \"%.40s\"", known, key);
}

// It becomes the name of a file, and is shown on terminals.
static int read_id(json_t *value, char ret_id[JOB_ID_MAX + 1], struct complaint *ret_complaint)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    const char *id = json_string_value(value);
    size_t len = json_string_length(value);
    if (len == 0 || len > JOB_ID_MAX || strspn(id, allowed) != len)
        return complaint_set(ret_complaint, "id is 1 to %d letters, digits, - and _", JOB_ID_MAX);
    memcpy(ret_id, id, len + 1);
    return 0;
}

static int read_whole(const char *key, json_t *value, uint64_t min, uint64_t max, uint32_t *ret, struct complaint *why)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < (json_int_t)min || number > (json_int_t)max)
        return complaint_set(why, "%s is a whole number, %llu to %llu", key, (unsigned long long)min,
                             (unsigned long long)max);
    *ret = (uint32_t)number;
    return 0;
}

static int read_tags(json_t *tags, size_t images_count, struct job *job, struct complaint *ret_complaint)
{
    const char *name;
    json_t *list;
    size_t count = json_object_size(tags);
    if (count < 2 || count > JOB_TAGS_MAX)
        return complaint_set(ret_complaint, "tags is an object with 2 to %d lists of images", JOB_TAGS_MAX);
    bool *taken = complaint_alloc(images_count, sizeof(*taken));
    int result = 0;
    job->images = complaint_alloc(images_count, sizeof(*job->images));
    json_object_foreach(tags, name, list)
    {
        if ((result = read_tag(name, list, taken, images_count, job, ret_complaint)))
            break;
    }
    free(taken);
    return result;
}

static int read_tag(const char *name, json_t *list, bool *taken, size_t images_count, struct job *job,
                    struct complaint *ret_complaint)
{
    size_t before = job->images_count, index, first, last;
    uint32_t tag = (uint32_t)job->tags_count;
    json_t *item;
    size_t len = strlen(name);
    if (len == 0 || len > JOB_TAG_BYTES_MAX)
        return complaint_set(ret_complaint, "a tag has 1 to %d bytes", JOB_TAG_BYTES_MAX);
    for (const char *at = name; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == 127)
            return complaint_set(ret_complaint, "tag %u has a control character", tag + 1);
    }
    if (!json_is_array(list))
        return complaint_set(ret_complaint, "tag \"%s\" has no list of images", name);
    json_array_foreach(list, index, item)
    {
        if (read_range(item, images_count, &first, &last))
            return complaint_set(ret_complaint,
                                 "tag \"%s\": its images are numbers, or pairs of first and last, from 0 to %zu", name,
                                 images_count - 1);
        for (size_t image = first; image <= last; image++) {
            if (taken[image])
                return complaint_set(ret_complaint, "image %zu is named twice, the second time as \"%s\"", image, name);
            taken[image] = true;
            job->images[job->images_count++] = (struct job_image){(uint32_t)image, tag};
        }
    }
    if (job->images_count - before < JOB_IMAGES_MIN)
        return complaint_set(ret_complaint, "tag \"%s\" has %zu images, and needs %d", name, job->images_count - before,
                             JOB_IMAGES_MIN);
    memcpy(job->tags[job->tags_count++], name, len + 1);
    return 0;
}

static int read_range(json_t *item, size_t images_count, size_t *ret_first, size_t *ret_last)
{
    json_t *first = item, *last = item;
    if (json_is_array(item)) {
        if (json_array_size(item) != 2)
            return -1;
        first = json_array_get(item, 0);
        last = json_array_get(item, 1);
    }
    json_int_t from = json_integer_value(first), to = json_integer_value(last);
    if (!json_is_integer(first) || !json_is_integer(last) || from < 0 || to < from || (size_t)to >= images_count)
        return -1;
    *ret_first = (size_t)from;
    *ret_last = (size_t)to;
    return 0;
}
