// SPDX-License-Identifier: Apache-2.0
// Where messages wait between the library's threads, which bring them, and the one thread that works. It wakes a poll(), so that this thread can wait
// for a message and for a signal at the same time.
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <weir.h>

// As many as there can be servers: each of them lets us have one message at a time.
enum { INBOX_MAX = 64 };

struct inbox {
    pthread_mutex_t mutex;
    int fd; // an eventfd; readable when something was put in
    size_t count;
    struct inbox_item {
        struct weir_msg *msg; // kept: whoever takes it frees it
        int64_t since_ms;
    } items[INBOX_MAX];
};

// -1: errno says why.
int inbox_init(struct inbox *inbox);
// When no handler runs any more. Messages that are still in it are freed.
void inbox_deinit(struct inbox *inbox);

// A weir_message_fn; the closure is the inbox.
void inbox_put(struct weir_msg *msg, void *closure);
// The one that has waited longest, or NULL.
struct weir_msg *inbox_take(struct inbox *inbox);
// Gives back, for others and without counting as an attempt, what has waited longer than `hold_ms`, which is much less than the ack wait.
void inbox_give_back_old(struct inbox *inbox, int64_t now_ms, int64_t hold_ms);
