// SPDX-License-Identifier: Apache-2.0
// The mailbox as a stack of one atomic word. Why not a ring: a ring is full at some point, then needs a spill list per
// sender, and a separate sleep flag with sequentially consistent fences. Here the sleep mark *is* the queue's state,
// so the proof is one line per transition:
//
//     idle ──send: true──► item(s) ──receive: exchange──► NULL ──receive finds nothing: CAS──► idle
//                          ▲  └─send: false─┘              └─send: false─► item(s)
//
// Compare-and-swap needs no tag against reuse of items (ABA): a push is right whatever lies below, and the receiver
// takes everything at once instead of popping.
#include "base/mailbox.h"

#include "base/must.h"

static struct mailbox_item *take_all(struct mailbox *mailbox);

void mailbox_init(struct mailbox *mailbox)
{
    mailbox->taken = NULL;
    mailbox->idle.next = NULL;
    atomic_init(&mailbox->newest, &mailbox->idle);
}

bool mailbox_send(struct mailbox *mailbox, struct mailbox_item *item)
{
    struct mailbox_item *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    do {
        item->next = newest == &mailbox->idle ? NULL : newest;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->newest, &newest, item, memory_order_release,
                                                    memory_order_relaxed));
    return newest == &mailbox->idle;
}

struct mailbox_item *mailbox_receive(struct mailbox *mailbox)
{
    if (!mailbox->taken) {
        mailbox->taken = take_all(mailbox);
    }
    struct mailbox_item *item = mailbox->taken;
    if (item) {
        mailbox->taken = item->next;
        item->next = NULL;
    }
    return item;
}

// All items there are, oldest first; when there are none, the receiver is marked idle and NULL returned.
static struct mailbox_item *take_all(struct mailbox *mailbox)
{
    struct mailbox_item *newest = atomic_load_explicit(&mailbox->newest, memory_order_relaxed);
    if (newest == &mailbox->idle) {
        return NULL;
    }
    if (!newest && atomic_compare_exchange_strong_explicit(&mailbox->newest, &newest, &mailbox->idle,
                                                           memory_order_relaxed, memory_order_relaxed)) {
        return NULL;
    }
    newest = atomic_exchange_explicit(&mailbox->newest, NULL, memory_order_acquire);
    must(newest && newest != &mailbox->idle);
    struct mailbox_item *oldest = NULL;
    while (newest) {
        struct mailbox_item *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    return oldest;
}
