// SPDX-License-Identifier: Apache-2.0
// The program `trainer`: what it is called with, and how it begins and ends. See trainer.h.
#include "trainer.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "servers.h"

// A job that comes while we work waits for so long; then another trainer may have it.
enum { HOLD_MS = 500 };

static const char usage[] =
    "Usage: trainer [options]\n"
    "\n"
    "Takes jobs from all servers and trains their models. Start as many as there are processors, here and elsewhere.\n"
    "\n"
    "  --servers URL,URL…   the servers (nats://127.0.0.1:4222)\n"
    "  --channel CHANNEL    where the jobs are (training.jobs)\n"
    "  --group GROUP        the group that shares them (trainers)\n"
    "  --name NAME          who we are, different for each trainer: letters, digits, - and _ (trainer-PID)\n"
    "  --models DIR         where models go; all trainers of a group have the same (models)\n"
    "  --data DIR           the images (" IMAGES_DIRECTORY ")\n"
    "  --progress CHANNEL   where the lines of standard output also go, as messages (nowhere)\n"
    "  --ack_wait SECONDS   so long after a sign of life a job is given to another trainer (30)\n"
    "  --checkpoint SECONDS so much work is lost at most when this one is killed (2)\n"
    "  --max_attempts N     a job that comes more often is dead (10)\n"
    "\n"
    "Standard output has a line of JSON for each thing that happens. SIGTERM: writes a checkpoint, gives the job back, "
    "ends with 0.\n";

static int parse(struct trainer_options *options, int argc, char **argv);
static int take_number(const char *name, const char *text, double min, double max, double *ret_number);
static int begin(struct trainer *trainer);
static int prepare(struct trainer *trainer, struct complaint *ret_complaint);
static int open_signals(void);
static int subscribe(struct trainer *trainer, struct weir_error *ret_error);
static void end(struct trainer *trainer);
static void on_server(struct weir_fleet *fleet, size_t server, enum weir_server_state state, const char *why,
                      void *closure);

