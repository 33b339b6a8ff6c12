// SPDX-License-Identifier: Apache-2.0
// What the files of broker/ share: the broker itself, its accounts, the message on its way, and the kinds of targets in an
// account's trie.
//
// Targets (subscriptions of connections, inlets) may go while a list that holds them is being walked. They are then
// `dead`: skipped by whoever meets them and freed when no list is pinned any more (broker_bury, broker_reap).
#pragma once

#include "base/buffer.h"
#include "base/list.h"
#include "base/map.h"
#include "base/map_u64.h"
#include "base/prng.h"
#include "base/wheel.h"
#include "broker/account.h"
#include "broker/broker.h"
#include "broker/inlet_run.h"
#include "broker/outbound.h"
#include "env/log_quota.h"
#include "subject/trie.h"
#include "wire/parser.h"

struct permit;

// What stands behind an entry of the trie. Each kind is a struct whose first member is its struct target.
enum target_kind {
    TARGET_SUBSCRIPTION, // struct subscription
    TARGET_INLET,        // struct inlet_target
    TARGET_REMOTE,       // struct remote_target, of another worker
    TARGET_RESPONSES,    // struct inlet_target without an inlet: answers to services, response.h
    TARGET_IMPORT,       // struct import_target, import.h
};

struct import_groups;
struct remotes;
struct remote_passage;

struct target {
    union {
        struct trie_entry entry;
        struct target *next_dead; // list link: broker.dead; in place of a field that means nothing out of the trie
    };
    uint8_t kind;     // enum target_kind
    bool dead;        // out of the trie; waits to be freed
    bool is_filtered; // a subscription some of whose messages its user may not have
    bool has_text;    // a subscription whose sid is no number
    uint32_t sid;     // of a subscription: the number. Here, where it costs nothing.
};

struct inlet_target {
    struct target target;
    struct account *account; // borrowed; lives as long as its targets
    struct inlet *inlet;     // borrowed from its owner until broker_inlet_remove(); NULL: TARGET_RESPONSES
    // A literal prefix is looked up before the trie while nothing else overlaps its pattern.
    bool is_prefix;         // the pattern is `prefix` + ">"; listed in account.prefixes
    uint64_t overlap_count; // other targets in the trie that could get a subject of this prefix
    struct bytes pattern;   // owned
};

// One publish while it is being routed. All bytes are borrowed.
struct broker_message {
    struct bytes subject;
    struct bytes reply;
    struct bytes header; // len 0: none
    const struct bytes *parts;
    size_t part_count;
    size_t payload_len;           // of all parts
    struct connection *from;      // borrowed; NULL: from inside the process
    bool shares_block;            // large, and more than one target: copy once
    struct outbound_block *block; // owned reference: header and payload in one piece; NULL until needed
    struct account *requester;    // borrowed: who asked first, of a request that came through an import; else NULL
    bool is_shared;               // and may be told in detail
    bool skips_imports;           // goes to nobody in other accounts
    uint8_t hops;                 // accounts it has come through
    uint8_t standing;             // enum inlet_standing
    struct import_groups *groups; // borrowed: queue groups that somebody else delivers to; NULL: none

    struct remote_passage *passage; // borrowed: its way between workers; NULL: there are no others
};

#define BROKER_PREFIXES_MAX       16   // inlets found by their prefix; more are found through the trie
#define BROKER_DEPTH_MAX          8    // publishes nested in inlet callbacks; deeper ones wait for the turn's end
#define BROKER_DEFERRED_TURN_MAX  1024 // of those, routed per turn
#define BROKER_DEFERRED_BYTES_MAX (64 * 1024 * 1024)
#define BROKER_WATCH_ROUNDS       4 // per turn: watch owners answer with messages, which are sent, which changes interest
#define BROKER_BLOCK_MIN_BYTES    4096 // payloads above this are shared between several receivers, not copied
#define BROKER_REFUSED_MAX        1024 // connections over the limit that are being told so
#define BROKER_FIRST_PING_MS      2000
#define BROKER_LOGINS_RUNNING_MAX 4 // password hashes that one broker has compared at the same time

// What connections have sent and received: payload and header bytes.
struct broker_traffic {
    uint64_t in_msgs, out_msgs, in_bytes, out_bytes;
};

struct account {
    struct broker *broker; // borrowed
    struct list link;      // list link: broker.accounts, or broker.retired
    struct trie *trie;     // owned
    uint32_t id;
    bool is_retired;
    bool is_withdrawn; // other workers need not know any more where answers arrive
    bool is_kept;      // mark of broker_accounts_replace()

