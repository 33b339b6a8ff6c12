// SPDX-License-Identifier: Apache-2.0
// The admin API, version 1 (docs/admin-api.md): requests in JSON, whoever brings them (NATS: admin_service.h; HTTP: monitor/), by a table
// of what there is (admin_requests.c). It asks for no rights: that is its callers' business.
//
// A request is worked off at the turn's end, a bounded amount of them per turn, and answered when all that it changed, and all that was
// asked before it, is durable: so answers leave in the order of the requests, but for those that have to wait for a read.
//
// Pure, one thread: that of the shard.
#pragma once

#include "broker/broker.h"
#include "env/process.h"
#include "shard/shard.h"
#include "stan/stan.h"

struct admin_api;

enum { ADMIN_BODY_MAX = 65536 }; // bytes of a request

struct admin_api_options {
    struct shard *shard; // borrowed for life, as all of this; open
    struct stan *stan;
    const char *server_id, *server_name, *version, *cluster_id, *store, *sync; // what SERVER.INFO says
    uint32_t answer_bytes;                                                     // at most, of an answer
    // Client connections of all workers. May be NULL.
    uint64_t (*connections)(void *owner);
    // Closes a connection, on whichever worker; admin_api_kicked() is called with `ask`, in here or later. May be NULL: there are none.
    void (*kick)(void *owner, uint64_t cid, uint64_t ask);
    void *owner;
    const struct process_source *process; // for the free space of the disk; may be NULL
    const char *store_dir;                // NULL: there are no files
    const struct logger *logger;
};

// Once, also from within admin_api_ask(): an HTTP status, and the answer or `{"error":{…}}`, borrowed for the call.
typedef void admin_api_done(void *owner, unsigned status, struct bytes json);

struct admin_api *admin_api_new(const struct admin_api_options *options, struct moment now);
// Whoever still waits is forgotten. Before shard_free().
void admin_api_free(struct admin_api *api);
// Refuses everything from now on; whoever waits for anything but durability is refused now. Before shard_quiesce().
void admin_api_stop(struct admin_api *api);

// `request`: "CHANNEL.LIST", as behind "$WEIR.API.V1.". Returns a number for admin_api_forget(), which is of no use once it is answered.
uint64_t admin_api_ask(struct admin_api *api, struct bytes request, struct bytes body, admin_api_done *done,
                       void *owner);
// Whoever asked is gone: what it asked for may be done, and is not answered.
void admin_api_forget(struct admin_api *api, uint64_t number);
// The answer to options.kick: there was such a connection, or there was none. Whoever asked may be gone.
void admin_api_kicked(struct admin_api *api, uint64_t ask, bool found);
// An error as a request would be answered with it: for refusals that are not ours (`not_permitted`). Appends.
void admin_api_put_error(struct buffer *to, const char *code, const char *message);

// What a subscription may know of itself: the group object, and `member`, its own. Appends; nothing if there is no such member.
void admin_api_put_subscription(struct admin_api *api, uint32_t member, struct buffer *out);

// Of the request table, for documentation and clients: the n-th name, NULL behind the last.
const char *admin_api_request_name(size_t n);
// Does this request only show? Unknown ones do not.
bool admin_api_is_view(struct bytes request);
// Does it change anything? Unknown ones do not, nor does reading a message.
bool admin_api_is_change(struct bytes request);

// Before shard_turn_end(), whose batch then has what was proposed. True: come back at once.
bool admin_api_turn_end(struct admin_api *api, struct moment now);
uint64_t admin_api_next_deadline_ms(const struct admin_api *api);
// Of its last turn.
struct moment admin_api_now(const struct admin_api *api);
