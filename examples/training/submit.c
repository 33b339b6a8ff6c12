// SPDX-License-Identifier: Apache-2.0
// Makes jobs and sends them: it stands for whatever lets your users tag images. Each job takes some of the ten kinds of things in the set, some images of
// each, and settings by chance; the same --seed makes the same jobs.
//
// A job's id is also its message's id, and this client always has the same name for the same seed: what is submitted twice within the
// server's duplicate window is stored once. What gets through all the same (to another server, or later) finds its model made.
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "chance.h"
#include "images.h"
#include "servers.h"

enum { KINDS = 10, PUBLISH_MS = 30000 };

static const char *const kind_names[KINDS] = {"T-shirt", "trouser", "pullover", "dress", "coat",
                                              "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};

static const char usage[] =
    "Usage: submit [options]\n"
    "\n"
    "  --servers URL,URL…   the servers (nats://127.0.0.1:4222)\n"
    "  --channel CHANNEL    (training.jobs)\n"
    "  --jobs N             how many (12)\n"
    "  --seed N             of everything that is left to chance (1)\n"
    "  --tags MIN-MAX       of a job, 2 to 10 (2-10)\n"
    "  --images MIN-MAX     of a tag, 10 to 6000 (200-1500)\n"
    "  --epochs MIN-MAX     (5-25)\n"
    "  --hidden MIN-MAX     units; less than 8 count as 0 (0-64)\n"
    "  --data DIR           the images (" IMAGES_DIRECTORY ")\n"
    "  --print              writes the jobs to standard output, one a line, instead of sending them\n";

struct range {
    uint64_t min, max;
};

struct submit {
    const char *servers, *channel, *data;
    uint64_t jobs, seed;
    struct range tags, images, epochs, hidden;
    bool print;
    uint8_t *labels; // owned
    size_t labels_count;
};

static int parse(struct submit *submit, int argc, char **argv);
static int take(struct submit *submit, int option, const char *value);
static int take_range(const char *value, uint64_t min, uint64_t max, struct range *ret);
static json_t *make_job(const struct submit *submit, uint64_t number, size_t *ret_images);
static json_t *pick_images(const struct submit *submit, struct chance *chance, size_t kind, size_t count);
static int send_all(const struct submit *submit);
static int send_one(const struct submit *submit, struct weir_fleet *fleet, uint64_t number);

int main(int argc, char **argv)
{
    struct submit submit = {
        .servers = "nats://127.0.0.1:4222",
        .channel = "training.jobs",
        .data = IMAGES_DIRECTORY,
        .jobs = 12,
        .seed = 1,
        .tags = {2, 10},
        .images = {200, 1500},
        .epochs = {5, 25},
        .hidden = {0, 64},
    };
    struct complaint complaint;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int status = parse(&submit, argc, argv);
    if (status >= 0)
        return status;
    if (images_load_labels(submit.data, IMAGES_TRAIN, &submit.labels, &submit.labels_count, &complaint)) {
        fprintf(stderr, "submit: %s\n", complaint.text);
        return 1;
    }
    status = send_all(&submit);
    free(submit.labels);
    return status;
}

// -1: go on; else the exit code.
static int parse(struct submit *submit, int argc, char **argv)
{
    static const struct option rows[] = {
        {"servers", required_argument, NULL, 's'}, {"channel", required_argument, NULL, 'c'},
        {"jobs", required_argument, NULL, 'j'},    {"seed", required_argument, NULL, 'r'},
        {"tags", required_argument, NULL, 't'},    {"images", required_argument, NULL, 'i'},
        {"epochs", required_argument, NULL, 'e'},  {"hidden", required_argument, NULL, 'u'},
        {"data", required_argument, NULL, 'd'},    {"print", no_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "h", rows, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (take(submit, option, optarg)) {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (optind == argc)
        return -1;
    fputs(usage, stderr);
    return 2;
}

static int take(struct submit *submit, int option, const char *value)
{
    struct range range = {0, 0};
    int result = 0;
    switch (option) {
    case 's': submit->servers = value; return 0;
    case 'c': submit->channel = value; return 0;
    case 'd': submit->data = value; return 0;
    case 'p': submit->print = true; return 0;
    case 't': return take_range(value, 2, KINDS, &submit->tags);
    case 'i': return take_range(value, 10, 6000, &submit->images);
    case 'e': return take_range(value, 1, 500, &submit->epochs);
    case 'u': return take_range(value, 0, 512, &submit->hidden);
    case 'j':
        result = take_range(value, 1, 100000, &range);
        submit->jobs = range.max;
        return result;
    case 'r':
        result = take_range(value, 0, INT64_MAX, &range);
        submit->seed = range.max;
        return result;
    default: return -1;
    }
}

// "3", or "3-7".
static int take_range(const char *value, uint64_t min, uint64_t max, struct range *ret)
{
    char *end;
    if (*value < '0' || *value > '9')
        return -1;
    uint64_t first = strtoull(value, &end, 10), last = first;
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        last = strtoull(end + 1, &end, 10);
    if (*end || first < min || last > max || first > last)
        return -1;
    *ret = (struct range){first, last};
    return 0;
}

static uint64_t pick(struct chance *chance, struct range range)
{
    return range.min + chance_below(chance, range.max - range.min + 1);
}

static json_t *make_job(const struct submit *submit, uint64_t number, size_t *ret_images)
{
    struct chance chance = chance_init(submit->seed, number);
    uint32_t kinds[KINDS];
    uint64_t count = pick(&chance, submit->tags), hidden = pick(&chance, submit->hidden);
    json_t *tags = json_object();
    for (uint32_t i = 0; i < KINDS; i++)
        kinds[i] = i;
    chance_shuffle(&chance, kinds, KINDS);
    *ret_images = 0;
    for (uint64_t i = 0; i < count; i++) {
        size_t images = pick(&chance, submit->images);
        json_object_set_new(tags, kind_names[kinds[i]], pick_images(submit, &chance, kinds[i], images));
        *ret_images += images;
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:I}", "id",
                     json_sprintf("job-%" PRIu64 "-%02" PRIu64, submit->seed, number), "tags", tags, "epochs",
                     (json_int_t)pick(&chance, submit->epochs), "hidden", (json_int_t)(hidden < 8 ? 0 : hidden), "seed",
                     (json_int_t)number);
}

// `count` images of a kind, in the order of the set.
static json_t *pick_images(const struct submit *submit, struct chance *chance, size_t kind, size_t count)
{
    json_t *list = json_array();
    size_t there = 0;
    for (size_t i = 0; i < submit->labels_count; i++)
        there += submit->labels[i] == kind;
    // Each is taken as likely as any other: it is one of those that are still wanted, of those that are still to come.
    for (size_t i = 0; i < submit->labels_count && count > 0; i++) {
        if (submit->labels[i] != kind)
            continue;
        if (chance_below(chance, there--) < count) {
            json_array_append_new(list, json_integer((json_int_t)i));
            count--;
        }
    }
    return list;
}

static int send_all(const struct submit *submit)
{
    struct weir_fleet *fleet = NULL;
    struct weir_error error;
    char name[64];
    int status = 0;
    snprintf(name, sizeof(name), "submit-%" PRIu64, submit->seed);
    if (!submit->print && servers_open(submit->servers, name, NULL, NULL, &fleet, &error)) {
        fprintf(stderr, "submit: %s\n", error.text);
        return 1;
    }
    for (uint64_t number = 1; number <= submit->jobs && !status; number++)
        status = send_one(submit, fleet, number);
    weir_fleet_free(fleet);
    return status;
}

static int send_one(const struct submit *submit, struct weir_fleet *fleet, uint64_t number)
{
    struct weir_publish_options options;
    struct weir_error error;
    size_t images, server = 0;
    int result = 0;
    json_t *job = make_job(submit, number, &images);
    char *text = json_dumps(job, JSON_COMPACT);
    weir_publish_options_init(&options);
    options.id = json_string_value(json_object_get(job, "id"));
    options.timeout_ms = PUBLISH_MS;
    options.ret_server = &server;
    if (submit->print)
        puts(text);
    else if ((result = weir_fleet_publish(fleet, submit->channel, text, strlen(text), &options, &error)) != 0)
        fprintf(stderr, "submit: %s: %s\n", options.id, error.text);
    else
        printf("%s: %zu tags, %zu images, %d epochs, %d hidden units, at %s\n", options.id,
               json_object_size(json_object_get(job, "tags")), images,
               (int)json_integer_value(json_object_get(job, "epochs")),
               (int)json_integer_value(json_object_get(job, "hidden")), weir_fleet_server_url(fleet, server));
    free(text);
    json_decref(job);
    return result ? 1 : 0;
}
