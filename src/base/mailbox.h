// SPDX-License-Identifier: Apache-2.0
// The mailbox between two threads: any thread sends, one thread receives, in the order sent (per sender). Sending never
// blocks, never drops, never allocates: items are intrusive, so there is no ring that could be full and nothing to
// spill. How much may be under way is the sender's business (credits); control messages are then never held back by
// data. An item belongs to the mailbox from mailbox_send() until mailbox_receive() returns it.
//
// One atomic word holds everything: the address of `idle` (empty, the receiver sleeps or is about to), NULL (empty, the
// receiver is awake), or the newest item of a linked stack. A sender pushes with compare-and-swap; the receiver takes
// the whole stack with one exchange and hands it out oldest first.
//
// Wake-up protocol. There is no separate "sleeping" flag, hence no window between looking at the queue and at the flag:
//   - The receiver calls mailbox_receive() until it returns NULL. That NULL comes only from the atomic step from "empty,
//     awake" to "idle"; from then on the receiver may sleep, and must call mailbox_receive() again when it is woken.
//   - The send whose push replaces "idle" returns true; its caller must wake the receiver (eventfd, uv_async_send) after
//     the call, in a way that stays pending if the receiver is not asleep yet. All other sends return false and need no
//     wake-up: the receiver has not seen NULL since the wake-up that is under way.
//   So there is exactly one wake-up per batch, none is lost, and a late or spurious one is harmless.
//   - A receiver that stops before NULL (its budget for this turn is used up) gets no wake-up: it comes back by itself.
// Receipt of an item happens after everything its sender did before sending it (release, acquire).
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct mailbox_item {
    struct mailbox_item *next; // list link, the mailbox's while the item is in it
};

struct mailbox {
    // Written by both sides. The gap keeps it off the receiver's cache line without asking for more alignment than
    // mem_alloc() gives.
    _Atomic(struct mailbox_item *) newest;
    char gap[64];
    // The receiver's own: items taken and put in order, not yet handed out.
    struct mailbox_item *taken;
    struct mailbox_item idle; // never an item; its address is the mark "receiver idle"
};

// The receiver counts as idle: the first send returns true. A mailbox may not be moved; nothing needs freeing, but items
// still in it remain their senders' to find: receive until NULL before dropping it.
void mailbox_init(struct mailbox *mailbox);
// Any thread. Returns true when the caller must now wake the receiver. The item is the receiver's as soon as it is in:
// do not touch it afterwards.
bool mailbox_send(struct mailbox *mailbox, struct mailbox_item *item);
// The receiving thread only. The oldest item, or NULL: then the receiver is idle and the next send says "wake".
struct mailbox_item *mailbox_receive(struct mailbox *mailbox);
