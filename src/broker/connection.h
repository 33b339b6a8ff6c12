// SPDX-License-Identifier: Apache-2.0
// One client: its protocol state, the tail of an unfinished operation, and what is queued to it.
//
//             on_accept               connection_fail            everything sent, or the deadline
//     (none) ───────────► OPEN ─────────────────────► CLOSING ─────────────────────────────────► CLOSED
//                           │                            │                                           │
//                           └────────── on_close ────────┴───────────────────────────────────────────┴──► freed
//
// OPEN     operations are carried out, messages delivered.
// CLOSING  input is ignored, nothing more is delivered; what is queued (the -ERR at its end) still goes out.
// CLOSED   net_close() was called; waits for on_close.
//
// Before its first operation a connection may have to become a secure one (connection_tls.c, CO-S01):
//
//   accept ─┬─ no TLS here: INFO ─────────────────────────────────────────────────────────────────────────► SETTLED
//           ├─ INFO first ──► LEAVING ── it has left ──► HANDSHAKE ── done ───────────────────────────────► SETTLED
//           ├─ handshake first ────────────────────────► HANDSHAKE ── done, then INFO ────────────────────► SETTLED
//           ├─ auto ──► QUIET ─┬─ bytes ───────────────► HANDSHAKE ── done, then INFO ────────────────────► SETTLED
//           │                  └─ nothing came ──► as INFO first
//           └─ INFO first, and plain clients are fine ──► LOOKING ─┬─ TLS ──► HANDSHAKE ── done ──────────► SETTLED
//                                                                  └─ other bytes, or nothing in time ────► SETTLED
#pragma once

#include "auth/login.h"
#include "broker/broker_internal.h"
#include "broker/subscription_set.h"
#include "env/net.h"
#include "wire/connect.h"
#include "wire/parser.h"

enum connection_tls {
    CONNECTION_TLS_SETTLED,   // one way or the other: operations are carried out
    CONNECTION_TLS_QUIET,     // who speaks first? INFO waits
    CONNECTION_TLS_LEAVING,   // INFO is on its way in the clear; not read
    CONNECTION_TLS_LOOKING,   // INFO is out; the first byte will tell
    CONNECTION_TLS_HANDSHAKE, // between net_start_tls() and on_secure
};

// Why a connection is not read.
enum {
    CONNECTION_PAUSE_INLET = 1,    // an inlet that it feeds is overloaded
    CONNECTION_PAUSE_WINDOW = 2,   // so is another worker that it feeds
    CONNECTION_PAUSE_INTEREST = 4, // its next operation waits until all workers know what it subscribed to
    CONNECTION_PAUSE_DRAIN = 8,    // the server stops: no more operations
    CONNECTION_PAUSE_LOGIN = 16,   // its password is being compared
    CONNECTION_PAUSE_LEAVING = 32, // a lame duck closes it as soon as what it asked for may have been answered
};

// Who it is (connection_login.c, CO-S02):
//
//   AWAITED ── CONNECT, or anything else where credentials are optional ──┬──────────────► DONE
//      │                                                                  └► CHECKING ─────┘
//      └─ time over, other operations: told and closed, as from CHECKING when the password is wrong
enum connection_login {
    CONNECTION_LOGIN_DONE,
    CONNECTION_LOGIN_AWAITED,  // nothing but CONNECT is carried out
    CONNECTION_LOGIN_CHECKING, // a password hash is being computed elsewhere; not read
};

enum connection_state { CONNECTION_OPEN, CONNECTION_CLOSING, CONNECTION_CLOSED };

// Who the client says it is (CO-P02), for monitoring and the log.
struct connection_client {
    struct bytes name, lang, version; // borrowed from text; each at most CONNECTION_CLIENT_TEXT_MAX
    struct bytes user;                // the same: the name or nkey it offered, never a token
    char text[];
};

#define CONNECTION_CLIENT_TEXT_MAX 255

// Who it is, where that is asked.
struct connection_identity {
    const struct auth_user *user; // of broker.auth; NULL: nobody of its list
    uint32_t account;             // index, of broker.auth; 0 while it is nobody: each has that one
    bool is_counted;              // by broker.auth, as user and account
    bool is_default;              // let in without credentials
    struct replies *replies;      // owned; NULL: answers need no book-keeping
    struct login_job *job;        // CHECKING: borrowed
};

struct connection {
    struct net_conn *net;    // borrowed until on_close
    struct broker *broker;   // borrowed
    struct account *account; // borrowed; never NULL
    uint64_t id;             // INFO's client_id

