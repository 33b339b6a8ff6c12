// SPDX-License-Identifier: Apache-2.0
// The broker: connections speaking the NATS client protocol, and who gets what they publish. It knows nothing of streams:
// those are inlets, subscribers inside the process (streams, STAN and API requests).
//
// One broker per worker, one thread. Turn of the loop: any number of broker_on_*() calls and callbacks to inlets, then
// one broker_turn_end(), which sends what gathered per connection in one net_write() each and reports watch changes.
//
// Re-entry: inlets and watches may call any function of this header from within their callbacks. Nothing is sent, closed
// or freed inside such a call; it happens at the turn's end.
#pragma once

#include "auth/auth_config.h"
#include "base/bytes.h"
#include "base/error.h"
#include "env/clock.h"
#include "env/log.h"
#include "env/net.h"
#include "subject/trie.h"

struct broker;
struct crypto;
struct offload;
struct remote_carrier;

// Who speaks first on a connection that becomes a secure one.
enum broker_tls_first {
    BROKER_TLS_INFO,      // INFO in the clear, then the handshake
    BROKER_TLS_HANDSHAKE, // INFO only after it
    BROKER_TLS_AUTO,      // INFO in the clear if the client has sent nothing for fallback_ms
};

// CO-S01. What is asked of connections whose listener has certificates. All zeroes: nothing.
struct broker_tls {
    bool enabled;
    bool verify;      // the certificates of clients are looked at: only what INFO says, os/ does it
    bool allow_plain; // clients without TLS are served, too
    enum broker_tls_first first;
    uint32_t fallback_ms; // of BROKER_TLS_AUTO, 50
    uint32_t timeout_ms;  // until the handshake is done, 2,000
    uint32_t rate_limit;  // handshakes begun within a second, by all workers together; 0: any number
};

// All limits are >0. Defaults (broker_options_default) are those of the servers we replace (CO-P16).
struct broker_options {
    const char *server_id;   // borrowed for life: 56 characters in INFO
    const char *server_name; // borrowed for life
    const char *host;        // borrowed for life: what INFO advertises
    uint16_t port;
    uint32_t max_payload;      // bytes, 1 MiB
    uint32_t max_control_line; // bytes, 4096
    uint64_t max_pending;      // bytes queued to one connection before it is closed as a slow consumer, 64 MiB
    uint64_t congested_bytes;  // queued to one connection before a watch calls its subjects congested, 256 KiB
    uint32_t max_connections;  // 65,536
    uint32_t max_closed;       // closed connections that monitoring can show, 10,000
    uint32_t
        leave_turn_max; // subscriptions of connections that went, taken out in one turn, 256: some 200 us; more of who had few,
                        // and when there are very many (connection_leave.c)
    uint32_t max_subscriptions; // per connection; 0: unlimited
    uint32_t max_sub_tokens;    // of a subscription's subject; 0: what the trie allows
    uint32_t max_accounts;      // `$G` and `$SYS` included: 100,000
    uint32_t
        max_responses; // requests to services of other accounts that wait for an answer, 262,144: half of them for one account
    uint64_t max_response_bytes;         // what these take, 64 MiB: half of it for one account
    uint32_t ping_interval_ms;           // 120,000
    uint32_t websocket_ping_interval_ms; // of websocket connections; 0: the same
    uint32_t ping_max;                   // unanswered pings before "Stale Connection": 2
    uint32_t
        write_deadline_ms; // a connection that takes nothing for so long while data waits is a slow consumer: 10,000
    uint32_t max_traced_bytes; // of a payload that a trace shows; 0: all
    bool trace_system;         // connections of the system account are traced, too
    bool has_uplink;           // clients are behind one connection (uplink.h): who listens in `$G` is not known here
    struct broker_tls tls;
    uint64_t seed; // of the generator that picks queue-group members
    // One of several workers (remote.h); worker_count 0 or 1: alone, and the rest is not used.
    uint32_t worker;                      // its number
    uint32_t worker_count;                // at most REMOTE_WORKERS_MAX
    const struct remote_carrier *carrier; // borrowed for life
    uint64_t remote_window_bytes;         // under way to one worker before those who feed it are paused, 1 MiB
    const struct logger *logger;          // borrowed for life, may be NULL
    const struct crypto *crypto;          // borrowed for life; needed when an auth_config has nkeys or password hashes
    struct offload *offload;              // borrowed for life; needed when one has password hashes
    uint8_t nonce_key[32];                // unpredictable: makes the nonces that nkeys sign
};

void broker_options_default(struct broker_options *options);

struct broker *broker_new(const struct broker_options *options, struct moment now);
// All connections must have been closed (on_close) before, and what was given to the offload be done. Inlets and watches that are left are forgotten.
void broker_free(struct broker *broker);

