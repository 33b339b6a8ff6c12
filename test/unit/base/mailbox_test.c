// SPDX-License-Identifier: Apache-2.0
// Order, one wake-up per batch, and both with real threads: the receiver sleeps on a condition and would hang for ever if
// one wake-up were lost.
#include "base/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "base/list.h"
#include "base/memory.h"
#include "base/prng.h"

struct letter {
    struct mailbox_item item;
    int sender;
    uint64_t number;
};

static struct letter *receive(struct mailbox *mailbox)
{
    struct mailbox_item *item = mailbox_receive(mailbox);
    return item ? container_of(item, struct letter, item) : NULL;
}

static void keeps_order_and_wakes_once(void **state)
{
    struct mailbox mailbox;
    struct letter letters[5];
    mailbox_init(&mailbox);
    assert_null(receive(&mailbox));
    for (int round = 0; round < 3; round++) {
        assert_true(mailbox_send(&mailbox, &letters[0].item)); // the receiver was idle
        assert_false(mailbox_send(&mailbox, &letters[1].item));
        assert_ptr_equal(receive(&mailbox), &letters[0]);
        assert_false(mailbox_send(&mailbox, &letters[2].item)); // awake, in the middle of a batch
        assert_ptr_equal(receive(&mailbox), &letters[1]);
        assert_ptr_equal(receive(&mailbox), &letters[2]);
        assert_false(mailbox_send(&mailbox, &letters[3].item)); // awake until it has seen NULL
        assert_ptr_equal(receive(&mailbox), &letters[3]);
        assert_null(receive(&mailbox));
        assert_null(receive(&mailbox));
    }
}

// What a receiver must know at each step, in one thread: sent, received, idle.
static void follows_a_model(void **state)
{
    enum { LETTERS = 64 };
    struct mailbox mailbox;
    struct letter letters[LETTERS];
    struct prng prng;
    uint64_t sent = 0, received = 0;
    bool idle = true;
    prng_seed(&prng, 3);
    mailbox_init(&mailbox);
    for (int step = 0; step < 100000; step++) {
        if (sent - received < LETTERS && prng_chance(&prng, 1, 2)) {
            struct letter *letter = &letters[sent % LETTERS];
            letter->number = sent++;
            assert_int_equal(mailbox_send(&mailbox, &letter->item), idle);
            idle = false;
        } else {
            struct letter *letter = receive(&mailbox);
            idle = idle || !letter;
            assert_int_equal(letter != NULL, received < sent);
            assert_true(!letter || letter->number == received);
            received += letter != NULL;
        }
    }
}

enum { SENDERS = 3, PER_SENDER = 30000 };

struct post {
    struct mailbox mailbox;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t wakes; // pending, as an eventfd would count them
};

struct sender {
    struct post *post;
    struct letter *letters;
    int index;
};

static void *send_all(void *argument)
{
    struct sender *sender = argument;
    for (uint64_t i = 0; i < PER_SENDER; i++) {
        struct letter *letter = &sender->letters[i];
        letter->sender = sender->index;
        letter->number = i;
        if (mailbox_send(&sender->post->mailbox, &letter->item)) {
            pthread_mutex_lock(&sender->post->mutex);
            sender->post->wakes++;
            pthread_cond_signal(&sender->post->changed);
            pthread_mutex_unlock(&sender->post->mutex);
        }
    }
    return NULL;
}

static void wait_for_wake(struct post *post)
{
    pthread_mutex_lock(&post->mutex);
    while (post->wakes == 0) {
        pthread_cond_wait(&post->changed, &post->mutex);
    }
    // Never two: between one wake-up and the next the receiver has seen NULL, and then only one send replaces "idle".
    assert_true(post->wakes == 1);
    post->wakes = 0;
    pthread_mutex_unlock(&post->mutex);
}

static void receive_all(struct post *post, uint64_t total)
{
    uint64_t next[SENDERS] = {0};
    wait_for_wake(post); // a new mailbox counts its receiver as idle
    while (total > 0) {
        struct letter *letter = receive(&post->mailbox);
        if (!letter) {
            wait_for_wake(post);
            continue;
        }
        assert_true(letter->number == next[letter->sender]++);
        total--;
    }
}

static void exchange(int sender_count)
{
    struct post post = {.wakes = 0};
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    mailbox_init(&post.mailbox);
    pthread_mutex_init(&post.mutex, NULL);
    pthread_cond_init(&post.changed, NULL);
    for (int i = 0; i < sender_count; i++) {
        senders[i] = (struct sender){&post, mem_alloc(PER_SENDER * sizeof(struct letter)), i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_all, &senders[i]), 0);
    }
    receive_all(&post, (uint64_t)sender_count * PER_SENDER);
    for (int i = 0; i < sender_count; i++) {
        pthread_join(threads[i], NULL);
        mem_free(senders[i].letters);
    }
    assert_null(receive(&post.mailbox));
    pthread_mutex_destroy(&post.mutex);
    pthread_cond_destroy(&post.changed);
}

static void one_thread_sends_to_another(void **state)
{
    exchange(1);
}

static void several_threads_send_to_one(void **state)
{
    exchange(SENDERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_wakes_once),
        cmocka_unit_test(follows_a_model),
        cmocka_unit_test(one_thread_sends_to_another),
        cmocka_unit_test(several_threads_send_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
