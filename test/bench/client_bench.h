// SPDX-License-Identifier: Apache-2.0
// What client_bench.c and client_peers.c share: one run of one program, and the gate at which its main thread waits for what the threads of a
// library do. Each peer runs once and ends with the process; whatever goes wrong ends it at once, with a reason.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_WINDOW = 512, BENCH_WAIT_MS = 60000, BENCH_MESSAGE_MAX = 70000, BENCH_MAX_IN_FLIGHT = 1024 };
#define BENCH_CHANNEL   "bench"
#define BENCH_CLIENT_ID "bench-client"

struct bench_gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    long done;    // acknowledged, or delivered
    long awaited; // whoever waits wants to know when this many are
};

struct bench {
    const char *url;
    long count;
    size_t size;
    char payload[BENCH_MESSAGE_MAX];
    struct bench_gate gate;
};

// Ends the program unless `fine`.
void bench_need(bool fine, const char *what);
// One more is done; `data` (NULL: an acknowledgement) must be the payload.
void bench_pass(struct bench *bench, const char *data, size_t len);
// Until so many are done.
void bench_wait(struct bench *bench, long wanted);
// Called before publish `i`, by who may have BENCH_WINDOW in flight: if it is full, waits until a quarter is free, as libweir does.
void bench_room(struct bench *bench, long i, long *open_until);

// client_peers.c
void bench_floor_pub(struct bench *bench);
void bench_plain_pub(struct bench *bench);
void bench_stan_pub(struct bench *bench);
void bench_plain_ask(struct bench *bench);
void bench_floor_sub(struct bench *bench);
