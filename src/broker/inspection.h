// SPDX-License-Identifier: Apache-2.0
// What monitoring lists: connections, open and closed, their subscriptions, and accounts. An inspection is a copy: it is filled on
// the turn of the worker that owns a broker, one worker after the other, and read anywhere, later.
//
// Everything in it lies in its arena. It is bounded: what does not fit is counted (`total`) and left out.
#pragma once

#include "base/arena.h"
#include "broker/broker.h"

enum inspection_state { INSPECTION_OPEN = 1, INSPECTION_CLOSED = 2, INSPECTION_ANY = 3 };
enum inspection_subs { INSPECTION_SUBS_NONE, INSPECTION_SUBS_NAMES, INSPECTION_SUBS_DETAIL };

// What is asked for. Strings are borrowed until the inspection is filled; len 0: any.
struct inspection_query {
    enum inspection_state state;
    uint64_t cid; // only this connection; 0: all
    struct bytes account;
    struct bytes user;
    struct bytes filter_subject;    // only connections with a subscription that this subject, or pattern, overlaps
    enum inspection_subs with_subs; // subscriptions of each connection
    bool with_certificates;         // of each connection that is open
};

struct inspection_subscription {
    struct bytes account;
    struct bytes subject;
    struct bytes queue; // len 0: none
    struct bytes sid;
    uint64_t delivered;
    uint64_t max; // 0: unlimited
    uint64_t cid;
};

struct inspection_connection {
    uint64_t cid;
    const char *type; // "nats", "websocket"
    char ip[46];
    uint16_t port;
    uint64_t start_ns, last_activity_ns; // wall clock
    uint64_t stop_ns;                    // wall clock; 0: open
    const char *reason;                  // of the closing, as nats-server names it; NULL: open
    uint64_t rtt_ns;                     // 0: not measured yet
    uint64_t pending_bytes;
    uint64_t in_msgs, out_msgs, in_bytes, out_bytes;
    uint32_t subscription_count;
    struct bytes name, lang, version;              // as CONNECT said
    struct bytes user, account;                    // user: len 0: nobody in particular
    char tls_version[8];                           // "1.3"; empty: in the clear
    char tls_cipher_suite[48];                     // its IANA name
    bool tls_first;                                // the handshake came before INFO
    struct net_certificate *certificates;          // with_certificates: what the client showed; NULL: nothing
    size_t certificate_count;                      // of these
    struct inspection_subscription *subscriptions; // with_subs; NULL: none
    uint32_t listed_count;                         // of `subscriptions`; fewer than there are when they do not fit
    struct inspection_connection *next;            // list link
};

struct inspection {
    struct arena arena;
    struct inspection_connection *connections; // newest first per worker
    uint64_t connection_count;                 // of the list
    uint64_t total;                            // that the query means
};

// max_bytes: of all that is copied.
void inspection_init(struct inspection *inspection, size_t max_bytes);
void inspection_deinit(struct inspection *inspection);

// Adds the connections of this broker that the query means.
void inspection_add_connections(struct inspection *inspection, struct broker *broker,
                                const struct inspection_query *query);

// Of all subscriptions of an account (len 0: of all accounts): what /subsz shows.
struct inspection_sublist {
    uint64_t subscriptions, cache, inserts, removes, matches, cache_hits;
    uint64_t fanout_max, fanout_total;    // of the cached lists
    uint64_t total;                       // subscriptions that `test` means
    struct inspection_subscription *list; // the first of them
    uint64_t list_count;
    uint64_t list_cap;
};

// Adds the counters, and up to list_max subscriptions behind those in the list (list_max in total; the caller keeps the
// same sublist for all workers). `test`: only those that a message to this literal subject would reach; len 0: all.
void inspection_add_subscriptions(struct inspection *inspection, struct inspection_sublist *sublist,
                                  struct broker *broker, struct bytes account, struct bytes test, uint64_t list_max);
