// SPDX-License-Identifier: Apache-2.0
// weir bench: load on a NATS or STAN server, with payloads that the receiver verifies.
#include "cmd/bench.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/endian.h"
#include "base/memory.h"
#include "base/number.h"
#include "cmd/commands.h"

struct mode {
    const char *name;
    int (*run)(struct bench *bench);
};

static int run_deliver(struct bench *bench);
static int run_fan_out(struct bench *bench);
static int run_queue(struct bench *bench);
static int options_parse(struct bench *bench, int argc, char **argv);
static void report(const struct bench *bench);
static uint64_t client_cpu(void);
static uint64_t server_cpu(const struct bench *bench);

static const struct mode modes[] = {
    {"pub", bench_core_publish},
    {"pubsub", run_deliver},
    {"fanout", run_fan_out},
    {"queue", run_queue},
    {"request", bench_core_request},
    {"stan-pub", bench_stan_publish},
    {"stan-sub", bench_stan_subscribe},
    {"stan-queue", bench_stan_queue},
    {"sync", bench_disk_sync},
    {"relay", bench_relay},
    {"floor", bench_floor},
};

static const char usage[] =
    "Usage: weir bench MODE [options]\n"
    "\n"
    "Puts load on a server and prints rate, latency and CPU time per message.\n"
    "\n"
    "Modes:\n"
    "  pub         publish, nobody subscribes\n"
    "  pubsub      one publisher, one subscriber\n"
    "  fanout      one publisher, --subscribers (8) that each get everything\n"
    "  queue       one publisher, a queue group of --subscribers (8)\n"
    "  request     request and reply, one at a time; latency is the round trip\n"
    "  stan-pub    NATS Streaming: publish with --window (512) in flight; latency until the acknowledgement\n"
    "  stan-sub    NATS Streaming: receive and acknowledge what it stored before\n"
    "  stan-queue  the same, a queue group of --subscribers (8) on each channel, measured when all are there\n"
    "  sync        no server: one write and fdatasync to a preallocated file in --dir\n"
    "  relay       no server: the least that one can do for a request and its reply\n"
    "  floor       no server: the least that one can do for stan-sub --stored with the files of a server in --dir\n"
    "\n"
    "Options:\n"
    "  --cid ID              STAN cluster id (test-cluster)\n"
    "  --msgs N              messages (1000000; request, relay: 20000, sync: 2000)\n"
    "  --size N              payload bytes, at least 16 (128)\n"
    "  --window N            STAN: publishes in flight, MaxInflight of each subscription (512)\n"
    "  --subscribers N       fanout, queue, stan-queue (8)\n"
    "  --subject NAME        subject or channel (bench.<pid>)\n"
    "  --channels N          STAN: messages go in turn to so many channels, NAME.0 and on (1: it is NAME)\n"
    "  --stored              stan-sub, stan-queue: what a stan-pub with the same --subject, --channels, --size and\n"
    "                        --msgs has put there, from the first message on; nothing is published\n"
    "  --dir DIR             sync, floor: where the files are (.)\n"
    "  --server-pid PID      also measure the CPU time of this process\n"
    "  --json                one line of JSON\n"
    "  --quiet               no progress line\n" CLIENT_OPTIONS_HELP;

void bench_help(void)
{
    fputs(usage, stdout);
}

int bench_run(int count, char **arguments)
{
    // getopt wants the name in front.
    int argc = count + 1;
    char **argv = arguments - 1;
    argv[0] = (char[]){"weir bench"};
    struct bench bench = {.connection = CLIENT_OPTIONS_INIT,
                          .cluster_id = "test-cluster",
                          .directory = ".",
                          .size = 128,
                          .window = 512,
                          .channels = 1};
    int status = options_parse(&bench, argc, argv);
    if (status)
        return status;
    char subject[64];
    snprintf(subject, sizeof(subject), "bench.%d", (int)getpid());
    if (!bench.subject)
        bench.subject = subject;
    bench.pattern = mem_alloc(bench.size + 256);
    for (size_t i = 0; i < bench.size + 256; i++)
        bench.pattern[i] = (char)(i * 7 + i / 256);
    bench.payload = mem_alloc(bench.size);
    status = 2;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(modes[i].name, bench.mode) == 0)
            status = modes[i].run(&bench);
    if (status == 2)
        fprintf(stderr, "weir bench: no mode \"%s\"; see weir bench --help\n", bench.mode);
    else if (status == 0)
        report(&bench);
    mem_free(bench.pattern);
    mem_free(bench.payload);
    return status ? status : bench.wrong > 0;
}

struct bytes bench_payload(struct bench *bench, uint64_t number)
{
    put_u64(bench->payload, number);
    put_u64(bench->payload + 8, client_now_ns());
    memcpy(bench->payload + 16, bench->pattern + (number & 255), bench->size - 16);
    return bytes_make(bench->payload, bench->size);
}

