// SPDX-License-Identifier: Apache-2.0
// What the files of uplink share.
//
//   uplink.c          life: states, attempts, what is due
//   uplink_server.c   the server's side: INFO to SERVING, its operations
//   uplink_client.c   the broker's side
//   uplink_servers.c  which servers there are
#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "broker/uplink.h"
#include "codec/nats_url.h"
#include "wire/parser.h"

enum uplink_state {
    UPLINK_WAITING,
    UPLINK_DIALING,
    UPLINK_GREETING,
    UPLINK_SECURING,
    UPLINK_LOGIN,
    UPLINK_PROBING,
    UPLINK_SERVING,
    UPLINK_ENDED,
};

#define UPLINK_OUT_MARK     (256 * 1024) // waiting for the server before the broker must wait
#define UPLINK_LINE_MAX     (64 * 1024)  // of a control line
#define UPLINK_INFO_MAX     (256 * 1024)
#define UPLINK_STEP_MS      5000  // for each step up to SERVING
#define UPLINK_PROBE_MS     250   // ST-P01
#define UPLINK_PING_MS      30000 // between pings
#define UPLINK_PINGS_MAX    2     // unanswered
#define UPLINK_WAIT_MS      100   // after the first round of attempts
#define UPLINK_WAIT_MAX_MS  4000
#define UPLINK_OWN_SUBJECTS '$' // their first character: what is said there is for this server alone
#define UPLINK_PROBE_SID    1
#define UPLINK_INBOX_SIZE   40

struct uplink_server {
    struct nats_url url;
    char tls_name[sizeof(((struct nats_url *)0)->host)]; // the host of the URL by which it became known
    bool is_configured;                                  // else a server has named it
};

// A subject that inlets want.
struct uplink_interest {
    uint64_t sid;
    uint32_t inlets; // with this very subject
    size_t len;
    char pattern[];
};

struct uplink {
    struct uplink_options options;
    struct prng prng;
    enum uplink_state state;
    uint64_t now_ms;
    uint64_t deadline_ms; // of the state
    bool stopping;
    bool is_probed;
    bool has_rival;                 // the owner is to be told
    char told[UPLINK_MESSAGE_SIZE]; // what was logged last, so that it is said once
    char inbox[UPLINK_INBOX_SIZE];  // of the probe

    struct uplink_server *servers; // owned, UPLINK_SERVERS_MAX
    uint32_t server_count;
    uint32_t next;   // to be tried
    uint32_t tried;  // in this round
    uint32_t rounds; // without success
    struct uplink_server current;

    // The server's side.
    struct net_handler handler;
    struct net_dial dial;
    struct net_peer peer;  // whom we have reached
    struct net_conn *conn; // borrowed until on_close; NULL: there is none
    bool conn_closing;     // net_close() was called
    bool blocked;          // it took less than offered
    bool is_secure;        // it is
    bool is_known;         // what is subscribed to; SERVING
    bool headers;          // it takes them
    uint64_t max_payload;  // that it takes
    uint32_t pings;        // unanswered
    struct buffer nonce;   // of its INFO
    struct parser parser;  // of what it says
    struct buffer in;      // an unfinished operation
    struct buffer out;     // what it has not taken
    struct map interests;  // struct uplink_interest by pattern, owned
    uint64_t next_sid;
    struct inlet_follower follower;

    // The broker's side.
    struct net_conn client;           // what the broker knows
    const struct net_handler *broker; // its handler
    void *context;                    // its connection; NULL: closed
    bool client_closing;              // on_close is due
    bool client_paused;               // the broker does not read
    bool client_starved;              // conn_write() took less than offered: on_writable is due when there is room
    struct parser client_parser;      // of what the broker says
    struct buffer client_in;          // an unfinished operation of it
    struct buffer client_out;         // what it is to be given
};

// --- uplink.c -------------------------------------------------------------------------------------------------------

void uplink_enter(struct uplink *uplink, enum uplink_state state, uint64_t wait_ms);
// The attempt, or the connection, has ended: logs why, and waits for the next.
__attribute__((format(printf, 2, 3))) void uplink_lose(struct uplink *uplink, const char *format, ...);
// A line about the server that is being talked to, unless it was the last one, too.
__attribute__((format(printf, 3, 4))) void uplink_tell(struct uplink *uplink, enum log_level level, const char *format,
                                                       ...);
// Closes the connection to the server when everything has left.
void uplink_finish(struct uplink *uplink);

// --- uplink_server.c ------------------------------------------------------------------------------------------------

void uplink_server_init(struct uplink *uplink);
void uplink_server_deinit(struct uplink *uplink);
// Nothing of the connection before is left.
void uplink_server_reset(struct uplink *uplink);
// The state's time is over: PROBING, SERVING.
void uplink_server_serve(struct uplink *uplink);
void uplink_server_ping(struct uplink *uplink);
// Queues; what cannot be held ends the connection.
void uplink_server_say(struct uplink *uplink, struct bytes bytes);
// Offers what is queued.
void uplink_server_send(struct uplink *uplink);

// --- uplink_client.c ------------------------------------------------------------------------------------------------

void uplink_client_init(struct uplink *uplink);
void uplink_client_deinit(struct uplink *uplink);
// False: the broker takes no connections any more.
bool uplink_client_open(struct uplink *uplink);
// on_close will be due.
void uplink_client_close(struct uplink *uplink);
// A message for the broker; uplink_client_give() follows.
void uplink_client_add(struct uplink *uplink, const struct wire_op *op);
void uplink_client_give(struct uplink *uplink);
// What is due.
void uplink_client_turn(struct uplink *uplink);
bool uplink_client_is_busy(const struct uplink *uplink);

// --- uplink_servers.c -----------------------------------------------------------------------------------------------

int uplink_servers_init(struct uplink *uplink, char ret_message[UPLINK_MESSAGE_SIZE]) MUST_USE;
void uplink_servers_deinit(struct uplink *uplink);
// What `current` names replaces what was named before.
void uplink_servers_learn(struct uplink *uplink, struct bytes connect_urls);
// The next one becomes `current`. Returns how long to wait before it is tried, in ms.
uint64_t uplink_servers_next(struct uplink *uplink, bool was_serving);