    uint8_t state : 2; // enum connection_state
    uint8_t tls : 3;   // enum connection_tls
    uint8_t login : 2; // enum connection_login
    bool is_secure : 1;
    bool info_sent : 1;
    bool tls_first : 1;   // the handshake came before INFO
    bool takes_info : 1;  // it understands an INFO at any time (`protocol` 1 of CONNECT)
    bool was_ponged : 1;  // its first PING was answered: nothing else comes in between for simple clients
    bool info_is_due : 1; // what INFO said is no longer so
    bool is_leaving : 1;  // see connection_leave.c: its subscriptions are no longer counted, and go
    bool is_gone : 1;     // after on_close; lives on while it is leaving
    bool echo;
    bool headers;
    bool verbose;
    bool pedantic;
    bool no_responders;
    bool connected;     // CONNECT was received
    bool is_sent_away;  // told that the server goes, though it does not
    bool announced;     // the system account was told that it came
    bool pinged;        // the first ping after CONNECT was sent
    bool refused;       // over max_connections
    bool slow;          // closing as a slow consumer: nobody waits for its queue
    bool congested;     // its queue was longer than congested_bytes and is not yet below half of that
    bool flush_queued;  // in broker.dirty, or waiting for on_writable
    bool blocked;       // the last write took less than offered
    bool is_waiting;    // has a struct remote_wait
    uint8_t paused_for; // CONNECTION_PAUSE_*; not 0: in broker.paused, and not read
    uint8_t pings_out;  // not answered

    uint8_t connect_error; // enum wire_error: what is wrong with CONNECT besides who it is
    uint8_t log_count;     // lines about what it may not do

    struct list link;   // list link: broker.connections
    struct list member; // list link: account.connections
    struct list dirty;  // list link: broker.dirty
    struct list paused; // list link: broker.paused

    struct parser parser;
    struct buffer tail; // of an unfinished operation (all that follows, while paused)
    struct outbound outbound;
    struct subscription_set subscriptions;
    uint32_t subscriptions_max; // UINT32_MAX: unlimited

    struct permit *permit;                // owned reference; NULL: it may do everything
    struct connection_identity *identity; // owned; NULL: nobody asked

    struct broker_traffic traffic;
    uint64_t last_in_ms;
    uint64_t last_active_ms;          // the last message or change of interest, monotonic
    uint64_t start_ns;                // wall clock
    uint64_t ping_sent_ns;            // monotonic; 0: no ping is out
    uint64_t rtt_ns;                  // of the last ping; 0: not known
    const char *reason;               // why it closes, as nats-server says it; NULL: it does not, or the client left
    struct connection_client *client; // owned; NULL: it said nothing
    struct net_peer peer;
    struct wheel_timer ping;     // until it is settled: of the handshake; AWAITED: of the login
    struct wheel_timer deadline; // of a blocked write, or of closing
};

// The worker on which a connection of this id is, or was.
uint32_t connection_id_worker(const struct broker_options *options, uint64_t id);

// Callbacks of env/net.
void *connection_accept(void *owner, struct net_conn *net, const struct net_peer *peer);
void connection_on_data(void *context, struct bytes data);
void connection_on_writable(void *context);
void connection_on_close(void *context, int error);
void connection_on_secure(void *context, const struct net_tls_info *info);

// Carries out all complete operations at the front of *input, unless it gets paused or closed.
void connection_parse(struct connection *connection, struct bytes *input);
// These reasons have ended. If none is left, goes on with what was kept when reading was paused, then reads again.
void connection_resume(struct connection *connection, uint8_t ended);
// An idle connection keeps no storage for a tail.
void connection_release_tail(struct connection *connection);
// Stops reading after the current operation, until this reason has ended (broker.resume).
void connection_pause(struct connection *connection, uint8_t reason);