// For connections that come from now on.
void broker_set_tls(struct broker *broker, const struct broker_tls *tls);

// Callbacks for env/net; the owner is the broker. `now` of a turn must be set before by broker_turn_begin().
const struct net_handler *broker_net_handler(struct broker *broker);
// The time all callbacks of this turn see.
void broker_turn_begin(struct broker *broker, struct moment now);
// Fires due timers, sends what gathered, reports watches. Returns true when something is left to do at once, by us or
// by the owner of an inlet or a watch that was called in here (call the next turn without waiting).
bool broker_turn_end(struct broker *broker);
// The earliest time at which a turn is needed though nothing happens; UINT64_MAX: none. A lower bound is fine.
uint64_t broker_next_deadline_ms(const struct broker *broker);
// Carries out no more operations of any connection, and refuses new ones; what is sent to them still arrives.
void broker_drain(struct broker *broker);
// What was carried out before broker_drain() has arrived at all other workers. True within one turn when there are none.
bool broker_is_drained(const struct broker *broker);
// Connections that have ended, ever, with those that were turned away without a word.
uint64_t broker_connections_ended(const struct broker *broker);
// Orderly stop: every connection gets what is queued for it, then is closed; new ones are refused.
void broker_shutdown(struct broker *broker);

// The accounts, exports and imports of this view are those that exist from now on (account.h). Accounts of the same name stay what
// they are, with connections, inlets and what waits for an answer; the others are retired, and the connections still in them
// told "Authorization Violation" and closed. Imports are replaced as a whole. Nothing of the view is kept. ERR_INVALID: an empty
// or too long name, or one with a blank; ERR_LIMIT: more than max_accounts, or a subject with too many tokens; then nothing
// has changed. Not while a message is being routed.
int broker_accounts_replace(struct broker *broker, const struct auth_view *view) MUST_USE;

// Lame duck (CO-P17): new connections are refused, clients that understand it are told by an INFO with `ldm`, so that they go
// elsewhere, and after grace_ms whoever is left is closed, one by one, over duration_ms. It ends with no connections, or with
// broker_shutdown(). Once; later calls do nothing.
void broker_lame_duck(struct broker *broker, uint64_t duration_ms, uint64_t grace_ms);
bool broker_is_lame_duck(const struct broker *broker);

// From now on these hold, for connected clients too (CO-X02): max_payload, max_control_line, max_pending, congested_bytes,
// max_connections, max_subscriptions, max_sub_tokens, max_traced_bytes, trace_system, pings and the write deadline; the rest of `options` is not looked at.
// Clients are told of another max_payload (CO-P18). Of more than `keep` connections here the latest are closed: returns how many. What
// a client has subscribed to stays. Within a turn.
uint32_t broker_limits_set(struct broker *broker, const struct broker_options *options, uint32_t keep);

// Whom to let in from now on (at first everybody), to which account, with which permissions; the broker takes a reference. Those who are here stay if what
// they showed would do now: with their new permissions, and without the subscriptions that these forbid. The others are told
// "Authorization Violation", or, if they belong to another account now, closed without a word. The accounts of the config are given to
// broker_accounts_replace(), whose errors are ours; then nothing has changed.
int broker_auth_replace(struct broker *broker, struct auth_config *config) MUST_USE;
// Borrowed until it is replaced.
const struct auth_config *broker_auth(const struct broker *broker);

// --- inside the process: all of this in the account `$G`; for others see account.h ----------------------------------

// What begins so is for operators: how who asks came to be allowed is looked at (enum inlet_standing).
#define BROKER_ADMIN_PREFIX "$WEIR."

// What speaks for whoever published to such a subject. Of other subjects always NONE, and of what is published from inside the process,
// some of which goes where clients say.
enum inlet_standing {
    INLET_STANDING_NONE,
    INLET_STANDING_LOCAL,    // no users are configured, and it comes from the machine itself, not through a websocket
    INLET_STANDING_NAMED,    // a permission of its names the subject: permit_names()
    INLET_STANDING_EXPORTED, // asked for in another account, to which a service export names the subject in the same way
};

// A message on its way in. All bytes are borrowed for the duration of the call.
struct inlet_message {
    struct bytes subject;
    struct bytes reply;   // len 0: none
    struct bytes headers; // the NATS/1.0 block with its final empty line; len 0: none
    struct bytes payload;
    uint64_t connection; // id of the publishing connection (INFO client_id), of any worker; 0: from inside the process
    enum inlet_standing standing;
};

#define INLET_RUN_MAX 16

