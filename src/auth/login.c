// SPDX-License-Identifier: Apache-2.0
#include "auth/login.h"

#include "auth/decoys.h"
#include "auth/secret.h"
#include "codec/base64.h"

static struct login_decision decide_nkey(const struct auth_config *config, const struct login *login,
                                         const struct crypto *crypto);
static struct login_decision decide_user(const struct auth_config *config, const struct login *login);
static struct login_decision decide_certificate(const struct auth_config *config, const struct login *login);
static struct login_decision decide_single(const struct auth_config *config, const struct login *login);
static struct login_decision compare(const struct auth_config *config, const struct login *login,
                                     struct auth_secret secret, struct bytes given);
static struct login_decision refuse_slowly(const struct auth_config *config, const struct login *login,
                                           struct bytes given);
static struct login_decision accept_user(const struct auth_user *user);
static bool offers_nothing(const struct auth_view *view, const struct login *login);
static struct login_decision decide_default(const struct auth_user *no_auth_user, const struct login *login);
static bool has_default(const struct auth_view *view, const struct auth_listener *listener);
static bool may_use(const struct auth_user *user, const struct login *login);
static bool needs_certificate(const struct auth_config *config, const struct auth_user *user,
                              const struct login *login);
static bool has_names(const struct auth_view *view);
static bool same_secret(struct auth_secret a, struct auth_secret b);

struct login_decision login_decide(const struct auth_config *config, const struct login *login,
                                   const struct crypto *crypto)
{
    const struct auth_view *view = auth_config_view(config);
    const struct auth_listener *listener = auth_config_listener(config, login->connection_type);
    if (!listener->required)
        return (struct login_decision){.verdict = LOGIN_ACCEPTED, .is_default = true};
    if (has_default(view, listener) && offers_nothing(view, login))
        return decide_default(listener->no_auth_user, login);
    if (view->has_nkeys && login->nkey.len)
        return decide_nkey(config, login, crypto);
    if (has_names(view) && listener->verify_and_map)
        return decide_certificate(config, login);
    if (has_names(view) && login->user.len)
        return decide_user(config, login);
    return decide_single(config, login);
}

struct login_decision login_renew(const struct auth_config *before, const struct auth_user *user, bool is_default,
                                  const struct auth_config *after, enum auth_connection_type type)
{
    const struct auth_listener *old = auth_config_listener(before, type), *new = auth_config_listener(after, type);
    struct login login = {.connection_type = type};
    if (!new->required)
        return (struct login_decision){.verdict = LOGIN_ACCEPTED, .is_default = true};
    if (!old->required || is_default)
        return has_default(auth_config_view(after), new) ? login_decide(after, &login, NULL)
                                                         : (struct login_decision){0};
    if (!user) {
        bool same = same_secret(old->token, new->token) && bytes_equal(old->single_user, new->single_user) &&
                    same_secret(old->single_password, new->single_password);
        return (struct login_decision){.verdict = same ? LOGIN_ACCEPTED : LOGIN_REFUSED};
    }
    const struct auth_user *found = auth_config_find_user(after, user->name);
    if (!found || found->is_nkey != user->is_nkey || !may_use(found, &login))
        return (struct login_decision){0};
    if (!user->is_nkey && (old->verify_and_map != new->verify_and_map || !same_secret(user->password, found->password)))
        return (struct login_decision){0};
    return accept_user(found);
}

bool login_is_optional(const struct auth_config *config, enum auth_connection_type type)
{
    const struct auth_view *view = auth_config_view(config);
    const struct auth_listener *listener = auth_config_listener(config, type);
    return !listener->required || (view->client.no_auth_user && has_default(view, listener));
}

static struct login_decision decide_nkey(const struct auth_config *config, const struct login *login,
                                         const struct crypto *crypto)
{
    // A point of the curve, so that an unknown key costs a verification too.
    static const uint8_t nobody[AUTH_NKEY_LEN] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
                                                  0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
                                                  0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
    const struct auth_user *user = auth_config_find_user(config, login->nkey);
    bool known = user && user->is_nkey && may_use(user, login);
    uint8_t signature[CRYPTO_ED25519_SIGNATURE_LEN];
    size_t len = 0;
    if (base64_decode(login->signature, BASE64_RAW_URL, signature, sizeof(signature), &len) != 0 &&
        base64_decode(login->signature, BASE64_STANDARD, signature, sizeof(signature), &len) != 0)
        return (struct login_decision){0};
    if (len != sizeof(signature) || login->nonce.len == 0)
        return (struct login_decision){0};
    bool verified = crypto->ed25519_verify(known ? user->nkey : nobody, signature, login->nonce);
    return known && verified ? accept_user(user) : (struct login_decision){0};
}

