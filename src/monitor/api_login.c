// SPDX-License-Identifier: Apache-2.0
#include "monitor/api_login.h"

#include "auth/login.h"
#include "auth/secret.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/must.h"
#include "codec/base64.h"
#include "env/offload.h"

enum { KNOWN_MAX = 8, MINUTE_MS = 60000 };

// Somebody who was let in: not compared again, and not kept out when others try too many passwords.
struct known {
    uint8_t digest[CRYPTO_SHA256_LEN]; // of the Authorization field
    struct auth_config *auth;          // owned reference; NULL: the place is free, unless is_admin
    const struct auth_user *user;      // of `auth`
    bool is_admin;
};

struct api_login {
    struct api_login_options options;
    const struct crypto *crypto;
    struct list waiting; // api_login_try, the next first
    size_t waiting_count;
    bool running; // the offload has one
    struct known known[KNOWN_MAX];
    size_t next_known;
    uint64_t minute;
    uint32_t wrong; // tries, in that minute
};

struct api_login_try {
    struct offload_job offload;
    struct list link; // list link: api_login.waiting
    struct api_login *login;
    api_login_done *done; // NULL: nobody waits any more
    void *owner;
    struct auth_config *auth; // owned reference; may be NULL
    const struct auth_user *user;
    struct bytes hash, given; // of text
    bool is_admin, hopeless, matched;
    uint8_t digest[CRYPTO_SHA256_LEN];
    char text[];
};

struct credentials {
    char text[API_LOGIN_TEXT_MAX];
    struct bytes user, password; // of text
};

static bool read_credentials(struct bytes authorization, struct credentials *ret_credentials);
static bool find_known(struct api_login *login, const uint8_t *digest, api_login_done *done, void *owner);
static struct login_decision decide(const struct api_login *login, const struct credentials *credentials);
static struct login_decision decide_admin(const struct api_login *login, const struct credentials *credentials);
static bool is_admin(const struct api_login *login, const struct credentials *credentials);
static struct api_login_try *wait_for_hash(struct api_login *login, const struct login_decision *decision,
                                           const uint8_t *digest, bool admin);
static void begin_next(struct api_login *login);
static void run(struct offload_job *offload);
static void finished(struct offload_job *offload);
static void remember(struct api_login *login, const uint8_t *digest, const struct auth_user *user, bool admin);
static void tell(const struct auth_user *user, bool admin, api_login_done *done, void *owner);
static void refuse(struct api_login *login, api_login_done *done, void *owner);
static void try_free(struct api_login_try *one);

struct api_login *api_login_new(const struct api_login_options *options)
{
    struct api_login *login = mem_alloc_zero(sizeof(*login));
    login->options = *options;
    login->crypto = options->broker_options->crypto;
    list_init(&login->waiting);
    return login;
}

void api_login_free(struct api_login *login)
{
    struct list *link;
    must(!login->running);
    while ((link = list_pop_front(&login->waiting)))
        try_free(container_of(link, struct api_login_try, link));
    for (size_t i = 0; i < KNOWN_MAX; i++)
        auth_config_unref(login->known[i].auth);
    mem_free(login);
}

struct api_login_try *api_login_ask(struct api_login *login, struct bytes authorization, struct moment now,
                                    api_login_done *done, void *owner)
{
    struct credentials credentials;
    uint8_t digest[CRYPTO_SHA256_LEN];
    uint64_t minute = moment_mono_ms(now) / MINUTE_MS;
    login->wrong = minute == login->minute ? login->wrong : 0;
    login->minute = minute;
    if (!login->crypto || !read_credentials(authorization, &credentials)) {
        refuse(login, done, owner);
        return NULL;
    }
    login->crypto->sha256(authorization, digest);
    if (find_known(login, digest, done, owner))
        return NULL;
    if (login->wrong >= API_LOGIN_WRONG_MAX || login->waiting_count >= API_LOGIN_WAITING_MAX) {
        done(owner, API_LOGIN_BUSY, NULL);
        return NULL;
    }
    bool admin = is_admin(login, &credentials);
    struct login_decision decision = admin ? decide_admin(login, &credentials) : decide(login, &credentials);
    if (decision.verdict != LOGIN_HASH) {
        if (decision.verdict != LOGIN_ACCEPTED || (!admin && decision.is_default)) {
            refuse(login, done, owner);
            return NULL;
        }
        remember(login, digest, decision.user, admin);
        tell(decision.user, admin, done, owner);
        return NULL;
    }
    struct api_login_try *one = wait_for_hash(login, &decision, digest, admin);
    one->done = done;
    one->owner = owner;
    begin_next(login);
    return one;
}

