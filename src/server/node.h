// SPDX-License-Identifier: Apache-2.0
// A node: everything one server is, put together. The composition root of the pure layers; it owns the broker, monitoring and
// storage, and knows the order in which they take their turns. `weir serve` runs it on the machine, the simulator in memory.
//
// One thread, but for the other workers' turns (worker.h). Life:
//
//   node_start ──► (node_turn_begin, callbacks, node_turn_end)* ──► node_shutdown ──► turns until node_is_quiet ──► node_stop
//
// node_start() returns when everything is recovered: whoever listens then serves. Callbacks of connections and of disk
// requests come only within a turn.
#pragma once

#include "env/clock.h"
#include "env/disk.h"
#include "env/log.h"
#include "env/net.h"
#include "env/process.h"
#include "env/random.h"
#include "monitor/monitor.h"
#include "server/options.h"
#include "server/websocket_config.h"

struct node;
struct auth_config;
struct crypto;
struct offload;
struct store_encryption;
struct worker;

// Of a server id, with its NUL: 56 characters, the length of a public nkey, whose first letter N means "server".
#define NODE_ID_SIZE 57

// A new one.
void node_make_id(const struct random_source *random, char ret_id[NODE_ID_SIZE]);

// All borrowed for the node's life.
struct node_env {
    struct disk *disk;                         // the data directory, locked; NULL with a memory store
    const struct random_source *random;        // used in node_start() only
    const struct process_source *process;      // may be NULL
    const struct logger *logger;               // may be NULL; any thread may write
    struct auth_config *auth;                  // whom to let in; used in node_start() only; NULL: everybody
    const struct crypto *crypto;               // needed when an auth_config has nkeys or password hashes
    const struct store_encryption *encryption; // used in node_start() only; NULL: none
    struct offload *offload;                   // needed when one has password hashes: worker 0's
    struct offload *const *offloads;           // the same, by worker, for the others; borrowed in node_start() only
    const char *server_id;                     // of node_make_id(); copied; NULL: the node makes one
    uint16_t port;                             // where clients will connect
    const struct websocket_config *websocket;  // NULL: no websockets; needs `crypto`
    uint16_t websocket_port;
    uint16_t http_port;  // where monitoring will be; 0: nowhere
    uint16_t https_port; // or there
    // For -ns (options.nats.url), with one worker. Nobody can connect to us then but monitoring.
    struct net_dialer *dialer;
    const uint8_t *nkey_seed; // NULL: none
    void (*sign)(const uint8_t *seed, struct bytes message, uint8_t *ret_key,
                 uint8_t *ret_signature); // uplink_options.sign
    void (*on_rival)(void *owner);        // uplink_options.on_rival: the caller stops
    void *rival_owner;
    // monitor_options.reload
    int (*reload)(void *owner, char ret_message[MONITOR_RELOAD_MESSAGE_SIZE]);
    void *reload_owner;
    // How many workers; 0 or 1: the node is alone, and nobody is ever woken. worker_options.wake.
    uint32_t worker_count;
    void (*wake)(void *owner, uint32_t worker);
    void *wake_owner;
};

// The options' strings are borrowed for life. Errors of store_open() and ERR_INVALID, each logged with what to do.
int node_start(const struct options *options, const struct node_env *env, struct moment now,
               struct node **ret_node) MUST_USE;

// What listeners hand connections to.
const struct net_handler *node_client_handler(struct node *node);
const struct net_handler *node_monitor_handler(struct node *node);

// The others take turns of their own, on threads of their own or in whatever order the caller likes. Worker 0 is the node's: its
// turns are the node's.
struct worker *node_worker(struct node *node, uint32_t index);
const struct net_handler *node_worker_handler(struct node *node, uint32_t index);
const struct net_handler *node_worker_websocket_handler(struct node *node, uint32_t index);
// For whoever accepts, within a turn of the node: the worker that is to have the next connection, which counts it. 0 when there
// are too many already: there it is refused.
uint32_t node_place_connection(struct node *node);

void node_turn_begin(struct node *node, struct moment now);
// True: something is left, take the next turn at once.
bool node_turn_end(struct node *node);
// Monotonic ms at which a turn is needed though nothing happens; UINT64_MAX: none.
uint64_t node_next_deadline_ms(const struct node *node);

// Within a turn: limits, pings and deadlines of these options hold from now on, for connected clients too (CO-X02), what channels may
// hold, for those that are there too, and what is asked of TLS for those who come. Nothing else of them is looked at, nothing kept. Returns how many connections were over the new limit and
// are closed.
uint32_t node_reload(struct node *node, const struct options *options);
// Within a turn: whom to let in from now on, and who may stay; broker_auth_replace().
int node_auth_replace(struct node *node, struct auth_config *config) MUST_USE;
// Within a turn: clients shall go elsewhere (CO-P17). They are told, then closed by and by, as the options of the start say; storage
// and monitoring serve on until node_shutdown(), which is the caller's to call when no client is left.
void node_lame_duck(struct node *node);
bool node_has_clients(const struct node *node);

// Orderly stop, within a turn: no new connections and no new work; what was taken is made durable and answered, then every
// connection gets what is queued for it and is closed.
void node_shutdown(struct node *node);
// All that node_shutdown() waits for has happened, but for connections that are slow to take their rest.
bool node_is_quiet(const struct node *node);
// Closes storage and frees everything. All connections must be gone, the threads of other workers ended, and the offload done.
void node_stop(struct node *node);

// 56 characters, as clients see it.
const char *node_server_id(const struct node *node);
