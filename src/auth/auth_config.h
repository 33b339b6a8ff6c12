// SPDX-License-Identifier: Apache-2.0
// Who may connect, to which account, and what a connection may publish and subscribe (CO-S02, S03, S06, S07, S08, X07): the
// part of the configuration that decides about other people, as plain data.
//
// Life cycle: auth/auth_builder.h fills one, auth_builder_finish() hands it out with one reference. From then on it never
// changes: any thread may read it without a lock. A reload makes a new one; who still holds the old one (a connection
// between two turns) keeps it alive by a reference. All memory is in one arena that goes with the last reference.
//
// It holds secrets as the configuration gave them: nothing here may be printed but names.
//
// Users, accounts, exports and imports are arrays; an index into one is its identity as long as the config lives. Across
// a reload names are (accounts, users), never indexes.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct auth_config;

// --- secrets and limits ---------------------------------------------------------------------------------------------

enum auth_secret_kind {
    AUTH_SECRET_NONE,   // none was given: only no password, or an empty one, fits
    AUTH_SECRET_PLAIN,  // compared byte for byte, in constant time
    AUTH_SECRET_BCRYPT, // "$2a$", "$2b$", "$2x$" or "$2y$" and so on: compared on the offload pool
};

struct auth_secret {
    enum auth_secret_kind kind;
    struct bytes text;
};

#define AUTH_UNLIMITED (-1)

// AUTH_UNLIMITED: the server's own limit alone applies. Zero is a limit.
struct auth_limits {
    int64_t max_connections;   // of the account, or of the user, over all workers
    int64_t max_subscriptions; // of one connection
    int64_t max_payload;       // bytes of one message's headers and payload
};

// --- permissions ----------------------------------------------------------------------------------------------------

// One line of a list: a subject pattern, for subscriptions possibly bound to queue groups.
struct auth_rule {
    struct bytes subject; // may have wildcards
    struct bytes queue;   // of a subscribe rule: a pattern over the queue's name ("v1.>"); len 0: any, and none
};

struct auth_rules {
    const struct auth_rule *items;
    uint32_t count;
};

// Deny wins over allow. An empty allow list allows everything unless `publish_restricted` (or `subscribe_restricted`) is set.
struct auth_permissions {
    struct auth_rules publish_allow, publish_deny;     // their queue is always empty
    struct auth_rules subscribe_allow, subscribe_deny; //
    bool publish_restricted;   // only publish_allow (and answers): also for an empty publish_allow with allow_responses
    bool subscribe_restricted; // only subscribe_allow
    bool allow_responses;      // one may publish to the reply subject of a message one received
    int32_t response_max;      // so many times each; AUTH_UNLIMITED: as often as one likes
    int64_t response_ttl_ns;   // so long after the message; AUTH_UNLIMITED: for ever
};

// --- users ----------------------------------------------------------------------------------------------------------

#define AUTH_NKEY_LEN 32 // bytes of an Ed25519 public key
#define AUTH_NONE     UINT32_MAX

// Bits of auth_user.connection_types.
enum auth_connection_type {
    AUTH_CONNECTION_STANDARD = 1,
    AUTH_CONNECTION_WEBSOCKET = 2,
    AUTH_CONNECTION_LEAFNODE = 4,
    AUTH_CONNECTION_MQTT = 8,
};

struct auth_user {
    struct bytes name; // user name, or the public nkey ("U…"); with verify_and_map also what a certificate is mapped to
    bool is_nkey;
    uint8_t nkey[AUTH_NKEY_LEN];                // only if is_nkey
    struct auth_secret password;                // NONE if is_nkey
    uint32_t account;                           // index into accounts
    const struct auth_permissions *permissions; // the defaults applied already; NULL: everything
    uint32_t connection_types;                  // bits of enum auth_connection_type that are allowed; 0: all
    struct auth_limits limits;
};

// --- accounts -------------------------------------------------------------------------------------------------------

enum auth_response_type {
    AUTH_RESPONSE_SINGLETON, // one answer (the default)
    AUTH_RESPONSE_STREAM,    // any number of answers
    AUTH_RESPONSE_CHUNKED,   // one answer in parts
};