void api_login_forget(struct api_login_try *one)
{
    one->done = NULL;
    if (!list_is_linked(&one->link))
        return; // the offload has it
    list_remove(&one->link);
    one->login->waiting_count--;
    try_free(one);
}

// "Basic" and base64 of "user:password".
static bool read_credentials(struct bytes authorization, struct credentials *ret_credentials)
{
    const struct bytes scheme = BYTES("basic ");
    size_t len;
    if (authorization.len <= scheme.len || !bytes_equal_fold(bytes_make(authorization.ptr, scheme.len), scheme))
        return false;
    if (base64_decode(bytes_trim(bytes_skip(authorization, scheme.len)), BASE64_STANDARD, ret_credentials->text,
                      sizeof(ret_credentials->text), &len))
        return false;
    const char *colon = memchr(ret_credentials->text, ':', len);
    if (!colon || colon == ret_credentials->text)
        return false;
    ret_credentials->user = bytes_make(ret_credentials->text, (size_t)(colon - ret_credentials->text));
    ret_credentials->password = bytes_make(colon + 1, len - ret_credentials->user.len - 1);
    return true;
}

static bool find_known(struct api_login *login, const uint8_t *digest, api_login_done *done, void *owner)
{
    for (size_t i = 0; i < KNOWN_MAX; i++) {
        struct known *known = &login->known[i];
        bool current = known->is_admin || (known->auth && known->auth == broker_auth(login->options.broker));
        if (!current || memcmp(known->digest, digest, CRYPTO_SHA256_LEN) != 0)
            continue;
        tell(known->user, known->is_admin, done, owner);
        return true;
    }
    return false;
}

static bool is_admin(const struct api_login *login, const struct credentials *credentials)
{
    const char *name = login->options.admin_user;
    return name && login->options.admin_password && bytes_equal(credentials->user, bytes_from_string(name));
}

static struct login_decision decide_admin(const struct api_login *login, const struct credentials *credentials)
{
    struct bytes wanted = bytes_from_string(login->options.admin_password);
    struct auth_secret secret = {.kind = secret_kind(wanted), .text = wanted};
    if (secret.kind == AUTH_SECRET_BCRYPT)
        return (struct login_decision){.verdict = LOGIN_HASH, .hash = wanted, .given = credentials->password};
    bool equal = secret_equal(secret, credentials->password);
    return (struct login_decision){.verdict = equal ? LOGIN_ACCEPTED : LOGIN_REFUSED};
}

// An unknown name costs as much as a wrong password, also where only the administrator's is a hash.
static struct login_decision decide(const struct api_login *login, const struct credentials *credentials)
{
    const struct auth_config *auth = broker_auth(login->options.broker);
    struct login_decision decision = {.verdict = LOGIN_REFUSED};
    uint64_t seed;
    memcpy(&seed, login->options.broker_options->nonce_key, sizeof(seed));
    if (auth && auth_config_view(auth)->has_users)
        decision = login_decide(auth,
                                &(struct login){
                                    .user = credentials->user,
                                    .password = credentials->password,
                                    .connection_type = AUTH_CONNECTION_STANDARD,
                                    .decoy_seed = seed,
                                },
                                login->crypto);
    const char *admin = login->options.admin_password;
    if (decision.verdict == LOGIN_REFUSED && admin && secret_kind(bytes_from_string(admin)) == AUTH_SECRET_BCRYPT)
        return (struct login_decision){
            .verdict = LOGIN_HASH, .hash = bytes_from_string(admin), .given = credentials->password, .hopeless = true};
    return decision;
}