// A subscriber inside the process. Embedded by its owner; stays in place from add to remove.
struct inlet {
    // Returns false when its owner is overloaded: the broker then stops reading from the connection until
    // broker_inlets_resume(). The message itself counts as taken either way.
    bool (*on_message)(struct inlet *inlet, const struct inlet_message *message);
    // May be NULL. The same for messages that one connection sent one behind the other: at most INLET_RUN_MAX, in order.
    bool (*on_run)(struct inlet *inlet, const struct inlet_message *messages, size_t count);
    void *implementation; // broker's
};

// Subscribes to a subject that may have wildcards. Literal prefixes ("_STAN.pub.x.>") are looked up before the match
// cache unless another subscription overlaps them. ERR_INVALID for a bad subject.
int broker_inlet_add(struct broker *broker, struct inlet *inlet, struct bytes subject);
void broker_inlet_remove(struct broker *broker, struct inlet *inlet);
// Reads again from every connection that was paused for an overloaded inlet.
void broker_inlets_resume(struct broker *broker);

// With has_uplink: nobody can be reached now, and nothing be said about who would listen.
bool broker_is_cut_off(const struct broker *broker);

// Who is told of every inlet in `$G`: at once of those that are there, then as they come and go. Embedded by its owner.
struct inlet_follower {
    void (*on_inlet)(struct inlet_follower *follower, struct bytes pattern, bool is_there);
};

// One at a time.
void broker_inlets_follow(struct broker *broker, struct inlet_follower *follower);
void broker_inlets_unfollow(struct broker *broker);

// Publishes from inside the process to whoever subscribes, inlets included: payload is the concatenation of the parts.
// Returns how many got it. 0: nobody is interested (no 503 is sent: there is no connection to send it to). Nested more than
// BROKER_DEPTH_MAX (8) deep in inlet callbacks, the message is copied and waits for the turn's end: then 1 means that somebody was. If more wait than fit, it is dropped: 0.
size_t broker_publish(struct broker *broker, struct bytes subject, struct bytes reply, struct bytes headers,
                      const struct bytes *parts, size_t part_count);

// What is remembered of where a subject leads. Embedded by who publishes to that subject again and again; zero it before its first use.
struct broker_path {
    struct trie_sole sole; // broker's
};

// As broker_publish(), without a reply, always to the subject that `path` is of: where it leads to one subscription, as an inbox does,
// that is not looked up each time.
size_t broker_publish_along(struct broker *broker, struct broker_path *path, struct bytes subject, struct bytes headers,
                            const struct bytes *parts, size_t part_count);
// A hint: something is published along it before long. Does not follow what may have gone.
void broker_path_ahead(const struct broker_path *path);

enum broker_interest {
    BROKER_INTEREST_NONE,      // no connection subscribes; with has_uplink never said
    BROKER_INTEREST_READY,     // at least one, and its outbound queue is short
    BROKER_INTEREST_CONGESTED, // all that subscribe have long outbound queues; with has_uplink also: the uplink is away
};

enum broker_interest broker_interest(struct broker *broker, struct bytes literal_subject);

// Tells when the interest in a literal subject changes: subscriptions (wildcards too) come and go, connections close, queues
// drain. Reported at the turn's end, once however often it changed, only if it differs from the last report (or from
// what it was at add). One exception: READY is reported again when it was CONGESTED in between, if only within the turn, since
// whoever asked then and stopped publishing must learn that it may go on. Embedded by its owner.
struct broker_watch {
    bool was_congested; // broker's: since on_change() told last
    bool is_elsewhere;  // broker's: connections of other workers listen
    void (*on_change)(struct broker_watch *watch, enum broker_interest interest);
    void *implementation; // broker's
};

// The subject is copied. Returns the interest now.
enum broker_interest broker_watch_add(struct broker *broker, struct broker_watch *watch, struct bytes literal_subject);
void broker_watch_remove(struct broker *broker, struct broker_watch *watch);
// Has a connection that listens fallen behind since the last report? on_change() tells at the turn's end; who sends much within
// one turn asks before each message, or it makes a slow consumer of a healthy one.
bool broker_watch_is_behind(struct broker_watch *watch);

// --- what monitoring shows ------------------------------------------------------------------------------------------

struct broker_stats {
    uint64_t connections;                            // now
    uint64_t total_connections;                      // ever
    uint64_t subscriptions;                          // now, of connections
    uint64_t in_msgs, out_msgs, in_bytes, out_bytes; // payload and header bytes of connections
    uint64_t slow_consumers;                         // connections closed for it, ever
    uint64_t stale_connections;                      // closed for unanswered pings, ever
    uint64_t pending_bytes;                          // in all outbound queues, now
};

void broker_stats_get(const struct broker *broker, struct broker_stats *ret_stats);

// Asserts the invariants of README.md over everything there is; for tests and checked builds.
void broker_check(const struct broker *broker);
