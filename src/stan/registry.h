// SPDX-License-Identifier: Apache-2.0
// The client registry: who is connected, durably (ST-B29). A machine on the shard's log:
//
//   registry_add (proposal) ──► ADDING ──apply ADD──► ACTIVE ──registry_close (proposal)──► CLOSING ──apply REMOVE──► gone
//
// A closing client is no longer found by its id, so that the same id may connect again at once; restart resumes a closing that
// a crash cut short.
//
//   offset size  client record body (RECORD_CLIENT_ADD, object = client number), after the 16-byte record header
//       16    4  protocol (0, 1)
//       20    4  ping interval, seconds
//       24    4  pings out at most
//       28    2  client id length
//       30    2  heartbeat inbox length
//       32    2  connection id length
//       34    2  zero
//       36    …  client id, heartbeat inbox, connection id
//   RECORD_CLIENT_CLOSE and RECORD_CLIENT_REMOVE have no body.
//   RECORD_IMAGE_CLIENT: 8 bytes index, 4 bytes 1 if closing, 4 bytes zero, then the body above.
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/map_u64.h"
#include "base/wheel.h"
#include "shard/shard.h"

struct stan;

struct stan_client {
    struct stan *stan;          // borrowed
    uint32_t number;            // durable id
    struct bytes id;            // in storage
    struct bytes inbox;         // heartbeats go there; in storage
    struct bytes connection_id; // in storage; len 0: protocol 0
    char *storage;              // owned
    uint32_t protocol, ping_interval_s, ping_max_out;
    uint64_t id_hash;          // seed of its messages' dedupe ids
    uint64_t add_index;        // of the proposal
    uint64_t close_index;      // of the proposal that removes it; 0: none
    bool added;                // applied
    bool closing;              // applied
    uint64_t image_index;      // recovery: as new as this entry
    struct list link;          // list link: registry.clients
    struct list subscriptions; // list head: struct subscription.of_client
    uint32_t subscription_count;
    struct list changed;    // list link: registry.changed or .imaging
    struct list adding;     // list link: registry.adding
    struct list unfinished; // list link: registry.unfinished

    struct wheel_timer heartbeat; // next one, or the answer's time-out
    uint32_t failures;            // heartbeats unanswered in a row
    bool awaiting;                // a heartbeat is out
    struct probe *probe;          // owned: another connect with this id waits for whether we live (ST-P11); NULL
    uint64_t connection;          // id of the one that it connected, subscribed or pinged on last; 0: not seen yet
    uint64_t since_ns;            // wall clock: connected; 0: before the server started
};

struct registry {
    struct shard_machine machine;
    struct stan *stan;        // borrowed
    struct map by_id;         // active and adding
    struct map by_connection; // the same, with a connection id
    struct map_u64 by_number; // all
    struct list clients;      // all, by number
    uint32_t next_number;
    uint32_t max_clients;
    struct list adding;     // proposed and not applied, in order
    struct list unfinished; // closing, but the log did not take the record that ends them yet
    struct list changed;    // since the last checkpoint began
    struct list imaging;    // still to be written to the running checkpoint
    uint32_t *gone;         // owned: numbers removed since the last checkpoint began
    size_t gone_count, gone_capacity;
    uint32_t *gone_imaging; // owned
    size_t gone_imaging_count;
};

struct registry_request {
    struct bytes id, inbox, connection_id;
    uint32_t protocol, ping_interval_s, ping_max_out;
    uint64_t connection; // see struct stan_client; not recorded
};

void registry_init(struct registry *registry, struct stan *stan, uint32_t max_clients);
void registry_deinit(struct registry *registry);

// NULL: no such client, or it is closing.
struct stan_client *registry_find(const struct registry *registry, struct bytes id);
struct stan_client *registry_find_connection(const struct registry *registry, struct bytes connection_id);
struct stan_client *registry_by_number(const struct registry *registry, uint32_t number);
// For those who come back in a later turn: the active client with the lowest number above this. NULL: none. If the one with that number
// has gone, all are looked at.
struct stan_client *registry_after(const struct registry *registry, uint32_t number);

// Proposes a client; the id must be free. ERR_LIMIT, ERR_TOO_BIG, admission errors.
int registry_add(struct registry *registry, const struct registry_request *request, struct stan_client **ret_client,
                 uint64_t *ret_index) MUST_USE;
// Proposes the end of a client and of its subscriptions; durables stay. *ret_index: when that is durable.
int registry_close(struct registry *registry, struct stan_client *client, uint64_t *ret_index) MUST_USE;
// Goes on with closings for whose end the log had no room, as far as it has now.
void registry_reap(struct registry *registry);

// stan_list_clients(), stan_save_client(), stan_restore_client().
void registry_list(const struct registry *registry, struct buffer *ret_numbers);
void registry_save(const struct registry *registry, uint32_t number, struct buffer *out);
int registry_load(struct registry *registry, const struct record *image, uint32_t *ret_number) MUST_USE;

static inline size_t registry_count(const struct registry *registry)
{
    return map_count(&registry->by_id);
}
