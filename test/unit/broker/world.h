// SPDX-License-Identifier: Apache-2.0
// A broker and its clients in memory: what a client sends is cut into pieces at will, what it receives is compared as
// text, what it takes per write is limited at will. Time stands still unless a test moves it. Used by the tests of
// broker/, the fuzz target and the benchmark.
#pragma once

#include "base/buffer.h"
#include "broker/broker.h"

struct world;

struct peer {
    struct net_conn conn; // first
    struct world *world;
    void *context; // the broker's; NULL: refused, or gone
    struct buffer received;
    size_t takes; // bytes accepted until the test says more; SIZE_MAX: all
    bool starved; // a write took less than offered: owes on_writable
    bool paused;
    bool shaking;         // net_start_tls() was called; owes on_secure
    bool closing;         // net_close() was called; on_close is due
    bool closed;          // on_close was called
    struct buffer unread; // sent while paused
    uint64_t writes;      // calls
    bool discard;         // count received bytes only
    uint64_t received_bytes;
    const char *forwarded_ip; // what a proxy says; NULL: there is none
};

#define WORLD_PEERS_MAX 128

struct world {
    struct broker *broker;
    const struct net_handler *handler;
    struct moment now;
    struct peer *peers[WORLD_PEERS_MAX];
    size_t peer_count;
    size_t cut; // bytes per on_data; 0: uncut
};

void world_init(struct world *world, const struct broker_options *options);
// Closes what is open and frees everything, peers included.
void world_deinit(struct world *world);
// broker_accounts_replace() with these and the two that always are.
int world_accounts(struct broker *broker, const struct bytes *names, uint32_t count);
// Ends turns until the broker has nothing to do, closes what asked for it.
void world_turn(struct world *world);
void world_advance(struct world *world, uint64_t ms);

// Connects without ending the turn.
struct peer *peer_arrive(struct world *world);
// The handshake that net_start_tls() began ends.
void peer_secure(struct peer *peer, const struct net_tls_info *info);
// Sees the INFO and drops it. NULL: refused without a word.
struct peer *peer_open(struct world *world);
// The same, then CONNECT with these options and verbose off; nothing is left to expect.
struct peer *peer_connect(struct world *world, const char *json_fields);
// One turn with these bytes (several on_data if the world cuts).
void peer_say(struct peer *peer, const char *text);
void peer_say_bytes(struct peer *peer, struct bytes bytes);
// Without ending the turn.
void peer_give_bytes(struct peer *peer, struct bytes bytes);
// The peer goes away.
void peer_close(struct peer *peer);
// Takes `n` more bytes; tells the broker if it was waiting, and ends a turn.
void peer_take(struct peer *peer, size_t n);
// Fails the test unless exactly this was received since the last time.
void peer_expect_at(struct peer *peer, const char *text, const char *file, int line);
#define peer_expect(peer, text) peer_expect_at(peer, text, __FILE__, __LINE__)
void peer_forget(struct peer *peer);