// What an account lets others subscribe (stream) or ask (service).
struct auth_export {
    bool is_service;
    struct bytes subject;     // may have wildcards
    bool is_public;           // else only the accounts listed
    const uint32_t *accounts; // indexes of accounts that may import; none if public
    uint32_t account_count;
    uint32_t account_token_position;  // 1-based token of subject that must be the importer's name; 0: none
    enum auth_response_type response; // of a service
    int64_t response_threshold_ns;    // of a service: how long a stream's or chunked answer may pause; 0: the default
    int32_t latency_sampling;         // of a service: 0 none, 1-100 per cent, AUTH_LATENCY_HEADERS: as the request asks
    struct bytes latency_subject;     // len 0: none
};

#define AUTH_LATENCY_HEADERS (-1)

// What an account takes from another.
struct auth_import {
    bool is_service;
    uint32_t account;     // index of the exporter
    struct bytes subject; // in the exporter's account; may have wildcards
    struct bytes local; // in this account: what `to` said (may have wildcards or $1), prefix.subject, or subject itself
    struct bytes prefix; // as given, for monitoring; len 0: none
    bool share;          // the exporter may know who asks
};

struct auth_account {
    struct bytes name;
    struct auth_limits limits;
    const struct auth_export *exports;
    uint32_t export_count;
    const struct auth_import *imports;
    uint32_t import_count;
};

#define AUTH_GLOBAL_ACCOUNT 0 // index of "$G", which always exists

// --- the whole ------------------------------------------------------------------------------------------------------

// A bcrypt hash of nobody: see auth/decoys.h.
struct auth_decoy {
    struct bytes hash;
    uint32_t below; // so many secrets have a hash that costs no more
};

// What one kind of listener asks for beside the users of the list, which are the same for all.
struct auth_listener {
    struct auth_secret token;           // authorization { token }; NONE: no token
    struct bytes single_user;           // authorization { user, password }; len 0: none; never together with users
    struct auth_secret single_password; //
    // Whom a connection without credentials is; NULL: nobody. If the configuration names users of the system account only, one of
    // "$G" without a name, who is not in `users`: everybody else's access is as without configuration.
    const struct auth_user *no_auth_user;
    uint32_t timeout_ms; // until a connection must have authenticated
    bool verify_and_map; // TLS certificates name users
    bool required;       // somebody has credentials: it is looked at what a client offers
    // INFO's auth_required: not if the operator named a no_auth_user, except to websockets, which are always told (as nats-server does).
    bool info_required;
};

// What one may read of a config; all of it is borrowed from the config.
struct auth_view {
    const struct auth_account *accounts; // [AUTH_GLOBAL_ACCOUNT] is "$G"
    uint32_t account_count;
    uint32_t system_account; // index; "$SYS" unless another was named; AUTH_NONE: no_system_account
    const struct auth_user *users;
    uint32_t user_count;
    uint32_t nkey_count; // of the users
    bool has_nkeys;      // INFO carries a nonce
    bool has_users;      // besides those of the system account
    struct auth_listener client, websocket;
    bool has_certificate_users; // some listener maps certificates: on the others nobody comes in without a password
    bool has_plain_passwords;   // somebody's is not a hash: worth a warning, as nats-server gives
    const struct auth_decoy *decoys; // one for each cost that somebody's hash has; none: there are no hashes
    uint32_t decoy_count;
};

const struct auth_view *auth_config_view(const struct auth_config *config);
// Of the view: the one that connections of this type come through.
const struct auth_listener *auth_config_listener(const struct auth_config *config, enum auth_connection_type type);

// Any thread. ref returns its argument.
struct auth_config *auth_config_ref(struct auth_config *config);
void auth_config_unref(struct auth_config *config); // NULL is fine

// Nothing asked for, the accounts "$G" and "$SYS", no limits: what a server without configuration uses.
struct auth_config *auth_config_new_open(void);

// Connections of an account and a user (NULL: nobody of the list), counted over all workers that share the config. False: a limit of
// either is reached, and nothing was counted; with `always` limits do not matter (a reload counts whoever is there).
bool auth_config_enter(struct auth_config *config, const struct auth_user *user, uint32_t account, bool always);
void auth_config_leave(struct auth_config *config, const struct auth_user *user, uint32_t account);

// By name or public nkey; NULL: there is none. The time does not depend on how nearly a name fits.
const struct auth_user *auth_config_find_user(const struct auth_config *config, struct bytes name);
// AUTH_NONE: there is none.
uint32_t auth_config_find_account(const struct auth_config *config, struct bytes name);
