// SPDX-License-Identifier: Apache-2.0
// The same subscription on several servers that know nothing of each other, for `weir work`. A server that is away is tried again for
// ever; when it is back it goes on as if nothing had been, if it still knows us.
//
//              a try begins            it stands
//   AWAY ◄───────────────── OPENING ──────────────► UP ──── fleet_leave() ───► LEAVING ──── it has heard, or is silent ───► LEFT
//     │   ◄───────────────── it fails                │ lost
//     └◄─────────────────────────────────────────────┘
//
// One thread uses it. Looking up names, TLS handshakes and servers that hang would hold it up, so a try runs in a thread of its own, which
// has the session to itself until it has ended.
//
// A server gives messages to a registration. While that lasts, over however many connections, it takes our word on them; the message that
// came to an earlier one is somebody else's by now.
#pragma once

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "cmd/server_list.h"
#include "cmd/stan_session.h"

enum fleet_state { FLEET_AWAY, FLEET_OPENING, FLEET_UP, FLEET_LEAVING, FLEET_LEFT };

// As it came. Owned by the fleet until it is taken, then by the taker, who frees it with mem_free().
struct fleet_message {
    struct list link;
    struct fleet_server *server; // borrowed
    uint64_t registration;       // to which it was delivered
    uint64_t sequence, time_ns;
    uint32_t redelivery_count;
    struct bytes headers, data; // within its memory
};

struct fleet_server {
    struct fleet *fleet; // borrowed
    const char *name;    // host:port; borrowed from the list
    enum fleet_state state;
    uint64_t registration;        // 0: never registered
    char error[CLIENT_ERROR_MAX]; // why it is away
    uint64_t losses;              // of an established connection

    // Its own; while OPENING the thread's.
    struct client_options connection;
    struct stan_session session;
    bool has_session; // registered, and to be dropped
    struct stan_session_subscription subscription;
    char ack_inbox[STAN_SESSION_TEXT_SIZE];
    struct list arrived;
    pthread_t thread;
    atomic_bool is_done;  // the try has ended
    atomic_bool gives_up; // requests do not wait any longer
    int result;           // of the try
    uint64_t next_ns;     // of the next one
    uint32_t failures;    // in a row
    uint64_t leave_ns;    // when a LEAVING one has LEFT at the latest
};

struct fleet_config {
    const struct client_options *connection; // .server is not used; borrowed until fleet_close()
    const struct server_list *list;          // borrowed until fleet_close()
    const char *cluster, *client_id, *channel, *group, *durable;
    uint32_t max_in_flight, ack_wait_s; // of each server
};

struct fleet {
    struct fleet_config config;
    struct fleet_server *servers; // owned
    size_t count;
    size_t turn; // whose messages are taken next
    int wake_fd; // a try has ended
};

enum { FLEET_FDS_MAX = SERVER_LIST_MAX + 1 };

// Nothing is connected yet. ERR_IO: no descriptor to be had.
int fleet_init(struct fleet *fleet, const struct fleet_config *config) MUST_USE;
// Leaves all that are left, and waits until they have heard it, for a second at most. False: a try still runs, and has the memory; the process
// has to end without cleaning up.
bool fleet_close(struct fleet *fleet) MUST_USE;

// What to poll() for; then fleet_step() with the same array: connects, reads, writes. Returns how many descriptors there are.
size_t fleet_poll(const struct fleet *fleet, struct pollfd fds[FLEET_FDS_MAX]);
void fleet_step(struct fleet *fleet, const struct pollfd *fds, uint64_t now_ns);
// The next message of a server that is UP; NULL: none.
struct fleet_message *fleet_take(struct fleet *fleet);
size_t fleet_up_count(const struct fleet *fleet);

// About a message that came: it is done, or words of stan/verdict.h. ERR_AGAIN: the server is away, and may take it later. ERR_CLOSED: it
// is not ours any more.
int fleet_acknowledge(const struct fleet_message *message) MUST_USE;
int fleet_say(const struct fleet_message *message, struct bytes words) MUST_USE;
// Gives back everything that is ours there, without counting it as an attempt, and says goodbye, in one go: the server does not give it to us again. It does not
// come back. Waits for nothing, so that a server that hangs holds up no other; fleet_step() sees to the rest.
void fleet_leave(struct fleet_server *server);