// The client may speak from now on: who is it?
void connection_login_begin(struct connection *connection);
#define CONNECTION_NONCE_LEN 15
// What an nkey has to sign; len 0: there are none.
struct bytes connection_nonce(const struct connection *connection, char ret_text[CONNECTION_NONCE_LEN]);
// AWAITED, and an operation begins with this byte. False: it is refused.
bool connection_login_first(struct connection *connection, char first);
// CONNECT came: lets it in, refuses it, or takes its time.
void connection_login(struct connection *connection, const struct wire_connect *options);
// It took its time; the decision is ACCEPTED or REFUSED. user: for the log.
void connection_login_end(struct connection *connection, const struct login_decision *decision, struct bytes user);
// False: a limit, or its past, stands against it; it was told, and closes.
bool connection_admit(struct connection *connection, const struct login_decision *decision);
// Takes on the permissions and limits of who it is; is_counted: the auth_config has counted it.
void connection_enter(struct connection *connection, const struct login_decision *decision, bool is_counted);
// It is nobody any more; config: where it was counted.
void connection_depart(struct connection *connection, struct auth_config *config);
// The connection goes.
void connection_login_forget(struct connection *connection);
// Who it is, or says it is where nobody asks; len 0: nobody in particular.
struct bytes connection_user_name(const struct connection *connection);
enum auth_connection_type connection_type(const struct connection *connection);
// What is asked of it; of the broker's config of now.
const struct auth_listener *connection_listener(const struct connection *connection);

// A message with a reply subject is about to be delivered to it.
void connection_note_reply(struct connection *connection, struct bytes reply);
// False: it was told.
bool connection_may_publish(struct connection *connection, struct bytes subject, struct bytes reply);
bool connection_may_subscribe(struct connection *connection, struct bytes subject, struct bytes queue);
// What speaks for it when it publishes there.
enum inlet_standing connection_standing(const struct connection *connection, struct bytes subject);
// As broker_options.max_sub_tokens has it.
bool connection_may_have_tokens(struct connection *connection, struct bytes subject);
// Takes away the subscriptions that are no longer allowed.
void connection_permission_recheck(struct connection *connection);
// A line about what a client may not do: `what` - User "user", Subject "subject" (len 0: without). A few per connection.
void connection_log_refusal(struct connection *connection, const char *what, struct bytes user, struct bytes subject);
// The smallest of the server's, the account's and the user's, from the next operation on.
void connection_limits_take(struct connection *connection);
// "+OK", if it is verbose.
void connection_confirm(struct connection *connection);

// One operation of the client; never WIRE_MSG, the parser refuses it.
void connection_operate(struct connection *connection, const struct wire_op *op);

// CO-P10: a 503 for a request of its that reached nobody.
void connection_tell_no_responders(struct connection *connection, struct bytes subject, struct bytes reply);

// Moves it into another account, its counts included. Only before its first subscription; it begins in `$G`.
void connection_account_set(struct connection *connection, struct account *account);

// Begins: INFO, or a handshake, or waiting.
void connection_greet(struct connection *connection);
// Not settled: bytes came. True if they are not for the parser.
bool connection_take_tls(struct connection *connection, struct bytes data);
// Not settled: its timer fired.
void connection_hurry_tls(struct connection *connection);
// LEAVING, and nothing is queued any more.
void connection_start_tls(struct connection *connection, struct bytes received);
void connection_send_info(struct connection *connection);

// Queues bytes of the protocol (not messages).
void connection_send(struct connection *connection, struct bytes bytes);
// Tells the client; closes unless the error is one to live with.
void connection_fail(struct connection *connection, enum wire_error error);
// Without a word: sends what is queued, then closes. `reason` is static, see connection.reason.
void connection_finish(struct connection *connection, const char *reason);
// What CONNECT said.
void connection_client_set(struct connection *connection, const struct wire_connect *options);
// A message or a change of interest came in.
static inline void connection_active(struct connection *connection);
// Something was added to the queue: look at the limits, send at the turn's end.
static inline void connection_queued(struct connection *connection);
void connection_queue_flush(struct connection *connection);
void connection_queue_long(struct connection *connection);
// Not OPEN any more: its subscriptions end, see connection_leave.c.
void connection_leave(struct connection *connection);
// A new turn: so many may end in it.
void connection_leave_turn(struct broker *broker);
// A slice of those that are ending, of all connections.
void connection_leave_some(struct broker *broker);
// A subscription was made: while others are ending, two of those make room for it.
void connection_leave_two(struct broker *broker);
// All that are left.
void connection_leave_all(struct broker *broker);
// At the turn's end: one write, and the end of a connection that is closing.
void connection_flush(struct connection *connection);
// Sets the timer of the first ping after CONNECT, or of a later one.
void connection_ping_start(struct connection *connection, bool is_first);
void connection_check(const struct connection *connection);

static inline void connection_queued(struct connection *connection)
{
    if (!connection->flush_queued)
        connection_queue_flush(connection);
    if (connection->outbound.size_bytes > connection->broker->slow_bytes)
        connection_queue_long(connection);
}

static inline void connection_active(struct connection *connection)
{
    connection->last_active_ms = connection->broker->now_ms;
}
