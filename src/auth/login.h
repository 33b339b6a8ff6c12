// SPDX-License-Identifier: Apache-2.0
// Who is it? What a client offers in CONNECT against the config (CO-S02, S03, S07; the order of nats-server).
//
// A password that is kept as a bcrypt hash takes long to compare, so login_decide() may leave the last step to the caller:
//
//     login_decide() ──► LOGIN_REFUSED
//                    ──► LOGIN_ACCEPTED
//                    ──► LOGIN_HASH: env/crypto's bcrypt_matches(decision.hash, decision.given) and not decision.hopeless ──► accepted
//
// So that time does not tell who exists, a name that is unknown (or whose plain password is wrong) is LOGIN_HASH too, hopeless,
// with a decoy, as soon as the config has any hash. Where hashes have several costs, each unknown name has one of them (auth/decoys.h).
// nats-server answers unknown names at once.
#pragma once

#include "auth/auth_config.h"
#include "env/crypto.h"

// Borrowed for the call; len 0: not offered.
struct login {
    struct bytes user, password, token;
    struct bytes nkey, signature;          // the public key's text; base64 of what signs the nonce
    struct bytes nonce;                    // what INFO asked to sign
    const struct bytes *certificate_names; // of the verified client certificate, best first; with verify_and_map only
    uint32_t certificate_name_count;
    enum auth_connection_type connection_type; // also says what the listener asks for
    uint64_t decoy_seed;                       // secret, the same for every login of the process
};

enum login_verdict { LOGIN_REFUSED, LOGIN_ACCEPTED, LOGIN_HASH };

struct login_decision {
    enum login_verdict verdict;
    const struct auth_user *user; // borrowed from the config; NULL: nobody of the list (open, token, single user)
    uint32_t account;             // index
    bool is_default;              // let in without credentials
    // LOGIN_HASH only.
    struct bytes hash;  // borrowed from the config
    struct bytes given; // borrowed from the login
    bool hopeless;      // refused whatever comes out
};

struct login_decision login_decide(const struct auth_config *config, const struct login *login,
                                   const struct crypto *crypto);

// Somebody was let in by `before` as this user (NULL: nobody of its list; is_default: without credentials): would what was shown then
// do for `after`, whose users may be others? REFUSED or ACCEPTED, the latter with the user of `after`. A secret that changed does not do,
// though it may be a hash of the same password: nobody keeps what was shown.
struct login_decision login_renew(const struct auth_config *before, const struct auth_user *user, bool is_default,
                                  const struct auth_config *after, enum auth_connection_type type);

// Who has to send nothing at all, not even CONNECT: the user of no_auth_user, an open server. A websocket's own no_auth_user needs a CONNECT
// unless other clients have one too, as in nats-server.
bool login_is_optional(const struct auth_config *config, enum auth_connection_type type);
