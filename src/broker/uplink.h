// SPDX-License-Identifier: Apache-2.0
// An uplink: NATS Streaming for the clients of a NATS server elsewhere (ST-C06 … C08). We are one client there; here we are one
// connection of our own broker, to which all those clients seem to belong:
//
//   clients ══► nats-server ══ the server's side ══► uplink ══ the broker's side ══► broker ──► inlets
//                              a client's connection,         a connection as those        (STAN)
//                              made through env/net           that are accepted
//
//   there  SUB for each inlet in `$G` whose subject does not begin with `$`, as they come and go; what arrives becomes a PUB here, with reply and headers.
//   here   SUB to everything, and no echo on either side: what the broker publishes becomes a PUB there, in order.
//
// So what holds for any connection holds for this one: runs, pausing when the log is full, the queue's limits, the write deadline,
// congestion. Who is there is not known here: broker_options.has_uplink says so to the broker, whose watches then never
// report that nobody listens: READY while connected, CONGESTED while not or while the other server is slow. A member of a
// queue group so keeps what it holds while the connection is away; what was delivered to nobody comes again after
// its ack wait; and heartbeats, which rest meanwhile (broker_is_cut_off()), decide which clients live.
//
//   WAITING ──► DIALING ──► GREETING ──► (SECURING) ──► LOGIN ──► (PROBING, the first time) ──► SERVING
//      ▲           │            │             │           │              └──► ENDED               │
//      └───────────┴────────────┴─────────────┴───────────┴─── lost, refused, too late ───────────┘
//
//   WAITING   until the next attempt: after each round over all servers longer, up to 4 s, with jitter. For ever.
//   DIALING   name and connection.
//   GREETING  for INFO.
//   SECURING  the handshake, when asked for or required.
//   LOGIN     CONNECT and PING are out; the PONG says that we are in.
//   PROBING   whether a server with our cluster id is there already (ST-P01). If so, on_rival() and
//   ENDED     nothing more, as after uplink_shutdown().
//   SERVING   subscribed there, and the broker's side is open.
//
// Pure; one thread, the broker's.
#pragma once

#include "broker/broker.h"
#include "env/crypto.h"

struct uplink;

#define UPLINK_CONFIGURED_MAX 16 // servers
#define UPLINK_SERVERS_MAX    64 // with those that they name
#define UPLINK_MESSAGE_SIZE   256
#define UPLINK_PAYLOAD_MAX    (64U * 1024 * 1024) // of a message, whatever a server allows

struct uplink_options {
    struct broker *broker;     // borrowed for life, as the rest
    struct net_dialer *dialer; // its connections may start TLS
    const char *urls;          // nats_url_parse(), several separated by commas
    const char *name;          // what the connection is called there and here
    const char *user;          // NULL: what the URL says; so for the next two
    const char *password;      // never logged
    const char *token;         // never logged
    const uint8_t *nkey_seed;  // 32 bytes; NULL: none. Instead of the others
    void (*sign)(const uint8_t *seed, struct bytes message, uint8_t ret_key[CRYPTO_ED25519_KEY_LEN],
                 uint8_t ret_signature[CRYPTO_ED25519_SIGNATURE_LEN]); // needed with nkey_seed
    bool tls;                                                          // even if neither URL nor server ask for it
    const char *tls_name;       // whom certificates must name; NULL: the host of the URL
    uint32_t max_payload;       // what the broker takes
    uint32_t max_control_line;  // the same
    uint64_t seed;              // of jitter and inboxes
    struct bytes probe_subject; // of the request that a rival would answer; len 0: none is sent
    struct bytes probe_payload;
    void (*on_rival)(void *owner); // one has. Not from within a call of the owner's but uplink_turn_begin()
    void *owner;
    const struct logger *logger; // may be NULL
};

// ERR_INVALID: the URLs cannot be read; the message says why, without secrets. The broker has has_uplink.
int uplink_new(const struct uplink_options *options, struct moment now, struct uplink **ret_uplink,
               char ret_message[UPLINK_MESSAGE_SIZE]) MUST_USE;
// Whether uplink_new() would take them.
int uplink_check(const char *urls, char ret_message[UPLINK_MESSAGE_SIZE]) MUST_USE;
// Its connection must be gone. Before the broker.
void uplink_free(struct uplink *uplink);

// After broker_turn_begin() of the same turn: what is due.
void uplink_turn_begin(struct uplink *uplink, struct moment now);
// After broker_turn_end(): take the next turn at once.
bool uplink_is_busy(const struct uplink *uplink);
// Monotonic ms at which a turn is needed though nothing happens; UINT64_MAX: none.
uint64_t uplink_next_deadline_ms(const struct uplink *uplink);
// What the broker takes from now on.
void uplink_limits_set(struct uplink *uplink, uint32_t max_payload, uint32_t max_control_line);
// No further attempts. The connection ends when the broker has closed its side and what it said has left.
void uplink_shutdown(struct uplink *uplink);
bool uplink_is_serving(const struct uplink *uplink);
// After uplink_shutdown(): nothing is left, uplink_free() may be called.
bool uplink_has_ended(const struct uplink *uplink);
