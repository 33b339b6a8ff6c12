// SPDX-License-Identifier: Apache-2.0
// What the files of a fleet share: fleet.c makes and ends it, fleet_server.c has the thread of each server, fleet_sub.c the subscriptions that are to be
// everywhere, fleet_publish.c the publishes that may go anywhere.
//
// One lock, the fleet's; calls to a client are made without it. Whoever uses a client or a subscription of a server takes a reference to it under
// the lock, because the thread of that server replaces them when the server has forgotten us.
#pragma once

#include "client/sub_internal.h"

enum { WEIR_FLEET_SERVERS_MAX = 64, WEIR_FLEET_WHY_BYTES = 256 };

struct weir_fleet_server {
    struct weir_fleet *fleet;
    size_t index;
    char *url;   // owned
    char *shown; // owned: without user and password
    uint64_t hash;
    pthread_t thread;
    bool thread_runs;
    // All of the lock:
    struct weir_client *client; // the thread's; NULL while there is none
    enum weir_server_state state, told_state;
    bool lost; // the client is of no use any more
    bool drained;
    bool tell_why; // `why` has something that on_event is to hear though the state is the same
    int64_t silent_since_ms;
    char why[WEIR_FLEET_WHY_BYTES]; // of the state
};

// Where a subscription is, at one server.
enum weir_fleet_place_state {
    WEIR_FLEET_ABSENT,   // to be subscribed when it can be
    WEIR_FLEET_BUSY,     // its server's thread is asking the server
    WEIR_FLEET_REFUSED,  // the server said no; tried again now and then
    WEIR_FLEET_PRESENT,  // sub is there
    WEIR_FLEET_FINISHED, // nothing left to do here
};

struct weir_fleet_place {
    enum weir_fleet_place_state state;
    struct weir_sub *sub; // PRESENT, or to be ended; only the server's thread lets go of it
    bool deaf;            // its handler is not called any more
    bool asked;           // the server was asked for it and did not refuse: it may have it
    int64_t retry_ms;     // REFUSED, or ABSENT after a failure: not before
    int code;             // why it was refused
    char why[WEIR_FLEET_WHY_BYTES];
};

enum weir_fleet_wish { WEIR_FLEET_SUBSCRIBED, WEIR_FLEET_CLOSED, WEIR_FLEET_DELETED };

struct weir_fleet_sub {
    struct weir_fleet *fleet;
    struct weir_fleet_sub *next;
    char *channel;
    struct weir_sub_options options; // owned texts
    weir_message_fn *on_message;
    void *closure;
    enum weir_fleet_wish wish;
    bool stopped;
    bool freed;   // the handle is gone; it is kept until every server was told
    size_t alive; // subscriptions at servers whose handler may run, those of clients that were given up included
    struct weir_fleet_place places[WEIR_FLEET_SERVERS_MAX];
};

// What came of the tries of one publish.
struct weir_fleet_round {
    uint64_t tried;                            // servers, as bits, since the last pause
    uint64_t refused;                          // for good
    uint64_t uncertain;                        // may have stored it
    signed char codes[WEIR_FLEET_SERVERS_MAX]; // of the last try at each
    char *refusal;                             // owned: what the last of `refused` said, or NULL
};

struct weir_fleet_publish;

struct weir_fleet {
    struct weir_client_options options; // of the clients; owned texts
    int64_t try_timeout_ms;
    weir_fleet_event_fn *on_event;
    void *closure;
    size_t count;
    struct weir_fleet_server servers[WEIR_FLEET_SERVERS_MAX];
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool closing;
    uint64_t random;
    struct weir_fleet_sub *subs;
    char ids[WEIR_CLIENT_RANDOM_BYTES];
    atomic_uint_fast64_t made_ids;
    // Asynchronous publishes: all in order, and among them those that wait for a server to come back.
    struct weir_fleet_publish *first, *last;
    size_t publishes;
    uint64_t serials;
    struct weir_fleet_publish *spares; // list, by `next`, of small ones to be used again
    size_t spares_count;
    pthread_cond_t ended; // of publishes; apart, because it is signalled often and only those who wait for it care
    size_t room_waiters;  // who wait for room, and are told when there is some, not for each place
    size_t end_waiters;   // who are told of each one that ends
    pthread_t retrier;
    bool retrier_runs;
};

// Waits for `changed`, at most until then. The lock is held.
void weir_fleet_pause(struct weir_fleet *fleet, int64_t until_ms);
// The same for `ended`.
void weir_fleet_pause_for_end(struct weir_fleet *fleet, int64_t until_ms);
// Why nothing came of it, server by server. The lock is held. `round` may be NULL.
void weir_fleet_describe(const struct weir_fleet *fleet, const struct weir_fleet_round *round, char *to, size_t size);

// fleet_server.c
int weir_fleet_server_start(struct weir_fleet_server *server);
// The lock is held.
void weir_fleet_server_set_state(struct weir_fleet_server *server, enum weir_server_state state, const char *why);

// fleet_sub.c: what is to be done at a server whose client is there. The lock is held, and let go of meanwhile. Returns true if it did something, else
// *ret_next_ms may be made earlier.
bool weir_fleet_sub_settle(struct weir_fleet_server *server, int64_t *ret_next_ms);
// The server's client is gone, and its subscriptions with it. The lock is held.
void weir_fleet_sub_forget(struct weir_fleet_server *server);
void weir_fleet_sub_destroy(struct weir_fleet_sub *sub);
// Until no handler runs any more; all clients are gone.
void weir_fleet_sub_wait_all(struct weir_fleet *fleet);

// fleet_publish.c
int weir_fleet_publish_start_retrier(struct weir_fleet *fleet);
// Ends all that are left with WEIR_ERR_CLOSED; the servers' threads have ended.
void weir_fleet_publish_end_all(struct weir_fleet *fleet);