    struct list connections;   // struct connection.member
    uint32_t connection_count; // without the refused ones
    uint32_t inlet_count;
    uint32_t import_count;          // targets in the trie that are imports
    struct list imports;            // struct import_target.link: what this account imports
    struct inlet_target *responses; // borrowed from the trie: where answers arrive; NULL: nothing was ever asked
    uint32_t response_count;        // answers that are to come to requests that began here
    uint32_t responses_full_at;     // when it was logged that these are too many; 0: it was not
    uint64_t response_bytes;
    uint64_t subscription_count;
    uint64_t leaving_count;     // subscriptions of connections that are not open any more; still in the trie
    uint64_t remote_count;      // targets of other workers
    struct broker_traffic gone; // of connections that are gone

    struct inlet_target *prefixes[BROKER_PREFIXES_MAX]; // borrowed
    uint32_t prefix_count;
    uint64_t prefix_first_bytes[4]; // one bit per byte with which a prefix begins

    struct map watch_subjects; // struct watch_group by subject
    struct map watch_prefixes; // struct watch_group by the first two tokens of the subject, or its only one
    uint64_t watch_count;

    size_t name_len;
    char name[];
};

struct broker {
    struct broker_options options;
    struct net_handler handler;
    struct moment now;
    uint64_t now_ms;                   // monotonic
    struct log_quota connection_lines; // of the log, see connection_log()
    struct wheel wheel;
    struct prng prng;
    uint64_t sid_seed;   // of struct subscription_set
    uint64_t slow_bytes; // a queue longer than this needs a look: the smaller of congested_bytes and max_pending

    struct account *global;   // owned: `$G`
    struct account *system;   // owned: `$SYS`
    struct map account_names; // struct account by name
    struct list accounts;     // struct account.link, in the order of ids
    struct list retired;      // the same, without name
    uint32_t account_next_id;
    struct trie_budget cache_budget; // of all accounts' tries

    struct map_u64 responses;       // struct response by id
    struct list response_list;      // struct response.link
    struct prng response_prng;      // of ids; its own, so that asking changes no other choice
    uint64_t response_mark;         // tells this broker's reply subjects from others'
    uint64_t response_bytes;        // of all
    uint64_t event_seq;             // of the last event for the system account
    struct system_control *control; // owned; NULL: there is no system account

    struct list connections; // struct connection.link
    struct list dirty;       // struct connection.dirty: something to send or to finish at the turn's end
    struct list paused;      // struct connection.paused: not read until every reason for it is gone
    struct list leaving[2];  // of connection_leave.c: their subscriptions end; [0] those who have few
    uint64_t leave_left[2];  // of those, how many may end in this turn
    uint64_t leaving_count;  // of all accounts
    uint64_t next_id;
    uint32_t connection_count;      // without the refused ones
    uint32_t connections_elsewhere; // on other workers
    uint32_t tls_begun;             // handshakes in the second that ends at
    uint64_t tls_second_at_ms;      // this
    uint32_t refused_count;
    uint64_t turned_away;          // connections that never became one, ever
    uint8_t resume;                // CONNECTION_PAUSE_* that have ended for all, to be looked at when the turn ends
    bool draining;                 // broker_drain() was called
    bool stopping;                 // broker_shutdown() was called
    bool tracing;                  // the logger takes LOG_TRACE, this turn
    bool lame_duck;                // broker_lame_duck() was called
    bool lame_lingering;           // the next ones are not heard any more, and are not closed yet
    uint32_t lame_batch;           // connections closed at a time
    uint64_t lame_interval_ms;     // between two of those, at most
    struct wheel_timer lame_timer; // the next
    bool called;                   // an inlet or a watch, since broker_turn_end() began
    struct remotes *remotes;       // owned: the other workers; NULL: there are none

    struct inlet_follower *follower; // borrowed; NULL: none
    struct inlet_run run;            // of the connection whose input is being carried out
    uint32_t depth;                  // of nested broker_route()
    struct list deferred;            // struct deferred_message.link
    size_t deferred_bytes;
    bool deferred_full;  // and that was logged; until there are none
    struct target *dead; // owned list, freed by broker_reap()

    struct list watch_dirty; // struct watch_entry.dirty

    struct auth_config *auth; // owned reference
    struct map_u64 permits;   // struct permit, whose references the connections own, by the address of its permissions
    struct list logins;       // struct login_job.link: waiting
    uint32_t logins_running;  // login jobs that the offload has

    char *scratch; // owned: SUBJECT_LEN_MAX bytes for a pattern, valid until the next call that uses it
    struct outbound_cache cache;
    struct parser_memo parser_memo;    // of all connections
    struct buffer spare_tail;          // empty; storage for the next connection that has to keep a tail
    struct closed_connections *closed; // owned
    struct broker_stats stats;         // counts of what ever was; the rest is computed on request
};

// `ldm` and the like changed: the client is told, now or after its first PONG (CO-P18).
void broker_info_push(struct connection *connection);

// Timer: closes the next connections of a lame duck.
void broker_lame_duck_step(struct wheel_timer *timer, uint64_t now_ms);

