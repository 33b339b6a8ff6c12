// SPDX-License-Identifier: Apache-2.0
// What the files of `weir bench` share: options, payloads that can be verified, measuring, reporting.
#pragma once

#include "base/metrics.h"
#include "cmd/client.h"

enum { BENCH_SIZE_MIN = 16, BENCH_SUBSCRIBERS_MAX = 1000, BENCH_STAN_SUBSCRIPTIONS_MAX = 100000 };

struct sockaddr_in;

struct bench {
    // Options.
    struct client_options connection;
    const char *cluster_id;
    const char *mode;
    const char *subject; // of core messages; the STAN channel, or what the names of several begin with
    uint64_t messages;
    uint32_t size;   // payload bytes, at least BENCH_SIZE_MIN
    uint32_t window; // STAN: publishes in flight; MaxInflight of subscriptions
    uint32_t subscribers;
    uint32_t channels;     // STAN: messages go to them in turn
    bool stored;           // STAN: receive what an earlier run has published
    const char *directory; // sync: where the file is; floor: the data of a server
    int server_pid;        // 0: unknown; else its CPU time is measured
    bool json, quiet;

    // Results.
    uint64_t done;  // messages received (or published, where nobody receives)
    uint64_t wrong; // payloads that were not what was sent
    uint64_t elapsed_ns, client_cpu_ns, server_cpu_ns;
    struct histogram latency; // ns

    // Measuring.
    uint64_t start_ns, start_client_cpu_ns, start_server_cpu_ns, shown_ns;
    char *pattern; // owned: size + 256 bytes
    char *payload; // owned: the one being sent
};

// The payload of message `number`, sent now. Valid until the next call.
struct bytes bench_payload(struct bench *bench, uint64_t number);
// Checks a received payload, records its latency. *ret_number: which one it claims to be.
void bench_verify(struct bench *bench, struct bytes payload, uint64_t *ret_number);

void bench_start(struct bench *bench);
// Shows progress now and then on a terminal.
void bench_progress(struct bench *bench);
void bench_stop(struct bench *bench);

// The modes. 0, or an exit status after saying why on stderr.
int bench_core_publish(struct bench *bench);
int bench_core_deliver(struct bench *bench, bool queue);
int bench_core_request(struct bench *bench);
int bench_disk_sync(struct bench *bench);
int bench_relay(struct bench *bench);
int bench_floor(struct bench *bench);
int bench_stan_publish(struct bench *bench);
int bench_stan_subscribe(struct bench *bench);
int bench_stan_queue(struct bench *bench);

// A listener on a free port of 127.0.0.1, for a process that is measured instead of a server; < 0: errno says why.
int bench_listen(struct sockaddr_in *ret_address);
int bench_connect(struct bench *bench, struct client *client, const char *name);
int bench_fail(const struct client *client);
