// SPDX-License-Identifier: Apache-2.0
#include "os/tcp_shares.h"

#include <arpa/inet.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/must.h"

#define NETWORK_BYTES 8 // of an IPv6 address
#define SHARES_MAX    (1 << 30)

struct tcp_share {
    size_t count;        // let in
    struct list waiting; // links of those who are not; empty while there is room
};

void tcp_shares_init(struct tcp_shares *shares, size_t max)
{
    must(max > 0);
    shares->max = max;
    map_u64_init(&shares->shares, SHARES_MAX);
}

void tcp_shares_deinit(struct tcp_shares *shares)
{
    must(map_u64_count(&shares->shares) == 0);
    map_u64_deinit(&shares->shares);
}

uint64_t tcp_shares_address(const struct net_peer *peer)
{
    struct in6_addr address;
    if (inet_pton(AF_INET6, peer->ip, &address) == 1)
        return hash_bytes(bytes_make(&address, NETWORK_BYTES), 0);
    return hash_bytes(bytes_from_string(peer->ip), 0);
}

bool tcp_shares_enter(struct tcp_shares *shares, uint64_t address, struct list *link)
{
    struct tcp_share *share = map_u64_find(&shares->shares, address);
    if (!share) {
        share = mem_alloc_zero(sizeof(*share));
        list_init(&share->waiting);
        must(map_u64_add(&shares->shares, address, share) == 0);
    }
    if (share->count == shares->max) {
        list_push_back(&share->waiting, link);
        return false;
    }
    share->count++;
    return true;
}

struct list *tcp_shares_leave(struct tcp_shares *shares, uint64_t address)
{
    struct tcp_share *share = map_u64_find(&shares->shares, address);
    must(share && share->count > 0);
    struct list *next = list_pop_front(&share->waiting);
    if (next)
        return next;
    if (--share->count == 0) {
        must(map_u64_remove(&shares->shares, address) == share);
        mem_free(share);
    }
    return NULL;
}
