// SPDX-License-Identifier: Apache-2.0
// A network in memory: env/net towards the node, callbacks towards simulated clients. Bytes take time, arrive in pieces, stop
// for a while; socket buffers are small; connections are reset, or their peer falls silent without a word.
//
//   client: sim_link_send ──► [to_node: bytes, ready at …] ──► handler.on_data      (sim_net_turn, within a turn of the node)
//   node:   net_write     ──► [to_client: at most buffer]  ──► peer.on_data         (sim_net_deliver)
//
// A link is freed when both sides are done with it: a client must not use one after peer.on_close, or after it closed it.
#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "base/prng.h"
#include "env/net.h"

struct sim_net;

struct sim_net_faults {
    bool cut;              // bytes arrive in pieces of any size
    uint64_t delay_max_ns; // one way; 0: at once
    size_t buffer_bytes;   // that the kernel takes from the node before it says "full"; SIZE_MAX: no limit
};

// When the bytes that a client receives were written by the node, and since when they may have been waiting in its queue.
struct sim_stamp {
    uint64_t earliest_ns;
    uint64_t written_ns;
};

// A client's end of a link. Called from sim_net_deliver() only.
struct sim_peer {
    void *owner;
    void (*on_data)(void *owner, struct bytes data, const struct sim_stamp *stamp);
    void (*on_close)(void *owner);
};

// Bytes on their way, in runs that were written together.
struct sim_run {
    size_t len; // bytes left of it
    uint64_t ready_ns;
    struct sim_stamp stamp; // to_client only
};

struct sim_pipe {
    struct buffer bytes;
    struct sim_run *runs; // owned
    size_t run_head, run_count, run_capacity;
    uint64_t last_ready_ns; // bytes never overtake
};

enum sim_tls { SIM_TLS_NONE, SIM_TLS_HANDSHAKE, SIM_TLS_SECURE };

struct sim_link {
    struct net_conn conn; // first
    struct sim_net *net;
    struct list link;     // net.links
    struct sim_peer peer; // owner NULL: the client is gone
    void *context;        // the node's; NULL: not accepted yet, or gone
    uint64_t number;      // of the link, for traces
    struct sim_pipe to_node, to_client;
    uint64_t accept_ns;       // when the node learns of it
    uint64_t frozen_until_ns; // nothing moves before
    uint64_t sent_bytes;      // by the client
    uint64_t given_bytes;     // to the node
    uint64_t consumed_bytes;  // of these, not held back by a paused node
    bool blocked;             // the node's last write took less than offered
    uint64_t blocked_ns;      // since when
    bool paused;              // by the node
    bool node_closing;        // net_close() was called
    bool peer_closed;         // the client has closed in good order
    bool reset;               // both sides are to learn that it is broken
    bool silent;              // the client is gone without a word
    enum sim_tls tls;
    struct buffer returned; // what net_start_tls() gave back
};

struct sim_net {
    struct prng *prng; // borrowed
    struct sim_net_faults faults;
    struct list links;
    uint64_t link_count; // ever
    uint64_t now_ns;     // of sim_net_turn() or sim_net_deliver()
    bool up;             // somebody listens
    // Told just before handler.on_close(): the node learns that this link is gone. May be NULL.
    void (*on_gone)(void *owner, struct sim_link *link);
    void *owner;
};

void sim_net_init(struct sim_net *net, struct prng *prng, const struct sim_net_faults *faults);
// Frees all links. The node must be gone.
void sim_net_deinit(struct sim_net *net);

// A client connects. NULL: nobody listens.
struct sim_link *sim_net_connect(struct sim_net *net, const struct sim_peer *peer);
// Returns the position behind the last byte in this link's stream; compare with consumed_bytes.
uint64_t sim_link_send(struct sim_link *link, struct bytes bytes);
// The client closes in good order: what it sent still arrives.
void sim_link_close(struct sim_link *link);
// Broken for both; bytes on their way are lost. The client that calls this is not told.
void sim_link_reset(struct sim_link *link);
// The client is gone and nobody tells the node.
void sim_link_vanish(struct sim_link *link);
void sim_link_freeze(struct sim_link *link, uint64_t until_ns);

// Within a turn of the node: everything that is due goes in.
void sim_net_turn(struct sim_net *net, const struct net_handler *handler, uint64_t now_ns);
// Everything that is due goes to the clients.
void sim_net_deliver(struct sim_net *net, uint64_t now_ns);
// When something is due; UINT64_MAX: nothing.
uint64_t sim_net_next_ns(const struct sim_net *net);
// The node is dead: nobody listens any more, clients find their links reset. With a handler each connection's on_close is called
// (to tear the dead node down); it learns nothing else.
void sim_net_crash(struct sim_net *net, const struct net_handler *handler);