int main(int argc, char **argv)
{
    char name[32];
    snprintf(name, sizeof(name), "trainer-%d", (int)getpid());
    struct trainer trainer = {
        .options = {.servers = "nats://127.0.0.1:4222",
                    .channel = "training.jobs",
                    .group = "trainers",
                    .name = name,
                    .models = "models",
                    .data = IMAGES_DIRECTORY,
                    .ack_wait_ms = 30000,
                    .checkpoint_ms = 2000,
                    .max_attempts = 10},
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    int status = parse(&trainer.options, argc, argv);
    if (status >= 0)
        return status;
    if (begin(&trainer))
        return 1;
    trainer_show(&trainer, "ready", json_object());
    while (!trainer.stopping) {
        struct weir_msg *msg = inbox_take(&trainer.inbox);
        if (msg)
            trainer_work(&trainer, msg);
        trainer_look_around(&trainer, msg ? 0 : -1);
    }
    end(&trainer);
    return 0;
}

void trainer_look_around(struct trainer *trainer, int wait_ms)
{
    struct pollfd fds[] = {{trainer->signal_fd, POLLIN, 0}, {trainer->inbox.fd, POLLIN, 0}};
    poll(fds, 2, wait_ms);
    if (fds[0].revents && !trainer->stopping) {
        trainer->stopping = true;
        weir_fleet_sub_stop(trainer->sub); // before the job goes back, or it might come here again
    }
    inbox_give_back_old(&trainer->inbox, trainer_now_ms(), HOLD_MS);
}

int64_t trainer_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// -1: go on; else the exit code.
static int parse(struct trainer_options *options, int argc, char **argv)
{
    static const struct option rows[] = {
        {"servers", required_argument, NULL, 's'},
        {"channel", required_argument, NULL, 'c'},
        {"group", required_argument, NULL, 'g'},
        {"name", required_argument, NULL, 'n'},
        {"models", required_argument, NULL, 'm'},
        {"data", required_argument, NULL, 'd'},
        {"progress", required_argument, NULL, 'p'},
        {"ack_wait", required_argument, NULL, 'a'},
        {"checkpoint", required_argument, NULL, 'k'},
        {"max_attempts", required_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    double number = 0;
    for (int option; (option = getopt_long(argc, argv, "h", rows, NULL)) != -1;) {
        switch (option) {
        case 's': options->servers = optarg; break;
        case 'c': options->channel = optarg; break;
        case 'g': options->group = optarg; break;
        case 'n': options->name = optarg; break;
        case 'm': options->models = optarg; break;
        case 'd': options->data = optarg; break;
        case 'p': options->progress = optarg; break;
        case 'a':
            if (take_number("--ack_wait", optarg, 1, 86400, &number))
                return 2;
            options->ack_wait_ms = (int64_t)(number * 1000);
            break;
        case 'k':
            if (take_number("--checkpoint", optarg, 0, 86400, &number))
                return 2;
            options->checkpoint_ms = (int64_t)(number * 1000);
            break;
        case 'x':
            if (take_number("--max_attempts", optarg, 1, 1000000, &number))
                return 2;
            options->max_attempts = (uint32_t)number;
            break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    return -1;
}

static int take_number(const char *name, const char *text, double min, double max, double *ret_number)
{
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !(number >= min && number <= max)) {
        fprintf(stderr, "trainer: %s is a number from %g to %g\n", name, min, max);
        return -1;
    }
    *ret_number = number;
    return 0;
}

static int begin(struct trainer *trainer)
{
    const struct trainer_options *options = &trainer->options;
    struct complaint complaint;
    struct weir_error error;
    if (prepare(trainer, &complaint)) {
        fprintf(stderr, "trainer: %s\n", complaint.text);
        images_free(&trainer->images);
        return -1;
    }
    if (servers_open(options->servers, options->name, on_server, trainer, &trainer->fleet, &error) ||
        subscribe(trainer, &error)) {
        fprintf(stderr, "trainer: %s\n", error.text);
        end(trainer);
        return -1;
    }
    return 0;
}

// What needs no server.
static int prepare(struct trainer *trainer, struct complaint *ret_complaint)
{
    const char *models = trainer->options.models;
    if (images_load(trainer->options.data, IMAGES_TRAIN, &trainer->images, ret_complaint))
        return -1;
    if (mkdir(models, 0755) != 0 && errno != EEXIST)
        return complaint_set(ret_complaint, "%s: %s", models, strerror(errno));
    trainer->signal_fd = open_signals();
    if (trainer->signal_fd < 0 || inbox_init(&trainer->inbox))
        return complaint_set(ret_complaint, "waiting for signals and messages: %s", strerror(errno));
    return 0;
}

// Before the library makes its threads, so that none of them gets a signal that is for us.
static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int subscribe(struct trainer *trainer, struct weir_error *ret_error)
{
    struct weir_sub_options options;
    weir_sub_options_init(&options);
    options.group = trainer->options.group;
    options.durable = trainer->options.group;
    options.start = WEIR_START_FIRST;
    options.max_in_flight = 1; // of each server, because nobody knows which of them has work
    options.ack_wait_ms = trainer->options.ack_wait_ms;
    options.manual_ack = true;
    return weir_fleet_subscribe(trainer->fleet, trainer->options.channel, &options, inbox_put, &trainer->inbox,
                                &trainer->sub, ret_error);
}

static void end(struct trainer *trainer)
{
    struct weir_error error;
    if (trainer->sub) {
        inbox_give_back_old(&trainer->inbox, INT64_MAX, 0);
        if (weir_fleet_sub_close(trainer->sub, &error) != 0)
            fprintf(stderr, "%s: when it stopped: %s\n", trainer->options.name, error.text);
    }
    weir_fleet_free(trainer->fleet); // no handler runs any more
    inbox_deinit(&trainer->inbox);
    close(trainer->signal_fd);
    images_free(&trainer->images);
}

// Called on threads of the library.
static void on_server(struct weir_fleet *fleet, size_t server, enum weir_server_state state, const char *why,
                      void *closure)
{
    static const char *const names[] = {
        [WEIR_SERVER_DOWN] = "down", [WEIR_SERVER_UP] = "up", [WEIR_SERVER_SILENT] = "silent"};
    const struct trainer *trainer = closure;
    fprintf(stderr, "%s: %s is %s%s%s\n", trainer->options.name, weir_fleet_server_url(fleet, server), names[state],
            why[0] ? ": " : "", why);
}
