// SPDX-License-Identifier: Apache-2.0
// A queue subscriber that takes ten seconds for each message, ten publishes, and how many are pending, for your metrics: what this client holds, and
// what the server still has for the group.
//
//   cc slow_consumer.c $(pkg-config --cflags --libs libweir) -o slow_consumer
//   ./slow_consumer [--server URL] [--seconds N]        against a running `weir`; N: for each message (10)
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir.h>

enum { MESSAGES = 10 };

static void take_long(double seconds)
{
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

static void on_message(struct weir_msg *msg, void *closure)
{
    const double *seconds = closure;
    printf("working on %.*s\n", (int)weir_msg_data_bytes(msg), (const char *)weir_msg_data(msg));
    fflush(stdout);
    take_long(*seconds);
} // it is acknowledged now

// Stands for whatever sends your metrics.
static void send_gauge(const char *name, unsigned long long value)
{
    printf("  %s %llu\n", name, value);
}

static unsigned long long report(struct weir_sub *sub)
{
    uint64_t messages, bytes;
    struct weir_backlog backlog;
    struct weir_error error;
    weir_sub_pending(sub, &messages, &bytes);
    send_gauge("pending_messages", messages);
    send_gauge("pending_bytes", bytes);
    if (weir_sub_backlog(sub, &backlog, &error) != 0) {
        fprintf(stderr, "slow_consumer: %s\n", error.text);
        exit(1);
    }
    send_gauge("backlog_messages", backlog.messages);
    send_gauge("backlog_bytes", backlog.bytes);
    send_gauge("backlog_oldest_ms", backlog.oldest_age_ms > 0 ? (unsigned long long)backlog.oldest_age_ms : 0);
    fflush(stdout);
    return backlog.messages;
}

static struct weir_client *connect_to(const char *server)
{
    struct weir_client_options options;
    struct weir_client *client;
    struct weir_error error;
    weir_client_options_init(&options);
    options.servers = server;
    if (weir_client_open(&options, &client, &error) == 0)
        return client;
    fprintf(stderr, "slow_consumer: %s\n", error.text);
    exit(1);
}

// Four at a time: the others wait at the server, for this member of the group or another.
static struct weir_sub *subscribe(struct weir_client *client, double *seconds)
{
    struct weir_sub_options options;
    struct weir_sub *sub;
    struct weir_error error;
    weir_sub_options_init(&options);
    options.group = "workers";
    options.durable = "slow";
    options.max_in_flight = 4;
    options.ack_wait_ms = (int64_t)(*seconds * 1000) * MESSAGES + 30000;
    if (weir_client_subscribe(client, "jobs", &options, on_message, seconds, &sub, &error) == 0)
        return sub;
    fprintf(stderr, "slow_consumer: %s\n", error.text);
    exit(1);
}

int main(int argc, char **argv)
{
    const char *server = NULL;
    double seconds = 10;
    for (int i = 1; i < argc; i += 2) {
        if (strcmp(argv[i], "--server") == 0 && argv[i + 1]) {
            server = argv[i + 1];
        } else if (strcmp(argv[i], "--seconds") == 0 && argv[i + 1]) {
            seconds = strtod(argv[i + 1], NULL);
        } else {
            fputs("Usage: slow_consumer [--server URL] [--seconds N]\n", stderr);
            return 2;
        }
    }
    struct weir_client *client = connect_to(server);
    struct weir_sub *sub = subscribe(client, &seconds);
    for (int i = 1; i <= MESSAGES; i++) {
        char text[16];
        struct weir_error error;
        int len = snprintf(text, sizeof(text), "job %d", i);
        if (weir_client_publish(client, "jobs", text, (size_t)len, NULL, &error) != 0) {
            fprintf(stderr, "slow_consumer: %s\n", error.text);
            return 1;
        }
    }
    while (report(sub) > 0)
        take_long(seconds);
    weir_client_free(client);
    return 0;
}