void bench_verify(struct bench *bench, struct bytes payload, uint64_t *ret_number)
{
    *ret_number = UINT64_MAX;
    bench->done++;
    if (payload.len != bench->size) {
        bench->wrong++;
        return;
    }
    *ret_number = get_u64(payload.ptr);
    if (memcmp(payload.ptr + 16, bench->pattern + (*ret_number & 255), bench->size - 16) != 0)
        bench->wrong++;
    histogram_record(&bench->latency, client_now_ns() - get_u64(payload.ptr + 8));
}

void bench_start(struct bench *bench)
{
    histogram_reset(&bench->latency);
    bench->done = bench->wrong = 0;
    bench->start_server_cpu_ns = server_cpu(bench);
    bench->start_client_cpu_ns = client_cpu();
    bench->start_ns = bench->shown_ns = client_now_ns();
}

void bench_progress(struct bench *bench)
{
    uint64_t now = client_now_ns();
    if (bench->quiet || now - bench->shown_ns < 200000000 || !isatty(STDERR_FILENO))
        return;
    bench->shown_ns = now;
    fprintf(stderr, "\r%s: %3.0f %%  %.0f messages/s ", bench->mode,
            100.0 * (double)bench->done / (double)bench->messages,
            (double)bench->done * 1e9 / (double)(now - bench->start_ns));
}

