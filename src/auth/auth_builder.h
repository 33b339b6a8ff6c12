// SPDX-License-Identifier: Apache-2.0
// Fills an auth_config from what a configuration file, flags or a test say, and refuses what makes no sense.
//
//     builder = auth_builder_new();
//     auth_builder_add_account(builder, …); auth_builder_add_user(builder, …); …       in any order
//     auth_builder_finish(builder, &config)                                              checks what refers to what
//     auth_builder_free(builder);
//
// All bytes passed in are copied. Accounts are named, not indexed, so that a user, an export or an import may come before the
// account it names; what is unknown in the end is an error. The first error sticks: later calls return it too, so that one
// look at auth_builder_finish()'s result is enough. `where` is the caller's mark of a place in its file; an error gives it
// back. Errors name subjects, users and accounts, never a password or token.
#pragma once

#include "auth/auth_config.h"
#include "base/error.h"

struct auth_builder;

struct auth_strings {
    const struct bytes *items;
    uint32_t count;
};

// As the configuration writes them: a subscribe rule is "subject" or "subject queue".
struct auth_permissions_spec {
    struct auth_strings publish_allow, publish_deny, subscribe_allow, subscribe_deny;
    bool allow_responses;
    int32_t response_max;    // 0: the default, 1; negative: unlimited
    int64_t response_ttl_ns; // 0: the default, 2 minutes; negative: for ever
    uint32_t where;
};

struct auth_user_spec {
    struct bytes name;    // user name; empty if nkey is given
    struct bytes nkey;    // public nkey of a user, "U…"; empty if name is given
    struct bytes account; // empty: "$G"
    struct bytes password;
    bool has_password;                               // an empty password is one
    const struct auth_permissions_spec *permissions; // NULL: those of auth_builder_set_default_permissions()
    uint32_t connection_types;                       // bits of enum auth_connection_type; 0: all
    const struct auth_limits *limits;                // NULL: none
    uint32_t where;
};

struct auth_export_spec {
    bool is_service;
    struct bytes account; // whose export; "" is "$G"
    struct bytes subject;
    bool is_public; // no `accounts` key; an empty list of accounts lets nobody import
    struct auth_strings accounts;
    uint32_t account_token_position; // 1-based, of a "*" in the subject; 0: none
    enum auth_response_type response;
    int64_t response_threshold_ns;
    int32_t latency_sampling;
    struct bytes latency_subject;
    uint32_t where;
};

struct auth_import_spec {
    bool is_service;
    struct bytes account;  // whose import; "" is "$G"
    struct bytes exporter; // the other account
    struct bytes subject;  // there
    struct bytes prefix;   // of a stream; empty: none
    struct bytes to;       // empty: none
    bool share;
    uint32_t where;
};

// A websocket listener's own. What is empty or 0 is as for other clients; but once it has a user, a token or a no_auth_user, those of
// other clients count for nothing there. Never together with users of the list: a user or a token.
struct auth_websocket_spec {
    struct bytes user, password, token, no_auth_user;
    uint32_t timeout_ms;
    bool verify_and_map; // of its own TLS; that of other clients counts as well
    uint32_t where;
};

struct auth_error {
    char text[384]; // one line, NUL-terminated, without place
    uint32_t where;
};

// Everything growing is bounded by these; more is an error.
#define AUTH_ACCOUNTS_MAX 65536
#define AUTH_USERS_MAX    1048576
#define AUTH_BYTES_MAX    (1u << 30) // of the finished config

struct auth_builder *auth_builder_new(void);
void auth_builder_free(struct auth_builder *builder); // NULL is fine

// "$G" exists, and "$SYS" unless auth_builder_set_system_account() says otherwise; adding them again only sets their limits.
// limits NULL: none. ERR_DUPLICATE.
int auth_builder_add_account(struct auth_builder *builder, struct bytes name, const struct auth_limits *limits,
                             uint32_t where);
// An empty name: there is none (no_system_account).
void auth_builder_set_system_account(struct auth_builder *builder, struct bytes name, uint32_t where);
// For the account's users that have none of their own; account "": "$G" (authorization { default_permissions }).
int auth_builder_set_default_permissions(struct auth_builder *builder, struct bytes account,
                                         const struct auth_permissions_spec *permissions);
// ERR_DUPLICATE; ERR_INVALID: no name, an nkey that is none, a bad subject in a rule.
int auth_builder_add_user(struct auth_builder *builder, const struct auth_user_spec *user);
int auth_builder_add_export(struct auth_builder *builder, const struct auth_export_spec *service_or_stream);
int auth_builder_add_import(struct auth_builder *builder, const struct auth_import_spec *service_or_stream);

// authorization { token }, --auth. Here and below `where` 0 is a flag, which contradicts nothing that the file has: a token takes the place
// of a single user, and is beside a list of users; a single user gives way to a token and to a list. Only users of accounts, where
// there is no such list, refuse both (CO-X04).
int auth_builder_set_token(struct auth_builder *builder, struct bytes token, uint32_t where);
// authorization { user, password }, --user, --pass. ERR_INVALID, from auth_builder_finish(): a password without a name.
int auth_builder_set_single_user(struct auth_builder *builder, struct bytes name, struct bytes password,
                                 uint32_t where);
// A user's name or public nkey.
void auth_builder_set_no_auth_user(struct auth_builder *builder, struct bytes name, uint32_t where);
// There is an authorization block, whatever is in it: then a configuration whose users are all of the system account leaves nobody
// else in.
void auth_builder_set_authorization(struct auth_builder *builder);
void auth_builder_set_timeout_ms(struct auth_builder *builder, uint32_t timeout_ms); // default 2,000
void auth_builder_set_verify_and_map(struct auth_builder *builder, bool verify_and_map);
// Without it websockets are as other clients.
int auth_builder_set_websocket(struct auth_builder *builder, const struct auth_websocket_spec *websocket);

// The config with one reference, the caller's; the builder is then used up and can only be freed. The first error of all
// calls, or of the references between them; then *ret_config is untouched and ret_error (may be NULL) says what was wrong.
int auth_builder_finish(struct auth_builder *builder, struct auth_config **ret_config,
                        struct auth_error *ret_error) MUST_USE;
