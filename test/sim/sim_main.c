// SPDX-License-Identifier: Apache-2.0
// A program per level (SIM_LEVEL): runs seeds and prints TAP.
//
//   sim_s1 --seeds 200         seeds 1 … 200
//   sim_s1 --workers 3 …       the node has so many workers
//   sim_s1 --seed 17           this one, alone; with --verbose everything that happens in it
//
// Every tenth seed is run twice, and the two runs must be the same, line by line.
// tidy: allow mutable: the handler of a crash has no other way to know which seed it was
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/json_fields.h"
#include "sim_world.h"

static uint64_t running;
static uint32_t workers = 1;

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

// So that whatever kills the program, the seed is printed.
const char *__asan_default_options(void)
{
    return "abort_on_error=1:hard_rss_limit_mb=3000:quarantine_size_mb=32";
}

const char *__ubsan_default_options(void)
{
    return "abort_on_error=1:print_stacktrace=1";
}

static void on_death(int signal)
{
    char line[128];
    int length = snprintf(line, sizeof(line),
                          "not ok - S%d died; repeat with: sim_s%d --workers %u --seed %" PRIu64 " --verbose\n",
                          SIM_LEVEL, SIM_LEVEL, workers, running);
    (void)!write(1, line, (size_t)length);
    (void)signal;
    _exit(1);
}

static bool run(uint64_t seed, bool verbose, struct sim_result *total)
{
    struct sim_result result, second;
    running = seed;
    sim_world_run(SIM_LEVEL, workers, seed, verbose, &result);
    if (!result.failed && seed % 10 == 0) {
        sim_world_run(SIM_LEVEL, workers, seed, false, &second);
        if (second.hash != result.hash || second.turns != result.turns) {
            result.failed = true;
            snprintf(result.failure, sizeof(result.failure), "two runs of the seed differ");
        }
    }
    total->publishes += result.publishes;
    total->accepted += result.accepted;
    total->deliveries += result.deliveries;
    total->redeliveries += result.redeliveries;
    total->starts += result.starts;
    total->turns += result.turns;
    if (result.failed)
        printf("# seed %" PRIu64 ": %s\n# repeat with: sim_s%d --workers %u --seed %" PRIu64 " --verbose\n", seed,
               result.failure, SIM_LEVEL, workers, seed);
    return !result.failed;
}

int main(int count, char **arguments)
{
    json_fields_init();
    uint64_t first = 1, seeds = 1;
    bool verbose = false;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--verbose") == 0)
            verbose = true;
        else if (i + 1 < count && strcmp(arguments[i], "--seed") == 0)
            first = strtoull(arguments[++i], NULL, 10);
        else if (i + 1 < count && strcmp(arguments[i], "--workers") == 0)
            workers = (uint32_t)strtoul(arguments[++i], NULL, 10);
        else if (i + 1 < count && strcmp(arguments[i], "--seeds") == 0)
            seeds = strtoull(arguments[++i], NULL, 10);
        else {
            fprintf(stderr, "usage: %s [--seed FIRST] [--seeds COUNT] [--workers N] [--verbose]\n", arguments[0]);
            return 2;
        }
    }
    signal(SIGABRT, on_death);
    signal(SIGSEGV, on_death);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct sim_result total = {0};
    uint64_t failures = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++)
        failures += !run(seed, verbose, &total);
    printf("# %" PRIu64 " publishes, %" PRIu64 " accepted, %" PRIu64 " deliveries, %" PRIu64 " again, %" PRIu64
           " starts, %" PRIu64 " turns\n",
           total.publishes, total.accepted, total.deliveries, total.redeliveries, total.starts, total.turns);
    printf("%s 1 - S%d, seeds %" PRIu64 " to %" PRIu64 "\n1..1\n", failures ? "not ok" : "ok", SIM_LEVEL, first,
           first + seeds - 1);
    return failures ? 1 : 0;
}
