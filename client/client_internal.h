// SPDX-License-Identifier: Apache-2.0
// What the files of a client share: client.c makes and ends it, link.c is its connection, keeper.c its thread, publish.c its publishes; sub.c
// has its subscriptions.
//
// Locks, from the outside in; none is held while a callback runs, but `ending`:
//   send    what decides the order of asynchronous publishes on the wire
//   mutex   everything marked (m)
//   ending  is held while a weir_published_fn runs, so that they run one at a time; never taken with one of the others held, but the others may
//           be taken within it
// Calls into libnats that wait for the network are made without `mutex`.
//
// References: the handle, each of our libnats subscriptions, the closed-callback of the connection, each weir_sub. Whoever drops the last one
// frees the client, on whatever thread that is.
#pragma once

#include "client/handover.h"
#include "client/inflight.h"
#include "client/options.h"
#include "client/request.h"

#include <pthread.h>
#include <stdatomic.h>

enum weir_client_state { WEIR_CLIENT_OPEN, WEIR_CLIENT_LOST, WEIR_CLIENT_CLOSED };

// What is said about messages while there is no connection.
struct weir_client_saying {
    struct weir_client_saying *next;
    char *subject; // in the same memory
    size_t len;
    char bytes[];
};

enum { WEIR_CLIENT_READ_ACKS = 128, WEIR_CLIENT_RANDOM_BYTES = 13 }; // 12 letters: 71 bits

struct weir_client {
    atomic_int references;
    struct weir_client_options options; // owned texts
    natsConnection *nc;                 // owned
    struct weir_request_subjects subjects;
    char connection_id[WEIR_CLIENT_RANDOM_BYTES];
    char inbox[48];                     // what all our inboxes begin with
    char heartbeat_inbox[64];           // for heartbeats, and the answers to pings
    char ack_inbox[64];                 // where asynchronous publishes are acknowledged
    char ids[WEIR_CLIENT_RANDOM_BYTES]; // what begins the ids that we make up
    size_t server;                      // its index in a fleet
    natsSubscription *control;          // heartbeats, answers to pings
    natsSubscription *acks;             // of asynchronous publishes; NULL until the first one (send)
    atomic_uint_fast64_t made_numbers;  // for ids
    atomic_uint_fast64_t made_inboxes;

    pthread_cond_t changed; // of anything below
    pthread_cond_t
        room; // for more in flight; apart, because it is signalled often and only those who wait for room care

    enum weir_client_state state; // (m)
    uint64_t link_events;         // (m) connection broken, mended, broken …: it is there while this is even
    uint64_t link_events_told;    // (m) to on_event
    uint64_t sent_events;         // (m) (send) link_events at which everything in flight had been sent
    atomic_uint_fast64_t ready;   // written by (m): link_events + 1 while a publish may be sent at once; else 0
    char why[256];      // (m) the latest reason for a change of the above, or what the server complained about
    char lost_why[256]; // (m) not "": the server has given us up

    // What the threads that publish write is not on a cache line with what that for acknowledgements does.
    char gap[WEIR_HANDOVER_LINE_BYTES];
    pthread_mutex_t send;
    uint64_t made_small;        // (send) as made_numbers, of small asynchronous publishes
    atomic_size_t made;         // written by (send): asynchronous publishes that were handed over
    size_t room_until;          // (send) `made` may become so many before `taken` has to be looked at
    int64_t next_deadline_ms;   // of a publish, not later than the earliest: read by (m) or (send), written by both
    struct weir_handover fresh; // in by (send), out by (m): on their way to `inflight`

    pthread_mutex_t mutex;
    pthread_mutex_t ending;
    struct weir_inflight inflight; // (m)
    atomic_size_t taken;           // written by (m): those that were taken out of `inflight`
    atomic_size_t ended;           // and that were called back
    size_t room_waiters;           // (m) threads that wait for fewer in flight
    atomic_int flushers;           // threads in weir_client_flush()
    size_t read_acks_count;
    natsMsg *read_acks[WEIR_CLIENT_READ_ACKS]; // by the thread of `acks`: to be destroyed together
    struct weir_handover spent;                // in by (ending), out by (send): to be used again

    struct weir_client_saying *sayings, **sayings_end; // (m) to ack inboxes, for when the connection is back
    size_t saying_bytes;                               // (m) of them

    int64_t next_ping_ms; // (m)
    uint32_t pings_out;   // (m)
    bool ping_asked;      // (m) for one that is not counted
    int64_t heard_ms;     // (m) when the streaming server answered last

    pthread_t keeper;
    bool keeper_runs;      // (m) to be joined
    struct weir_sub *subs; // (m) list
};