// Routes a message to all targets; returns how many took it. May run inlet callbacks.
size_t broker_route(struct account *account, struct broker_message *message);
// The same message on its way into another account: `message` is a copy that the caller changed. What nests deeper than imports can
// bring it reaches nobody.
size_t broker_forward(struct account *account, struct broker_message *message, enum inlet_standing standing);
// To one member of a group of the account's match; returns how many took it.
size_t broker_route_group(struct account *account, struct broker_message *message, const struct trie_group *group);
// Header and payload in one piece; borrowed from the message.
struct outbound_block *broker_message_block(const struct broker *broker, struct broker_message *message);
// The same for one that came from another worker: to connections and inlets here, or to one member of a queue group.
size_t broker_route_hop(struct account *account, struct broker_message *message, struct bytes queue);
// Publishes what was nested too deep. True if some is left.
bool broker_route_deferred(struct broker *broker);
void broker_route_drop_deferred(struct broker *broker);

// A target left the trie: frees it now or when no list is pinned.
void broker_bury(struct broker *broker, struct target *target);
void broker_reap(struct broker *broker);

// The inlet to which alone a subject goes; NULL: ask the trie.
static inline struct inlet_target *broker_inlet_find(struct account *account, struct bytes subject);
struct inlet_target *broker_inlet_find_prefix(struct account *account, struct bytes subject);
// Is the target such an inlet for the subject?
bool broker_inlet_is_behind(const struct inlet_target *target, struct bytes subject);
// A target of that kind that its prefix may find. ERR_INVALID: bad subject; ERR_LIMIT: too many tokens.
int broker_inlet_open(struct account *account, enum target_kind kind, struct inlet *inlet, struct bytes subject,
                      struct inlet_target **ret_target) MUST_USE;
// False when the owner is overloaded.
bool broker_inlet_deliver(struct inlet_target *target, struct broker_message *message);
// A target with this pattern comes (+1) or goes (-1).
void broker_inlet_count_overlap(struct account *account, const struct inlet_target *except, struct bytes pattern,
                                int change);
// Goes on with connections whose last reason to be paused has ended.
void broker_inlet_resume_paused(struct broker *broker);
void broker_inlet_check(const struct account *account);

// With `$G` and `$SYS`.
void account_open_all(struct broker *broker);
void account_close_all(struct broker *broker);
// Frees retired accounts that nobody uses any more.
void account_reap(struct broker *broker);
void account_check(const struct account *account);

struct watch_group;

struct watch_entry {
    struct list of_subject;      // list link: watch_group.entries
    struct list of_prefix;       // list link: watch_group.entries
    struct list dirty;           // list link: broker.watch_dirty
    struct account *account;     // borrowed
    struct watch_group *subject; // of all watches of the same subject; has its text
    struct watch_group *prefix;
    struct broker_watch *watch;    // borrowed from its owner until broker_watch_remove()
    enum broker_interest reported; // last told
    // With several workers.
    uint64_t id;        // by which the others know it; 0: they do not, it is about connections of this worker alone
    uint64_t ready;     // set of workers that say READY; broker_watch_set_ready()
    uint64_t congested; // set of workers that say CONGESTED
    uint64_t answered;  // set of workers that have said anything
    struct list behind; // list link: remote_link.behind
};

struct account *broker_watch_account(const struct watch_entry *entry);
struct bytes broker_watch_subject(const struct watch_entry *entry);
// For another worker: looks at connections of this one only.
enum broker_interest broker_watch_add_own(struct account *account, struct broker_watch *watch,
                                          struct bytes literal_subject);
void broker_watch_set_ready(struct watch_entry *entry, uint64_t workers);
// Whoever subscribes to the pattern came, went or changed its congestion.
void broker_watch_touch(struct account *account, struct bytes pattern, bool was_congested);
// Tells owners of watches; true if at least one was told.
bool broker_watch_report(struct broker *broker);
void broker_watch_drop(struct account *account);
void broker_watch_check(const struct account *account);

// The account that an index of the auth_config means.
struct account *broker_account_of(struct broker *broker, uint32_t index);
// One permit for all connections with these permissions.
struct permit *broker_permit_take(struct broker *broker, const struct auth_permissions *permissions);
void broker_permit_drop(struct broker *broker, struct permit *permit); // NULL is fine

// Writes bytes and returns the address behind them.
static inline char *broker_copy(char *at, struct bytes bytes)
{
    if (bytes.len > 0)
        memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}

static inline struct inlet_target *broker_inlet_find(struct account *account, struct bytes subject)
{
    if (account->prefix_count == 0 || subject.len == 0)
        return NULL;
    uint8_t first = (uint8_t)subject.ptr[0];
    if (!(account->prefix_first_bytes[first >> 6] >> (first & 63) & 1))
        return NULL;
    return broker_inlet_find_prefix(account, subject);
}
