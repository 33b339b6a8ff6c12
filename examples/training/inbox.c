// SPDX-License-Identifier: Apache-2.0
// A few messages behind a lock; in order, because the first has waited longest.
#include "inbox.h"

#include <stdbool.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static void give_back(struct weir_msg *msg)
{
    weir_msg_nak(msg, 0, false);
    weir_msg_free(msg);
}

int inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (inbox->fd < 0)
        return -1;
    pthread_mutex_init(&inbox->mutex, NULL);
    return 0;
}

void inbox_deinit(struct inbox *inbox)
{
    for (struct weir_msg *msg; (msg = inbox_take(inbox));)
        weir_msg_free(msg);
    pthread_mutex_destroy(&inbox->mutex);
    close(inbox->fd);
}

void inbox_put(struct weir_msg *msg, void *closure)
{
    struct inbox *inbox = closure;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    weir_msg_keep(msg);
    pthread_mutex_lock(&inbox->mutex);
    bool has_room = inbox->count < INBOX_MAX;
    if (has_room)
        inbox->items[inbox->count++] = (struct inbox_item){msg, (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
    pthread_mutex_unlock(&inbox->mutex);
    if (has_room)
        (void)!write(inbox->fd, &(uint64_t){1}, sizeof(uint64_t));
    else
        give_back(msg);
}

struct weir_msg *inbox_take(struct inbox *inbox)
{
    uint64_t events;
    struct weir_msg *msg = NULL;
    pthread_mutex_lock(&inbox->mutex);
    if (inbox->count > 0) {
        msg = inbox->items[0].msg;
        inbox->count--;
        for (size_t i = 0; i < inbox->count; i++)
            inbox->items[i] = inbox->items[i + 1];
    } else {
        (void)!read(inbox->fd, &events, sizeof(events)); // it is readable again with the next one
    }
    pthread_mutex_unlock(&inbox->mutex);
    return msg;
}

void inbox_give_back_old(struct inbox *inbox, int64_t now_ms, int64_t hold_ms)
{
    struct weir_msg *old[INBOX_MAX];
    size_t old_count = 0, kept = 0;
    pthread_mutex_lock(&inbox->mutex);
    for (size_t i = 0; i < inbox->count; i++) {
        if (now_ms - inbox->items[i].since_ms > hold_ms)
            old[old_count++] = inbox->items[i].msg;
        else
            inbox->items[kept++] = inbox->items[i];
    }
    inbox->count = kept;
    pthread_mutex_unlock(&inbox->mutex);
    for (size_t i = 0; i < old_count; i++)
        give_back(old[i]);
}
