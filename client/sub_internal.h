// SPDX-License-Identifier: Apache-2.0
// What sub.c, msg.c and client.c share of a subscription and its messages.
//
// References of a subscription: the handle, libnats until the last callback has returned, each message that was kept. It has one to its client.
#pragma once

#include "client/client_internal.h"

struct weir_sub {
    atomic_int references;
    struct weir_client *client;      // referenced
    struct weir_sub *next, **link;   // (m of the client) list of its subscriptions; link NULL: not in it
    struct weir_sub_options options; // owned texts
    char *channel;
    char *ack_inbox;        // NULL until `ready`
    natsSubscription *nats; // owned; NULL after weir_sub_release()
    weir_message_fn *on_message;
    void *closure;
    void (*on_gone)(void *closure); // NULL: none
    bool listening;                 // libnats will call on_complete()
    atomic_bool ready;              // ack_inbox is known
    atomic_bool closed;             // the handler is not called any more, and acknowledgements are refused
    atomic_bool stopped;            // the handler is not called any more
    bool complete;                  // (m) libnats will not call again
    struct weir_msg *spare;         // of the delivering thread
    // Everything that arrived is pending until it is finished. What libnats keeps is counted there, and what it handed over here.
    atomic_uint_fast64_t finished_messages, taken_bytes, finished_bytes;
};

struct weir_msg {
    atomic_int references;                  // the delivering thread's, and the program's if it was kept
    struct weir_sub *sub;                   // referenced if kept
    natsMsg *raw;                           // owned
    struct weir_envelope_delivery delivery; // borrowed from raw
    char *reply;                            // owned, or NULL
    bool kept;                              // written within the handler only
    atomic_bool finished;                   // acknowledged, given back, terminated, or of no interest any more
};

// As weir_client_subscribe(). `on_gone` is called exactly once, also on failure, when no callback of it runs or will run; kept messages may be left.
int weir_sub_open(struct weir_client *client, const char *channel, const struct weir_sub_options *options,
                  weir_message_fn *on_message, void *closure, void (*on_gone)(void *closure), struct weir_sub **ret_sub,
                  struct weir_error *ret_error) WEIR_MUST_USE;

// The two parts of closing: the server is told, and nothing is delivered here any more. The handle stays until weir_sub_release().
int weir_sub_tell_end(struct weir_sub *sub, bool delete_durable, struct weir_error *ret_error);
void weir_sub_deafen(struct weir_sub *sub);

void weir_sub_ref(struct weir_sub *sub);
void weir_sub_unref(struct weir_sub *sub);

// As weir_sub_free(), but without saying anything to the server or waiting for the handler: its client is closed.
void weir_sub_release(struct weir_sub *sub);

// Publishes to the ack inbox; WEIR_ERR_CLOSED, _UNREACHABLE.
int weir_sub_say(struct weir_sub *sub, const char *bytes, size_t len);
// `delay_ms` 0: none.
int weir_sub_nak(struct weir_sub *sub, uint64_t sequence, int64_t delay_ms, bool count);

// Drops the delivering thread's reference. The message is NULL, or gives its memory to be used again.
struct weir_msg *weir_msg_drop(struct weir_msg *msg);
// Counts a message as finished, once.
void weir_msg_finish(struct weir_msg *msg);
int weir_msg_send_ack(struct weir_msg *msg);