int64_t weir_client_now_ms(void);
// So much later; INT64_MAX, for ever, if that is beyond all numbers. Less than 0 counts as 0.
int64_t weir_client_deadline_ms(int64_t timeout_ms);
static inline bool weir_client_link_up(const struct weir_client *client)
{
    return client->link_events % 2 == 0;
}

void weir_client_ref(struct weir_client *client);
void weir_client_unref(struct weir_client *client);

// Waits for `changed`, at most until then (monotonic). The mutex is held.
void weir_client_wait(struct weir_client *client, int64_t until_ms);
void weir_client_wait_for_room(struct weir_client *client, int64_t until_ms);

// To be called when what `ready` depends on has changed. The mutex is held.
void weir_client_set_ready(struct weir_client *client);

// WEIR_ERR_CLOSED or _LOST, or 0 while it is open. The mutex is held.
int weir_client_check(const struct weir_client *client, struct weir_error *ret_error);

// As weir_client_free(), but without waiting for handlers.
void weir_client_abandon(struct weir_client *client);

// Closes the connection and ends all publishes with `result`; the state is already not OPEN.
void weir_client_shut(struct weir_client *client, int result);

// link.c: connects; client->nc is there then.
int weir_client_connect(struct weir_client *client, struct weir_error *ret_error) WEIR_MUST_USE;
// A libnats subscription that holds a reference to the client until its last callback has returned.
int weir_client_listen(struct weir_client *client, const char *subject, natsMsgHandler handler,
                       natsSubscription **ret_sub, struct weir_error *ret_error) WEIR_MUST_USE;

// keeper.c
int weir_client_start_keeper(struct weir_client *client, struct weir_error *ret_error) WEIR_MUST_USE;
// Asks the streaming server for a sign of life now, beside the pings that are counted; and when it gave one last (monotonic).
void weir_client_ping_now(struct weir_client *client);
int64_t weir_client_heard_ms(struct weir_client *client);

// Keeps what could not be said until it can be; WEIR_ERR_UNREACHABLE: more than 8 MiB are kept already. _CLOSED, _LOST, _MEMORY.
int weir_client_say_later(struct weir_client *client, const char *subject, const char *bytes, size_t len) WEIR_MUST_USE;
void weir_client_free_sayings(struct weir_client *client);

// publish.c
struct weir_client_try {
    const char *channel;
    struct weir_bytes data, id, reply;
    int64_t deadline_ms;
    bool wait; // for a connection, or for room; else WEIR_ERR_UNREACHABLE, _LIMIT
};
// A number for an id that nobody else of this client has. Asynchronous publishes that are small have the even ones.
uint64_t weir_client_number(struct weir_client *client);
// The id of a number: WEIR_CLIENT_RANDOM_BYTES - 1 letters that nobody else has, and the number. It is somewhere in `memory`, and not ended by a NUL.
enum { WEIR_CLIENT_ID_BYTES = 32 };
struct weir_bytes weir_client_make_id(const char *letters, uint64_t number, char memory[WEIR_CLIENT_ID_BYTES]);
// What is sent; `id.len` 0: an id is made, in `memory`, of the number.
struct weir_envelope_publish weir_client_envelope(const struct weir_client *client,
                                                  const struct weir_client_try *publish, uint64_t number,
                                                  char memory[WEIR_CLIENT_ID_BYTES]);
// One publish, everything checked before.
int weir_client_try_publish(struct weir_client *client, const struct weir_client_try *publish,
                            struct weir_error *ret_error) WEIR_MUST_USE;
// publish_async.c
int weir_client_try_publish_async(struct weir_client *client, const struct weir_client_try *publish,
                                  weir_published_fn *on_published, void *closure,
                                  struct weir_error *ret_error) WEIR_MUST_USE;
// Those whose deadline is not after `now_ms` (INT64_MAX: all), taken out, chained by `next`, for weir_client_end_publishes(). Neither `send` nor the
// mutex is held.
struct weir_inflight_entry *weir_client_take_expired(struct weir_client *client, int64_t now_ms);
// Calls back for them, and lets go of them.
void weir_client_end_publishes(struct weir_client *client, struct weir_inflight_entry *entries, int result,
                               const char *why);
// Sends what is in flight and was not sent over the connection that is there now.
void weir_client_send_again(struct weir_client *client);
// Frees what is kept to be used again, or to be freed together. No acknowledgement can come any more.
void weir_client_free_spares(struct weir_client *client);
// The client or fleet whose weir_published_fn this thread is in, or NULL.
const void *weir_client_callback_of_thread(void);
void weir_client_set_callback_of_thread(const void *handle);
