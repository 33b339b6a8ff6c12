// SPDX-License-Identifier: Apache-2.0
// Who may shake hands: of one address only so many at once are let in, however many wait, so that one address cannot keep all others
// waiting. A network of IPv6 (64 bits) counts as one address: whoever has one of its addresses has all.
//
// tcp_shares_enter ──► let in ──────────────────► tcp_shares_leave
//                └───► waits in line of its address ──► let in when another leaves
//
// One thread. Memory only for addresses of which somebody is in.
#pragma once

#include "base/list.h"
#include "base/map_u64.h"
#include "env/net.h"

struct tcp_shares {
    struct map_u64 shares; // owned: struct tcp_share, by address
    size_t max;            // let in of one address
};

void tcp_shares_init(struct tcp_shares *shares, size_t max);
// Everybody must have left.
void tcp_shares_deinit(struct tcp_shares *shares);

// What a peer's address counts as.
uint64_t tcp_shares_address(const struct net_peer *peer);
// True: let in. False: `link` is in line now; whoever gives up takes it out with list_remove().
bool tcp_shares_enter(struct tcp_shares *shares, uint64_t address, struct list *link);
// One that was let in is done. Returns the link of the one that is let in instead; NULL: nobody waits.
struct list *tcp_shares_leave(struct tcp_shares *shares, uint64_t address);
