// SPDX-License-Identifier: Apache-2.0
// What libweir costs a program beside what libnats does: `client-bench URL COUNT SIZE PROGRAM pub|ask|sub` publishes COUNT messages to a channel, 512 in
// flight (pub) or one after the other (ask), or has them delivered and acknowledges each (sub), and prints JSON with the CPU time of this
// process for each message. PROGRAM is `weir` or `fleet` (libweir: a client, a fleet of one server), or one of client_peers.c.
#include "client_bench.h"

#include <inttypes.h>
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <weir.h>

struct program {
    const char *name, *what;
    void (*run)(struct bench *bench);
};

static void weir_pub(struct bench *bench);
static void weir_ask(struct bench *bench);
static void weir_sub(struct bench *bench);
static void fleet_pub(struct bench *bench);
static void fleet_ask(struct bench *bench);

static const struct program programs[] = {
    {"floor", "pub", bench_floor_pub}, {"plain", "pub", bench_plain_pub}, {"stan", "pub", bench_stan_pub},
    {"weir", "pub", weir_pub},         {"fleet", "pub", fleet_pub},       {"plain", "ask", bench_plain_ask},
    {"weir", "ask", weir_ask},         {"fleet", "ask", fleet_ask},       {"floor", "sub", bench_floor_sub},
    {"weir", "sub", weir_sub},
};

static double cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static struct bench bench = {.gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0}};
    const struct program *program = NULL;
    bench_need(argc == 6, "usage: client-bench URL COUNT SIZE floor|plain|stan|weir|fleet pub|ask|sub");
    bench.url = argv[1];
    bench.count = strtol(argv[2], NULL, 10);
    bench.size = (size_t)strtoul(argv[3], NULL, 10);
    bench_need(bench.count > 0 && bench.size > 0 && bench.size < BENCH_MESSAGE_MAX, "count or size");
    memset(bench.payload, 'x', bench.size);
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        if (strcmp(argv[4], programs[i].name) == 0 && strcmp(argv[5], programs[i].what) == 0)
            program = &programs[i];
    }
    bench_need(program != NULL, "no such program");
    nats_Open(-1);
    double cpu = cpu_s(), begin = now_s();
    program->run(&bench);
    printf("{\"cpu_us\": %.4f, \"rate\": %.0f, \"wrong\": 0}\n", (cpu_s() - cpu) * 1e6 / (double)bench.count,
           (double)bench.count / (now_s() - begin));
    fflush(stdout);
    _exit(0); // the peers' callbacks may still run
}

void bench_need(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "client-bench: %s\n", what);
    exit(1);
}

void bench_pass(struct bench *bench, const char *data, size_t len)
{
    struct bench_gate *gate = &bench->gate;
    if (data)
        bench_need(len == bench->size && memcmp(data, bench->payload, len) == 0, "a wrong payload");
    pthread_mutex_lock(&gate->mutex);
    if (++gate->done == gate->awaited)
        pthread_cond_signal(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

void bench_wait(struct bench *bench, long wanted)
{
    struct bench_gate *gate = &bench->gate;
    pthread_mutex_lock(&gate->mutex);
    gate->awaited = wanted;
    while (gate->done < wanted)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

void bench_room(struct bench *bench, long i, long *open_until)
{
    if (i < *open_until)
        return;
    bench_wait(bench, i - BENCH_WINDOW + BENCH_WINDOW / 4);
    *open_until += BENCH_WINDOW / 4;
}

static void on_published(int result, const char *id, const char *why, void *closure)
{
    (void)id;
    bench_need(result == 0, why);
    bench_pass(closure, NULL, 0);
}

static void on_message(struct weir_msg *msg, void *closure)
{
    bench_pass(closure, weir_msg_data(msg), weir_msg_data_bytes(msg));
}

static void read_options(struct weir_client_options *options, const struct bench *bench)
{
    weir_client_options_init(options);
    options->servers = bench->url;
    options->client_id = BENCH_CLIENT_ID;
    options->max_publishes_in_flight = BENCH_WINDOW;
}

static struct weir_client *open_client(const struct bench *bench)
{
    struct weir_client_options options;
    struct weir_client *client;
    struct weir_error error;
    read_options(&options, bench);
    int result = weir_client_open(&options, &client, &error);
    bench_need(result == 0, error.text);
    return client;
}

static struct weir_fleet *open_fleet(const struct bench *bench)
{
    struct weir_client_options client;
    struct weir_fleet_options options;
    struct weir_fleet *fleet;
    read_options(&client, bench);
    weir_fleet_options_init(&options);
    options.servers = &bench->url;
    options.servers_count = 1;
    options.client = &client;
    bench_need(weir_fleet_open(&options, &fleet, NULL) == 0, "no fleet");
    bench_need(weir_fleet_wait(fleet, 0, BENCH_WAIT_MS, NULL) == 0, "no server");
    return fleet;
}

static void weir_pub(struct bench *bench)
{
    struct weir_client *client = open_client(bench);
    for (long i = 0; i < bench->count; i++) {
        int result = weir_client_publish_async(client, BENCH_CHANNEL, bench->payload, bench->size, NULL, on_published,
                                               bench, NULL);
        bench_need(result == 0, "not published");
    }
    bench_wait(bench, bench->count);
    weir_client_free(client);
}

static void weir_ask(struct bench *bench)
{
    struct weir_client *client = open_client(bench);
    for (long i = 0; i < bench->count; i++) {
        int result = weir_client_publish(client, BENCH_CHANNEL, bench->payload, bench->size, NULL, NULL);
        bench_need(result == 0, "not published");
    }
    weir_client_free(client);
}

static void weir_sub(struct bench *bench)
{
    struct weir_client *client = open_client(bench);
    struct weir_sub_options options;
    struct weir_sub *sub;
    weir_sub_options_init(&options);
    options.start = WEIR_START_FIRST;
    options.max_in_flight = BENCH_MAX_IN_FLIGHT;
    bench_need(weir_client_subscribe(client, BENCH_CHANNEL, &options, on_message, bench, &sub, NULL) == 0,
               "no subscription");
    bench_wait(bench, bench->count);
    weir_client_free(client);
}

static void fleet_pub(struct bench *bench)
{
    struct weir_fleet *fleet = open_fleet(bench);
    for (long i = 0; i < bench->count; i++) {
        int result = weir_fleet_publish_async(fleet, BENCH_CHANNEL, bench->payload, bench->size, NULL, on_published,
                                              bench, NULL);
        bench_need(result == 0, "not published");
    }
    bench_wait(bench, bench->count);
    weir_fleet_free(fleet);
}

static void fleet_ask(struct bench *bench)
{
    struct weir_fleet *fleet = open_fleet(bench);
    for (long i = 0; i < bench->count; i++)
        bench_need(weir_fleet_publish(fleet, BENCH_CHANNEL, bench->payload, bench->size, NULL, NULL) == 0,
                   "not published");
    weir_fleet_free(fleet);
}