static struct api_login_try *wait_for_hash(struct api_login *login, const struct login_decision *decision,
                                           const uint8_t *digest, bool admin)
{
    struct auth_config *auth = (struct auth_config *)broker_auth(login->options.broker);
    struct api_login_try *one = mem_alloc(sizeof(*one) + decision->hash.len + decision->given.len);
    *one = (struct api_login_try){
        .offload = {.run = run, .done = finished},
        .login = login,
        .auth = auth && !admin ? auth_config_ref(auth) : NULL,
        .user = decision->user,
        .is_admin = admin,
        .hopeless = decision->hopeless,
    };
    memcpy(one->digest, digest, CRYPTO_SHA256_LEN);
    memcpy(one->text, decision->hash.ptr, decision->hash.len);
    memcpy(one->text + decision->hash.len, decision->given.ptr, decision->given.len);
    one->hash = bytes_make(one->text, decision->hash.len);
    one->given = bytes_make(one->text + decision->hash.len, decision->given.len);
    list_push_back(&login->waiting, &one->link);
    login->waiting_count++;
    return one;
}

static void begin_next(struct api_login *login)
{
    struct list *link = login->running ? NULL : list_pop_front(&login->waiting);
    if (!link)
        return;
    login->running = true;
    login->waiting_count--;
    offload_submit(login->options.broker_options->offload, &container_of(link, struct api_login_try, link)->offload);
}

// On another thread: what it looks at lies still.
static void run(struct offload_job *offload)
{
    struct api_login_try *one = container_of(offload, struct api_login_try, offload);
    one->matched = one->login->crypto->bcrypt_matches(one->hash, one->given);
}

static void finished(struct offload_job *offload)
{
    struct api_login_try *one = container_of(offload, struct api_login_try, offload);
    struct api_login *login = one->login;
    api_login_done *done = one->done;
    // The configuration may have changed meanwhile.
    bool current = one->is_admin || one->auth == broker_auth(login->options.broker);
    bool fits = one->matched && !one->hopeless && current;
    login->running = false;
    if (fits)
        remember(login, one->digest, one->user, one->is_admin);
    if (done && fits)
        tell(one->user, one->is_admin, done, one->owner);
    else if (done)
        refuse(login, done, one->owner);
    try_free(one);
    begin_next(login);
}

static void remember(struct api_login *login, const uint8_t *digest, const struct auth_user *user, bool admin)
{
    struct auth_config *auth = admin ? NULL : (struct auth_config *)broker_auth(login->options.broker);
    struct known *known = &login->known[login->next_known++ % KNOWN_MAX];
    auth_config_unref(known->auth);
    *known = (struct known){.auth = auth ? auth_config_ref(auth) : NULL, .user = user, .is_admin = admin};
    memcpy(known->digest, digest, CRYPTO_SHA256_LEN);
}

static void tell(const struct auth_user *user, bool admin, api_login_done *done, void *owner)
{
    bool is_ours =
        user && user->account == AUTH_GLOBAL_ACCOUNT; // what permissions name in another account is not the API
    done(owner, admin ? API_LOGIN_ALL : API_LOGIN_USER, is_ours ? user->permissions : NULL);
}

static void refuse(struct api_login *login, api_login_done *done, void *owner)
{
    login->wrong++;
    done(owner, API_LOGIN_REFUSED, NULL);
}

static void try_free(struct api_login_try *one)
{
    // The password does not stay behind in the heap.
    volatile char *at = one->text;
    for (size_t i = 0; i < one->hash.len + one->given.len; i++)
        at[i] = 0;
    auth_config_unref(one->auth);
    mem_free(one);
}