void bench_stop(struct bench *bench)
{
    bench->elapsed_ns = client_now_ns() - bench->start_ns;
    bench->client_cpu_ns = client_cpu() - bench->start_client_cpu_ns;
    bench->server_cpu_ns = server_cpu(bench) - bench->start_server_cpu_ns;
    if (!bench->quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%60s\r", "");
}

int bench_connect(struct bench *bench, struct client *client, const char *name)
{
    struct client_options options = bench->connection;
    options.name = name;
    return client_connect(client, &options) ? bench_fail(client) : 0;
}

int bench_fail(const struct client *client)
{
    fprintf(stderr, "weir bench: %s\n", client->error);
    return 1;
}

static int run_deliver(struct bench *bench)
{
    bench->subscribers = 1;
    return bench_core_deliver(bench, false);
}

static int run_fan_out(struct bench *bench)
{
    return bench_core_deliver(bench, false);
}

static int run_queue(struct bench *bench)
{
    return bench_core_deliver(bench, true);
}

static int number_option(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    if (number_parse_u64(bytes_from_string(text), max, ret) == 0 && *ret >= min)
        return 0;
    fprintf(stderr, "weir bench: --%s takes a number from %llu to %llu, not \"%s\"\n", name, (unsigned long long)min,
            (unsigned long long)max, text);
    return 2;
}

// Each mode has its own limit to subscriptions.
static int check_counts(const struct bench *bench)
{
    bool stan = strcmp(bench->mode, "stan-queue") == 0;
    uint64_t subscriptions = (uint64_t)bench->subscribers * (stan ? bench->channels : 1);
    uint64_t max = stan ? BENCH_STAN_SUBSCRIPTIONS_MAX : BENCH_SUBSCRIBERS_MAX;
    if (subscriptions > max)
        fprintf(stderr, "weir bench: %llu subscriptions are too many; %s takes up to %llu\n",
                (unsigned long long)subscriptions, bench->mode, (unsigned long long)max);
    return subscriptions > max ? 2 : 0;
}

static uint64_t default_messages(const char *mode)
{
    bool trip = strcmp(mode, "request") == 0 || strcmp(mode, "relay") == 0;
    return trip ? 20000 : strcmp(mode, "sync") == 0 ? 2000 : 1000000;
}

static int options_parse(struct bench *bench, int argc, char **argv)
{
    enum { CID = 256, MSGS, SIZE, WINDOW, SUBSCRIBERS, SUBJECT, SERVER_PID, JSON, QUIET, DIRECTORY, CHANNELS, STORED };
    static const struct option options[] = {
        CLIENT_OPTIONS_ROWS,
        {"cid", required_argument, NULL, CID},
        {"msgs", required_argument, NULL, MSGS},
        {"size", required_argument, NULL, SIZE},
        {"window", required_argument, NULL, WINDOW},
        {"subscribers", required_argument, NULL, SUBSCRIBERS},
        {"subject", required_argument, NULL, SUBJECT},
        {"channels", required_argument, NULL, CHANNELS},
        {"stored", no_argument, NULL, STORED},
        {"server-pid", required_argument, NULL, SERVER_PID},
        {"json", no_argument, NULL, JSON},
        {"quiet", no_argument, NULL, QUIET},
        {"dir", required_argument, NULL, DIRECTORY},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    uint64_t messages = 0, size = bench->size, window = bench->window, subscribers = 8, channels = 1, pid = 0;
    int option, error = 0;
    while (!error && (option = getopt_long(argc, argv, CLIENT_OPTIONS_LETTERS "h", options, NULL)) != -1) {
        switch (option) {
        case CID: bench->cluster_id = optarg; break;
        case MSGS: error = number_option("msgs", optarg, 1, 1000000000000, &messages); break;
        case SIZE: error = number_option("size", optarg, BENCH_SIZE_MIN, 64 << 20, &size); break;
        case WINDOW: error = number_option("window", optarg, 1, 1000000, &window); break;
        case SUBSCRIBERS:
            error = number_option("subscribers", optarg, 1, BENCH_STAN_SUBSCRIPTIONS_MAX, &subscribers);
            break;
        case CHANNELS: error = number_option("channels", optarg, 1, BENCH_STAN_SUBSCRIPTIONS_MAX, &channels); break;
        case STORED: bench->stored = true; break;
        case DIRECTORY: bench->directory = optarg; break;
        case SUBJECT: bench->subject = optarg; break;
        case SERVER_PID:
            error = number_option("server-pid", optarg, 1, INT32_MAX, &pid);
            if (!error && kill((pid_t)pid, 0) != 0)
                error = client_complain("bench", "--server-pid takes the id of a running process", optarg);
            break;
        case JSON: bench->json = true; break;
        case QUIET: bench->quiet = true; break;
        case 'h': fputs(usage, stdout); exit(0);
        default:
            if (!client_options_take(&bench->connection, option, optarg))
                return client_refuse_options("bench");
        }
    }
    if (!error)
        error = client_options_check(&bench->connection, "bench");
    if (!error && optind != argc - 1) {
        fputs(usage, stderr);
        return 2;
    }
    bench->mode = argv[argc - 1];
    bench->messages = messages ? messages : default_messages(bench->mode);
    bench->size = (uint32_t)size;
    bench->window = (uint32_t)window;
    bench->subscribers = (uint32_t)subscribers;
    bench->channels = (uint32_t)channels;
    bench->server_pid = (int)pid;
    return error ? error : check_counts(bench);
}

// JSON has no number for what is divided by nothing.
static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void report(const struct bench *bench)
{
    double seconds = (double)bench->elapsed_ns / 1e9, count = (double)bench->done;
    double p50 = (double)histogram_quantile(&bench->latency, 0.5) / 1e3;
    double p90 = (double)histogram_quantile(&bench->latency, 0.9) / 1e3;
    double p99 = (double)histogram_quantile(&bench->latency, 0.99) / 1e3;
    double max = (double)histogram_max(&bench->latency) / 1e3;
    double client_us = ratio((double)bench->client_cpu_ns / 1e3, count);
    double server_us = ratio((double)bench->server_cpu_ns / 1e3, count);
    double rate = ratio(count, seconds);
    if (bench->done == 0)
        fputs("weir bench: nothing is left to measure: take more --msgs, or a smaller --window\n", stderr);
    if (bench->json) {
        printf("{\"mode\":\"%s\",\"size\":%u,\"messages\":%llu,\"seconds\":%.6f,\"rate\":%.1f,\"p50_us\":%.1f,"
               "\"p90_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"client_cpu_us\":%.4f,\"server_cpu_us\":%.4f,"
               "\"wrong\":%llu}\n",
               bench->mode, bench->size, (unsigned long long)bench->done, seconds, rate, p50, p90, p99, max, client_us,
               bench->server_pid ? server_us : 0, (unsigned long long)bench->wrong);
        return;
    }
    printf("%-9s %6u B  %11.0f msgs/s  %8.1f MB/s", bench->mode, bench->size, rate, rate * bench->size / 1e6);
    if (histogram_count(&bench->latency))
        printf("  latency p50 %.0f p90 %.0f p99 %.0f max %.0f us", p50, p90, p99, max);
    printf("  CPU/msg: client %.3f us", client_us);
    if (bench->server_pid)
        printf(", server %.3f us", server_us);
    printf("\n");
    if (bench->wrong)
        printf("%llu payloads were WRONG\n", (unsigned long long)bench->wrong);
}

static uint64_t client_cpu(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// Nanoseconds on a processor, summed over the threads as the scheduler counts them.
static uint64_t server_cpu(const struct bench *bench)
{
    if (!bench->server_pid)
        return 0;
    char path[300];
    snprintf(path, sizeof(path), "/proc/%d/task", bench->server_pid);
    DIR *tasks = opendir(path);
    uint64_t total = 0;
    for (struct dirent *entry = tasks ? readdir(tasks) : NULL; entry; entry = readdir(tasks)) {
        unsigned long long nanoseconds;
        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", bench->server_pid, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file && fscanf(file, "%llu", &nanoseconds) == 1)
            total += nanoseconds;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return total;
}