static struct login_decision decide_user(const struct auth_config *config, const struct login *login)
{
    const struct auth_user *user = auth_config_find_user(config, login->user);
    if (!user || user->is_nkey || !may_use(user, login) || needs_certificate(config, user, login))
        return refuse_slowly(config, login, login->password);
    struct login_decision decision = compare(config, login, user->password, login->password);
    if (decision.verdict != LOGIN_REFUSED && !decision.hopeless) {
        decision.user = user;
        decision.account = user->account;
    }
    return decision;
}

// Where one listener takes certificates for names, a name alone is nothing on another (nats-server lets in whoever says such a name).
static bool needs_certificate(const struct auth_config *config, const struct auth_user *user, const struct login *login)
{
    return user->password.text.len == 0 && auth_config_view(config)->has_certificate_users &&
           !auth_config_listener(config, login->connection_type)->verify_and_map;
}

// The certificate says who it is; a password that the user has must fit all the same.
static struct login_decision decide_certificate(const struct auth_config *config, const struct login *login)
{
    for (uint32_t i = 0; i < login->certificate_name_count; i++) {
        struct login named = *login;
        named.user = login->certificate_names[i];
        const struct auth_user *user = auth_config_find_user(config, named.user);
        if (user && !user->is_nkey)
            return decide_user(config, &named);
    }
    return (struct login_decision){0};
}

// authorization { token } or { user, password }: everybody is of the global account, and nobody of the list.
static struct login_decision decide_single(const struct auth_config *config, const struct login *login)
{
    const struct auth_listener *listener = auth_config_listener(config, login->connection_type);
    if (listener->token.kind != AUTH_SECRET_NONE)
        return compare(config, login, listener->token, login->token);
    if (listener->single_user.len == 0)
        return (struct login_decision){0};
    struct auth_secret name = {AUTH_SECRET_PLAIN, listener->single_user};
    struct login_decision decision = compare(config, login, listener->single_password, login->password);
    if (secret_equal(name, login->user))
        return decision;
    if (decision.verdict != LOGIN_HASH)
        return refuse_slowly(config, login, login->password);
    decision.hopeless = true;
    return decision;
}

static struct login_decision compare(const struct auth_config *config, const struct login *login,
                                     struct auth_secret secret, struct bytes given)
{
    if (secret.kind == AUTH_SECRET_BCRYPT)
        return (struct login_decision){.verdict = LOGIN_HASH, .hash = secret.text, .given = given};
    if (secret_equal(secret, given))
        return (struct login_decision){.verdict = LOGIN_ACCEPTED};
    return refuse_slowly(config, login, given);
}

static struct login_decision refuse_slowly(const struct auth_config *config, const struct login *login,
                                           struct bytes given)
{
    struct bytes decoy = decoys_pick(auth_config_view(config), login->user, login->decoy_seed);
    if (decoy.len == 0)
        return (struct login_decision){0};
    return (struct login_decision){.verdict = LOGIN_HASH, .hash = decoy, .given = given, .hopeless = true};
}

static struct login_decision decide_default(const struct auth_user *no_auth_user, const struct login *login)
{
    if (!may_use(no_auth_user, login))
        return (struct login_decision){0};
    struct login_decision decision = accept_user(no_auth_user);
    decision.is_default = true;
    return decision;
}

// Certificates that name users leave nobody without a name.
static bool has_default(const struct auth_view *view, const struct auth_listener *listener)
{
    return listener->no_auth_user && !(listener->verify_and_map && has_names(view));
}

static struct login_decision accept_user(const struct auth_user *user)
{
    return (struct login_decision){.verdict = LOGIN_ACCEPTED, .user = user, .account = user->account};
}

// A key where there are no keys is nothing.
static bool offers_nothing(const struct auth_view *view, const struct login *login)
{
    return !login->user.len && !login->password.len && !login->token.len && !(view->has_nkeys && login->nkey.len);
}

static bool may_use(const struct auth_user *user, const struct login *login)
{
    return user->connection_types == 0 || (user->connection_types & login->connection_type);
}

static bool has_names(const struct auth_view *view)
{
    return view->user_count > view->nkey_count;
}

// Both of them the configuration's: nothing is given away by the time it takes.
static bool same_secret(struct auth_secret a, struct auth_secret b)
{
    return a.kind == b.kind && bytes_equal(a.text, b.text);
}
